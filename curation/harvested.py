"""Answers in production as the desk shows them: what `make harvest` fetched, in the order in which people judge it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from intake.embeddings import Embedding
from intake.harvest import WRONG, drawings, read_harvest
from serving.outcomes import Drawing


@dataclass(frozen=True, eq=False)
class Answer:
    """What users were told of one picture, as often as they asked; other words are another answer.

    Attributes:
        image_id: of the picture.
        told: the class that they were shown; None: they were given no answer.
        rows: of `intake.harvest.SCHEMA`, one per transaction, in the order of time.
    """

    image_id: str
    told: str | None
    rows: tuple[Mapping[str, Any], ...]

    @property
    def transactions(self) -> tuple[str, ...]:
        """That gave the answer, in the order of time."""
        return tuple(row["transaction_id"] for row in self.rows)

    @property
    def is_complaint(self) -> bool:
        """Whether a user called it wrong."""
        return any(row["feedback"] == WRONG for row in self.rows)


@dataclass(frozen=True)
class Harvested:
    """What was harvested.

    Attributes:
        answers: those that were shown before those that were not; of each, what users complained of first.
        embeddings: of their pictures, comparable with those of the library; of some or all there is none.
        drawings: how each transaction was drawn.
    """

    answers: tuple[Answer, ...]
    embeddings: Mapping[str, Embedding] = field(default_factory=dict, compare=False)
    drawings: Mapping[str, Drawing] = field(default_factory=dict)

    @cached_property
    def of_picture(self) -> dict[str, list[Answer]]:
        """The answers about each picture, by image_id, in their order."""
        found: dict[str, list[Answer]] = {}
        for answer in self.answers:
            found.setdefault(answer.image_id, []).append(answer)
        return found

    @cached_property
    def of_transaction(self) -> dict[str, Answer]:
        """The answer that each transaction gave."""
        return {transaction: answer for answer in self.answers for transaction in answer.transactions}


NOTHING = Harvested(())


def read_harvested() -> Harvested:
    """Read what was harvested; nothing where `make harvest` was never run.

    Raises:
        InputError: the list is damaged.
    """
    table = read_harvest().sort_by("transaction_id")
    grouped: dict[tuple[str, str | None], list[Mapping[str, Any]]] = {}
    for row in table.to_pylist():
        grouped.setdefault((row["image_id"], row["class_1"] if row["shown"] else None), []).append(row)
    answers = [Answer(*key, tuple(members)) for key, members in grouped.items()]
    ordered = sorted(answers, key=lambda a: (a.told is None, not a.is_complaint, a.transactions[0]))
    return Harvested(tuple(ordered), drawings=drawings(table))
