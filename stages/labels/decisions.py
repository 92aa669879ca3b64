"""What people decided about single pictures: data/decisions/<person>.csv, one file per person.

Columns `image_id,decision,value,on,why`. A decision is one of

    keep       the picture stays, whatever it resembles
    remove     the picture is not used
    relabel    the picture belongs to the sub-class `value`
    distinct   the picture and the one whose image_id is `value` are not duplicates
    duplicate  they are
    undo       what was decided of the picture before is withdrawn

`on` is the time in UTC with milliseconds. Exact repeats collapse, the latest counts, two people who differ are listed.
A decision about a picture that is not there is counted, not refused. A line that begins with # is a comment. Image_ids
may be in upper case; empty lines, and empty columns at a line's end, count for nothing: spreadsheets write them.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from runtime.errors import InstructionError
from stages.labels.names import composed
from stages.labels.person_files import list_files, read_rows, read_text, read_time

FOLDER = "data/decisions"
COLUMNS = ("image_id", "decision", "value", "on", "why")
OF_ONE = ("keep", "remove", "relabel", "undo")
OF_TWO = ("distinct", "duplicate")
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")
Pair = tuple[str, str]
Question = tuple[Pair, str]


@dataclass(frozen=True, order=True)
class Decision:
    """One line of a person's file."""

    on: datetime
    person: str
    line: int
    image_id: str
    decision: str
    value: str
    why: str

    @property
    def subject(self) -> Pair:
        """What is decided about: a picture and "", or two pictures, the smaller image_id first."""
        if self.decision in OF_TWO:
            return min(self.image_id, self.value), max(self.image_id, self.value)
        return self.image_id, ""

    @property
    def answer(self) -> Pair:
        """What is said of the subject: the decision and, of a relabelling, the sub-class."""
        return self.decision, self.value if self.decision == "relabel" else ""


@dataclass(frozen=True)
class Verdicts:
    """What counts, when all decisions are taken together.

    Attributes:
        removed: pictures not to be used.
        kept: pictures that stay whatever they resemble.
        relabelled: image_id to sub-class.
        distinct: pairs that are no duplicates, the smaller image_id first.
        duplicate: pairs that are, the smaller image_id first.
        disputed: decisions of people who differ, the one that counts last of each subject.
    """

    removed: frozenset[str]
    kept: frozenset[str]
    relabelled: dict[str, str]
    distinct: frozenset[Pair]
    duplicate: frozenset[Pair]
    disputed: tuple[Decision, ...]

    @property
    def image_ids(self) -> set[str]:
        """Every picture that something was decided of, and that was not withdrawn."""
        pairs = {image_id for pair in self.distinct | self.duplicate for image_id in pair}
        return {*self.removed, *self.kept, *self.relabelled, *pairs}


def read_decisions(
    folder: str | Path,
    sub_classes: Collection[str] | None,
    empty: Collection[str] = (),
    renamed: Mapping[str, str] = MappingProxyType({}),
    waiting: Callable[[], Collection[str]] = tuple,
) -> list[Decision]:
    """Read every person's file.

    Args:
        folder: holds `<person>.csv`; an absent folder holds none.
        sub_classes: names of the library's folders, which a relabelling may name; None where they are not known.
        empty: names of those that hold no pictures, for the message.
        renamed: old name of a folder to its name now; a relabelling to the one is read as one to the other.
        waiting: gives the image_ids of the unlabelled pictures, which wait for `make intake`: theirs may name a
            sub-class that has no folder yet. Called only where one does, for a stage may have to digest the pictures.

    Returns:
        The decisions in the order of time; those of one instant by person and line.

    Raises:
        InstructionError: a line cannot be read, or names a sub-class that does not exist; or something in the folder is
            no `<person>.csv`.
    """
    targets = _Targets(sub_classes, empty, renamed, cache(waiting))
    return sorted(said for path in list_files(folder) for said in _parse(read_text(path), path, targets))


def parse_decisions(text: str, path: str | Path) -> list[Decision]:
    """Read the text of a person's file, its line ends as they are; a relabelling may name any sub-class.

    Args:
        text: of the file.
        path: of the file, which names the person.

    Returns:
        The decisions in the order of the lines.

    Raises:
        InstructionError: a line cannot be read.
    """
    return _parse(text, Path(path), _Targets(None, (), {}, tuple))


