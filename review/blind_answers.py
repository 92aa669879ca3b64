"""What people answered in the blind test: data/blind/<person>.csv, one file per person.

Columns `round,turn,image_id,answer,value,seconds,on,why`. An answer is one of

    named        the picture shows the class `value`
    cannot_tell  the person looked, and cannot say
    undo         what this person answered at this turn before is withdrawn

`round` and `turn` count from 1. A picture that has an earlier turn of the same person came again, which nothing showed.
`seconds` passed from the painted picture to the answer; where that time is not known, as after a break, it is empty.
`on` is the time in UTC with milliseconds. `why` holds the model's version at that time, and neither what the model said
nor the label. None of it is a decision: no run reads this folder.

Exact repeats of a line collapse; of one turn and picture the latest line counts. A line that begins with # is a
comment; empty lines, and empty columns at a line's end, count for nothing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runtime.errors import InstructionError
from stages.labels.names import composed
from stages.labels.person_files import list_files, read_rows, read_text, read_time

FOLDER = "data/blind"
COLUMNS = ("round", "turn", "image_id", "answer", "value", "seconds", "on", "why")
NAMED, CANNOT_TELL, UNDO = "named", "cannot_tell", "undo"
ANSWERS = (NAMED, CANNOT_TELL, UNDO)
_COUNT = re.compile(r"[1-9]\d{0,5}", re.ASCII)
_SECONDS = re.compile(r"\d{1,5}(\.\d{1,6})?", re.ASCII)
_VERSION = re.compile(r"(?:^|; )model (\d{1,9})(?:;|$)", re.ASCII)
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class BlindAnswer:
    """One line of a person's file.

    Attributes:
        on: when it was answered.
        person: by whom.
        line: its number in the person's file, from 1.
        round: of the test, from 1.
        turn: of the round, from 1.
        image_id: of the picture.
        answer: one of ANSWERS.
        value: the class that was named, else empty.
        seconds: from the painted picture to the answer; None where that is not known.
        why: what is worth knowing.
    """

    on: datetime
    person: str
    line: int
    round: int
    turn: int
    image_id: str
    answer: str
    value: str
    seconds: float | None
    why: str

    @property
    def version(self) -> int | None:
        """Of the model whose predictions were there; None where a person typed the line."""
        found = _VERSION.search(self.why)
        return int(found[1]) if found else None


def read_blind(folder: str | Path = FOLDER) -> list[BlindAnswer]:
    """Read every person's file.

    Args:
        folder: holds `<person>.csv`; an absent folder holds none.

    Returns:
        The answers in the order of time; those of one instant by person and line.

    Raises:
        InstructionError: a line cannot be read; or something in the folder is no `<person>.csv`.
    """
    return sorted(each for path in list_files(folder) for each in parse_blind(read_text(path), path))


def parse_blind(text: str, path: str | Path) -> list[BlindAnswer]:
    """Read the text of a person's file, its line ends as they are.

    Args:
        text: of the file.
        path: of the file, which names the person.

    Returns:
        The answers in the order of the lines.

    Raises:
        InstructionError: a line cannot be read.
    """
    return [_answer(Path(path), number, fields) for number, fields in read_rows(text, str(path), COLUMNS)]


def standing(answers: Iterable[BlindAnswer]) -> list[BlindAnswer]:
    """Leave out what was withdrawn, and what a later line about the same turn and picture replaces.

    Args:
        answers: in the order of time.

    Returns:
        The others, in their order.
    """
    stands: dict[tuple[str, int, int, str], BlindAnswer] = {}
    for each in answers:
        key = (each.person, each.round, each.turn, each.image_id)
        stands.pop(key, None)  # the latest is last
        if each.answer != UNDO:
            stands[key] = each
    return list(stands.values())


def _answer(path: Path, number: int, fields: list[str]) -> BlindAnswer:
    where = f"{path}, line {number}"
    if len(fields) != len(COLUMNS):
        raise InstructionError(
            f"{where}: expected {len(COLUMNS)} fields ({','.join(COLUMNS)}), got {len(fields)}. Correct the line."
        )
    round_, turn, image_id, answer, value, seconds, on, why = fields
    image_id, value = image_id.lower(), composed(value.strip())
    for name, text in (("round", round_), ("turn", turn)):
        if not _COUNT.fullmatch(text):
            raise InstructionError(f"{where}: expected a {name} from 1 on, got {text!r}. Correct the line.")
    if not _IMAGE_ID.fullmatch(image_id):
        raise InstructionError(f"{where}: expected an image_id of 32 hex digits, got {image_id!r}. Correct the line.")
    if answer not in ANSWERS:
        raise InstructionError(f"{where}: expected one of {', '.join(ANSWERS)}, got {answer!r}. Correct the line.")
    if (answer == NAMED) != bool(value):
        raise InstructionError(f"{where}: {NAMED} needs the class as its value, and no other answer has one.")
    time = _time(where, seconds, on)
    passed = float(seconds) if seconds else None
    return BlindAnswer(time, path.stem, number, int(round_), int(turn), image_id, answer, value, passed, why)


def _time(where: str, seconds: str, on: str) -> datetime:
    if seconds and not _SECONDS.fullmatch(seconds):
        raise InstructionError(
            f"{where}: expected seconds such as 4.25, or nothing, got {seconds!r}. Correct the line."
        )
    time = read_time(on)
    if time is None:
        raise InstructionError(
            f"{where}: expected a time in UTC such as 2026-11-27T09:15:00.000Z, got {on!r}. Correct the line."
        )
    return time
