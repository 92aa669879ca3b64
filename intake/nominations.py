"""Which harvested pictures people want in a benchmark: data/nominations/<person>.csv, one file per person.

Columns `image_id,said,benchmark,value,on,why`. What is said is one of

    nominated    the picture belongs in `benchmark`; `value` is its class, empty for out_of_scope
    named        who looked without knowing anything of the picture calls it the class `value`
    no_class     who looked so says that it is none of the classes
    cannot_tell  who looked so cannot say
    undo         what this person said of the picture before is withdrawn

Of one person and picture the latest line counts. A picture goes to a benchmark when somebody nominated it and at least
one other person looked, and all of them say the same. Whoever nominated a picture never looks at it. `on` is the time
in UTC with milliseconds. Exact repeats collapse. A line that begins with # is a comment; empty lines, and empty columns
at a line's end, count for nothing. Nothing in a file tells who the user was, and no run reads this folder.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from intake.new_folder import can_be_folder
from runtime.errors import InstructionError
from stages.labels.labelling import OUT_OF_SCOPE, RESERVED
from stages.labels.names import composed
from stages.labels.person_files import list_files, read_rows, read_text, read_time

FOLDER = "data/nominations"
COLUMNS = ("image_id", "said", "benchmark", "value", "on", "why")
NOMINATED, NAMED, NO_CLASS, CANNOT_TELL, UNDO = "nominated", "named", "no_class", "cannot_tell", "undo"
SAID = (NOMINATED, NAMED, NO_CLASS, CANNOT_TELL, UNDO)
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class Nomination:
    """One line of a person's file.

    Attributes:
        on: when it was said.
        person: by whom.
        line: its number in the person's file, from 1.
        image_id: of the picture.
        said: one of SAID.
        benchmark: that the picture is nominated for; else empty.
        value: the class; empty where the picture has none, or nobody can say.
        why: what is worth knowing.
    """

    on: datetime
    person: str
    line: int
    image_id: str
    said: str
    benchmark: str
    value: str
    why: str


class Settled(NamedTuple):
    """What is to happen, when everything is taken together. A nominated picture is in one of the three.

    Attributes:
        agreed: the nomination of each picture that goes to its benchmark, by image_id.
        waiting: the nomination of each picture at which nobody else has looked yet, the latest one.
        disputes: what people said of each picture about which they differ, in the order of time; in that of the
            image_ids.
    """

    agreed: dict[str, Nomination]
    waiting: dict[str, Nomination]
    disputes: dict[str, tuple[Nomination, ...]]

    @property
    def image_ids(self) -> set[str]:
        """The pictures that are nominated."""
        return {*self.agreed, *self.waiting, *self.disputes}


def read_nominations(folder: str | Path = FOLDER) -> list[Nomination]:
    """Read every person's file.

    Args:
        folder: holds `<person>.csv`; an absent folder holds none.

    Returns:
        What was said in the order of time; what has one instant by person and line.

    Raises:
        InstructionError: a line cannot be read; or something in the folder is no `<person>.csv`.
    """
    return sorted(each for path in list_files(folder) for each in parse_nominations(read_text(path), path))


def parse_nominations(text: str, path: str | Path) -> list[Nomination]:
    """Read the text of a person's file, its line ends as they are.

    Args:
        text: of the file.
        path: of the file, which names the person.

    Returns:
        What was said in the order of the lines.

    Raises:
        InstructionError: a line cannot be read.
    """
    return [_nomination(Path(path), number, fields) for number, fields in read_rows(text, str(path), COLUMNS)]


def standing(said: Iterable[Nomination]) -> dict[str, dict[str, Nomination]]:
    """List what each person says last of each picture and did not withdraw.

    Args:
        said: in the order of time.

    Returns:
        By image_id, person to what is said, the latest last; a picture of which nothing stands is left out.
    """
    stands: dict[str, dict[str, Nomination]] = {}
    for each in said:
        of_picture = stands.setdefault(each.image_id, {})
        of_picture.pop(each.person, None)  # the latest is last
        if each.said != UNDO:
            of_picture[each.person] = each
    return {image_id: of_picture for image_id, of_picture in stands.items() if of_picture}


def settle(said: Iterable[Nomination], class_of: Callable[[str], str | None]) -> Settled:
    """Decide which pictures go to a benchmark, which wait, and about which people differ.

    Args:
        said: by everybody, in the order of time.
        class_of: names the class that a name stands for now, such as `Classes.of_benchmark`; None where there is none.
    """
    agreed, waiting, disputes = {}, {}, {}
    for image_id, of_picture in sorted(standing(said).items()):
        rows = tuple(of_picture.values())
        nominations = [each for each in rows if each.said == NOMINATED]
        if not nominations:  # people looked at it among others
            continue
        if len({_content(each, class_of) for each in rows}) > 1 or len({each.benchmark for each in nominations}) > 1:
            disputes[image_id] = rows
        elif len(nominations) == len(rows):
            waiting[image_id] = nominations[-1]
        else:
            agreed[image_id] = nominations[-1]
    return Settled(agreed, waiting, disputes)


def _content(said: Nomination, class_of: Callable[[str], str | None]) -> str | None:
    """Give the class that somebody says a picture has: empty where it has none, None where it cannot be said."""
    return None if said.said == CANNOT_TELL else class_of(said.value) or said.value


def _nomination(path: Path, number: int, fields: list[str]) -> Nomination:
    where = f"{path}, line {number}"
    if len(fields) != len(COLUMNS):
        raise InstructionError(
            f"{where}: expected {len(COLUMNS)} fields ({','.join(COLUMNS)}), got {len(fields)}. Correct the line."
        )
    image_id, said, benchmark, value, on, why = fields
    image_id, benchmark, value = image_id.lower(), composed(benchmark.strip()), composed(value.strip())
    if not _IMAGE_ID.fullmatch(image_id):
        raise InstructionError(f"{where}: expected an image_id of 32 hex digits, got {image_id!r}. Correct the line.")
    if said not in SAID:
        raise InstructionError(f"{where}: expected one of {', '.join(SAID)}, got {said!r}. Correct the line.")
    _require_benchmark(where, said, benchmark)
    if bool(value) != (said == NAMED or (said == NOMINATED and benchmark != OUT_OF_SCOPE)):
        raise InstructionError(
            f"{where}: {NAMED}, and {NOMINATED} for another benchmark than {OUT_OF_SCOPE}, need the class as value, "
            f"and nothing else has one; got {value!r}. Correct the line."
        )
    time = read_time(on)
    if time is None:
        raise InstructionError(
            f"{where}: expected a time in UTC such as 2026-11-27T09:15:00.000Z, got {on!r}. Correct the line."
        )
    return Nomination(time, path.stem, number, image_id, said, benchmark, value, why)


def _require_benchmark(where: str, said: str, benchmark: str) -> None:
    if bool(benchmark) != (said == NOMINATED):
        raise InstructionError(
            f"{where}: {NOMINATED} names a benchmark, and nothing else does; got {benchmark!r}. Correct the line."
        )
    if said == NOMINATED and not may_be_benchmark(benchmark):
        raise InstructionError(f"{where}: {benchmark!r} cannot be a folder of data/benchmarks. Correct the line.")


def may_be_benchmark(name: str) -> bool:
    """Say whether a name can be that of a folder of data/benchmarks."""
    return can_be_folder(name) and name not in RESERVED
