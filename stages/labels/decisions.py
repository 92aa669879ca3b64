"""What people decided about single pictures: data/decisions/<person>.csv, a file a person.

Columns `image_id,decision,value,on,why`. A decision is one of

    keep       the picture stays, whatever it resembles
    remove     the picture is not used
    relabel    the picture belongs to the sub-class `value`
    distinct   the picture and the one whose image_id is `value` are not duplicates
    duplicate  they are
    undo       what was decided of the picture before is withdrawn

`on` is the time in UTC with milliseconds. Exact repeats collapse, the latest counts, two people who differ are listed.
A decision about a picture that is not there is counted, not refused.
"""

import csv
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from runtime.errors import InstructionError

FOLDER = "data/decisions"
COLUMNS = ("image_id", "decision", "value", "on", "why")
OF_ONE = ("keep", "remove", "relabel", "undo")
OF_TWO = ("distinct", "duplicate")
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")
Pair = tuple[str, str]


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
        duplicate: pairs that are, likewise.
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


def read_decisions(folder: str | Path, sub_classes: Collection[str]) -> list[Decision]:
    """Read every person's file.

    Args:
        folder: holds `<person>.csv`; other files are passed over, an absent folder holds none.
        sub_classes: names of the library's folders, which a relabelling may name.

    Returns:
        The decisions in the order of time; those of one instant by person and line.

    Raises:
        InstructionError: a line cannot be read, or names a sub-class that does not exist.
    """
    decisions = []
    for path in sorted(Path(folder).glob("*.csv")):
        lines = _lines(path)
        if lines and tuple(lines[0][1]) != COLUMNS:
            raise InstructionError(f"{path}, line 1: expected {','.join(COLUMNS)}, got {','.join(lines[0][1])}.")
        for number, fields in lines:
            # A union merge may repeat the header or leave an empty line.
            if fields and tuple(fields) != COLUMNS:
                decisions.append(_decision(path, number, fields, sub_classes))
    return sorted(decisions)


def settle(decisions: Iterable[Decision]) -> Verdicts:
    """Decide what counts: of each picture, and of each pair, the latest that was not withdrawn.

    A picture's label and its fate are two questions: a picture that was relabelled and later kept has its new label.

    Args:
        decisions: in the order of time.
    """
    standing: dict[tuple[Pair, str], dict[str, Decision]] = {}
    for decision in decisions:
        if decision.decision == "undo":
            standing = {key: said for key, said in standing.items() if decision.image_id not in key[0]}
            continue
        for question in _questions(decision):
            said = standing.setdefault((decision.subject, question), {})
            said.pop(decision.person, None)  # the latest stands last
            said[decision.person] = decision
    latest = {key: list(said.values())[-1] for key, said in standing.items()}

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
        disputed=_disputed(standing.values()),
    )


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    try:
        reader = csv.reader(path.read_text(encoding="utf-8-sig").splitlines(keepends=True), strict=True)
        return [(reader.line_num, fields) for fields in reader]
    except UnicodeDecodeError as error:
        raise InstructionError(f"{path} is not UTF-8: {error}. Save it as UTF-8.") from None
    except csv.Error as error:
        raise InstructionError(f"{path}, line {reader.line_num}: no CSV: {error}. Correct the line.") from None


def _questions(decision: Decision) -> tuple[str, ...]:
    if decision.decision in OF_TWO:
        return ("pair",)
    return ("fate", "label") if decision.decision == "relabel" else ("fate",)


def _disputed(answers: Iterable[dict[str, Decision]]) -> tuple[Decision, ...]:
    found: dict[Decision, None] = {}
    for said in answers:
        if len({decision.answer for decision in said.values()}) > 1:
            found |= dict.fromkeys(said.values())
    return tuple(sorted(found, key=lambda decision: (decision.subject, decision)))


def _decision(path: Path, number: int, fields: list[str], sub_classes: Collection[str]) -> Decision:
    where = f"{path}, line {number}"
    if len(fields) != len(COLUMNS):
        raise InstructionError(f"{where}: expected {len(COLUMNS)} fields ({','.join(COLUMNS)}), got {len(fields)}.")
    image_id, decision, value, on, why = fields
    if not _IMAGE_ID.fullmatch(image_id):
        raise InstructionError(f"{where}: expected an image_id of 32 hex digits, got {image_id!r}.")
    if decision not in OF_ONE + OF_TWO:
        raise InstructionError(f"{where}: expected one of {', '.join(OF_ONE + OF_TWO)}, got {decision!r}.")
    if decision in OF_TWO and (not _IMAGE_ID.fullmatch(value) or value == image_id):
        raise InstructionError(f"{where}: {decision} needs the other picture's image_id as its value, got {value!r}.")
    if decision == "relabel" and value not in sub_classes:
        raise InstructionError(
            f"{where}: {value!r} is not a sub-class: there is no folder data/library/{value} with a picture in it. "
            "Correct the name, or make the folder."
        )
    return Decision(_time(where, on), path.stem, number, image_id, decision, value, why)


def _time(where: str, text: str) -> datetime:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None or time.utcoffset() != UTC.utcoffset(None):
        raise InstructionError(f"{where}: expected a time in UTC such as 2026-11-02T09:15:00.000Z, got {text!r}.")
    return time