def settle(decisions: Iterable[Decision]) -> Verdicts:
    """Decide what counts: of each picture, and of each pair, the latest that was not withdrawn.

    A picture's label and its fate are two questions: a picture that was relabelled and later kept has its new label.

    Args:
        decisions: in the order of time.
    """
    stands = standing(decisions)
    latest = {key: list(said.values())[-1] for key, said in stands.items()}

    def subjects(question: str, answer: str) -> frozenset[Pair]:
        return frozenset(
            subject for (subject, asked), said in latest.items() if asked == question and said.decision == answer
        )

    return Verdicts(
        removed=frozenset(image_id for image_id, _ in subjects("fate", "remove")),
        kept=frozenset(image_id for image_id, _ in subjects("fate", "keep")),
        relabelled={image_id: latest[(image_id, ""), "label"].value for image_id, _ in subjects("label", "relabel")},
        distinct=subjects("pair", "distinct"),
        duplicate=subjects("pair", "duplicate"),
        disputed=_disputed(stands.values()),
    )


def standing(decisions: Iterable[Decision]) -> dict[Question, dict[str, Decision]]:
    """List what each person says last and did not withdraw, of each subject and question.

    Args:
        decisions: in the order of time.

    Returns:
        By subject and question (`fate` and `label` of a picture, `pair` of two), person to decision, the latest last.
    """
    stands: dict[Question, dict[str, Decision]] = {}
    for decision in decisions:
        if decision.decision == "undo":
            stands = {key: said for key, said in stands.items() if decision.image_id not in key[0]}
            continue
        for question in _questions(decision):
            said = stands.setdefault((decision.subject, question), {})
            said.pop(decision.person, None)  # the latest is last
            said[decision.person] = decision
    return stands


def _parse(text: str, path: Path, targets: "_Targets") -> list[Decision]:
    rows = read_rows(text, str(path), COLUMNS)
    return [_decision(path, number, fields, targets) for number, fields in rows]


def _questions(decision: Decision) -> tuple[str, ...]:
    if decision.decision in OF_TWO:
        return ("pair",)
    return ("fate", "label") if decision.decision == "relabel" else ("fate",)


def _disputed(answers: Iterable[dict[str, Decision]]) -> tuple[Decision, ...]:
    disputed: dict[Decision, None] = {}
    for said in answers:
        if len({decision.answer for decision in said.values()}) > 1:
            disputed |= dict.fromkeys(said.values())
    return tuple(sorted(disputed, key=lambda decision: (decision.subject, decision)))


class _Targets(NamedTuple):
    """What a relabelling may name; see `read_decisions`."""

    sub_classes: Collection[str] | None
    empty: Collection[str]
    renamed: Mapping[str, str]
    waiting: Callable[[], Collection[str]]

    def sub_class(self, where: str, value: str, image_id: str) -> str:
        name = composed(value)
        name = self.renamed.get(name, name)
        if self.sub_classes is None or name in self.sub_classes or image_id in self.waiting():
            return name
        if name in self.empty:
            raise InstructionError(
                f"{where}: {name!r} is not a sub-class: data/library/{name} is empty. "
                "Put a picture there, or correct the name."
            )
        raise InstructionError(
            f"{where}: {name!r} is not a sub-class: there is no folder data/library/{name}. "
            "Correct the name; or, if it is a new one, `make intake` makes the folder and moves the picture there. "
            "If it was renamed, say so under `was` in data/classes.yaml."
        )


def _decision(path: Path, number: int, fields: list[str], targets: _Targets) -> Decision:
    where = f"{path}, line {number}"
    if len(fields) != len(COLUMNS):
        raise InstructionError(f"{where}: expected {len(COLUMNS)} fields ({','.join(COLUMNS)}), got {len(fields)}.")
    image_id, decision, value, on, why = fields
    image_id, value = image_id.lower(), value.lower() if decision in OF_TWO else value
    if not _IMAGE_ID.fullmatch(image_id):
        raise InstructionError(f"{where}: expected an image_id of 32 hex digits, got {image_id!r}.")
    if decision not in OF_ONE + OF_TWO:
        raise InstructionError(f"{where}: expected one of {', '.join(OF_ONE + OF_TWO)}, got {decision!r}.")
    if decision in OF_TWO and (not _IMAGE_ID.fullmatch(value) or value == image_id):
        raise InstructionError(f"{where}: {decision} needs the other picture's image_id as its value, got {value!r}.")
    if decision == "relabel":
        value = targets.sub_class(where, value, image_id)
    return Decision(_time(where, on), path.stem, number, image_id, decision, value, why)


def _time(where: str, text: str) -> datetime:
    time = read_time(text)
    if time is None:
        raise InstructionError(f"{where}: expected a time in UTC such as 2026-11-02T09:15:00.000Z, got {text!r}.")
    return time
