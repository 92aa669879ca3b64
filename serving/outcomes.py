"""What people found about answers in production: data/outcomes/<person>.csv, one file per person.

Columns `transaction,image_id,outcome,value,on,why`. An outcome is one of

    right                 what the user was told is right
    wrong                 it is not: the picture shows the class `value`
    bad_picture           nobody could answer: the picture has the fault `value`
    candidate             out of scope, but the model should learn it: `value` is its name
    out_of_scope          out of scope, and nothing to learn
    prank                 somebody tried what would happen
    should_have_answered  the user was told nothing, and the picture shows the class `value`
    undo                  what this person said of the transaction before is withdrawn

`on` is the time in UTC with milliseconds. Exact repeats collapse; of one person and across people the latest counts;
people who differ are listed. A line that begins with # is a comment; empty lines, and empty columns at a line's end,
count for nothing. Nothing in a file tells who the user was: what users wrote stays in the gateway's log.

The desk says in `why`, too, how the transaction was drawn for review, so that `make usage` counts it in every clone:
`drawn 0.125, one of 41: shown, 2026-W47` has its probability, and how many were drawn of its kind (`Drawing`).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from runtime.errors import InstructionError
from stages.labels.names import composed
from stages.labels.person_files import list_files, read_rows, read_text, read_time

FOLDER = "data/outcomes"
COLUMNS = ("transaction", "image_id", "outcome", "value", "on", "why")
RIGHT, WRONG, BAD_PICTURE, CANDIDATE = "right", "wrong", "bad_picture", "candidate"
OUT_OF_SCOPE, PRANK, SHOULD_HAVE_ANSWERED, UNDO = "out_of_scope", "prank", "should_have_answered", "undo"
OUTCOMES = (RIGHT, WRONG, BAD_PICTURE, CANDIDATE, OUT_OF_SCOPE, PRANK, SHOULD_HAVE_ANSWERED, UNDO)
# What the value of an outcome is, where it needs one.
VALUES = {
    WRONG: "the class that it is",
    BAD_PICTURE: "the fault",
    CANDIDATE: "the name of what it shows",
    SHOULD_HAVE_ANSWERED: "the class that it is",
}
_DRAWN = re.compile(r"(?:^|; )drawn (\S+), one of ([1-9]\d*): ([^;]+)")
_TRANSACTION = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_IMAGE_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, order=True)
class Outcome:
    """One line of a person's file.

    Attributes:
        on: when it was said.
        person: by whom.
        line: its number in the person's file, from 1.
        transaction: what it is about, an identity as the gateway gives it.
        image_id: of the picture that was sent, as the gateway keeps it.
        outcome: one of OUTCOMES.
        value: see VALUES.
        why: what speaks for it.
    """

    on: datetime
    person: str
    line: int
    transaction: str
    image_id: str
    outcome: str
    value: str
    why: str

    @property
    def answer(self) -> tuple[str, str]:
        """What is said of the transaction: the outcome, and its value where it has one."""
        return self.outcome, self.value if self.outcome in VALUES else ""


class Drawing(NamedTuple):
    """How a transaction was drawn for review.

    Attributes:
        probability: with which it was drawn, above 0 and up to 1.
        cell: as `intake.harvest.cells` names it.
        num: how many of the cell had been drawn when it was judged, itself too.
    """

    probability: float
    cell: str
    num: int

    @property
    def note(self) -> str:
        """What stands in `why`; `drawing_of` reads exactly the same from it."""
        return f"drawn {self.probability!r}, one of {self.num}: {self.cell}"


class Settled(NamedTuple):
    """What counts, when all outcomes are taken together.

    Attributes:
        counting: by transaction, the outcome that counts.
        disputes: of each transaction about which people differ, in their order: the latest of each person, the one that
            counts last.
    """

    counting: dict[str, Outcome]
    disputes: tuple[tuple[Outcome, ...], ...]


def read_outcomes(folder: str | Path = FOLDER) -> list[Outcome]:
    """Read every person's file.

    Args:
        folder: holds `<person>.csv`; an absent folder holds none.

    Returns:
        The outcomes in the order of time; those of one instant by person and line.

    Raises:
        InstructionError: a line cannot be read; or something in the folder is no `<person>.csv`.
    """
    return sorted(each for path in list_files(folder) for each in parse_outcomes(read_text(path), path))


def parse_outcomes(text: str, path: str | Path) -> list[Outcome]:
    """Read the text of a person's file, its line ends as they are.

    Args:
        text: of the file.
        path: of the file, which names the person.

    Returns:
        The outcomes in the order of the lines.

    Raises:
        InstructionError: a line cannot be read.
    """
    rows = read_rows(text, str(path), COLUMNS)
    return [_outcome(Path(path), number, fields) for number, fields in rows]


def drawing_of(why: str) -> Drawing | None:
    """Read how a transaction was drawn; None where `why` does not say it, as that of a row that was typed by hand."""
    found = _DRAWN.search(why)
    try:
        drawing = Drawing(float(found[1]), found[3], int(found[2])) if found else None
    except ValueError:
        return None
    return drawing if drawing and 0 < drawing.probability <= 1 else None


def standing(outcomes: Iterable[Outcome]) -> dict[str, dict[str, Outcome]]:
    """List what each person says last of each transaction and did not withdraw.

    Args:
        outcomes: in the order of time.

    Returns:
        By transaction, person to outcome, the latest last; a transaction of which nothing stands is left out.
    """
    stands: dict[str, dict[str, Outcome]] = {}
    for each in outcomes:
        said = stands.setdefault(each.transaction, {})
        said.pop(each.person, None)  # the latest is last
        if each.outcome != UNDO:
            said[each.person] = each
    return {transaction: said for transaction, said in stands.items() if said}


def settle(outcomes: Iterable[Outcome]) -> Settled:
    """Decide what counts: of each transaction, the latest that was not withdrawn.

    Args:
        outcomes: in the order of time.
    """
    stands = {transaction: tuple(said.values()) for transaction, said in standing(outcomes).items()}
    return Settled(
        counting={transaction: said[-1] for transaction, said in stands.items()},
        disputes=tuple(said for _, said in sorted(stands.items()) if len({each.answer for each in said}) > 1),
    )


def _outcome(path: Path, number: int, fields: list[str]) -> Outcome:
    where = f"{path}, line {number}"
    if len(fields) != len(COLUMNS):
        raise InstructionError(
            f"{where}: expected {len(COLUMNS)} fields ({','.join(COLUMNS)}), got {len(fields)}. Correct the line."
        )
    transaction, image_id, outcome, value, on, why = fields
    transaction, image_id, value = transaction.lower(), image_id.lower(), composed(value.strip())
    if not _TRANSACTION.fullmatch(transaction):
        raise InstructionError(
            f"{where}: expected a transaction such as 01a21c44-f07f-7e89-87a7-fd10adc1e8a9, got {transaction!r}. "
            "Copy it from build/harvest/transactions.parquet."
        )
    if not _IMAGE_ID.fullmatch(image_id):
        raise InstructionError(f"{where}: expected an image_id of 32 hex digits, got {image_id!r}. Correct the line.")
    if outcome not in OUTCOMES:
        raise InstructionError(f"{where}: expected one of {', '.join(OUTCOMES)}, got {outcome!r}. Correct the line.")
    if outcome in VALUES and not value:
        raise InstructionError(f"{where}: {outcome} needs {VALUES[outcome]} as its value. Add it, or delete the line.")
    return Outcome(_time(where, on), path.stem, number, transaction, image_id, outcome, value, why)


def _time(where: str, text: str) -> datetime:
    time = read_time(text)
    if time is None:
        raise InstructionError(
            f"{where}: expected a time in UTC such as 2026-11-27T09:15:00.000Z, got {text!r}. Correct the line."
        )
    return time
