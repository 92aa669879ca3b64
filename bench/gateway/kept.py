"""Compare what was answered with what the log has, and what the log had with what is at the place it ships to."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.gateway.load import Outcome
from runtime.digest import md5_of_bytes
from serving.onnx_model import Answer
from serving.transactions import ANSWERED

TOLERANCE = 0.01  # of a confidence, 0 to 100
SCORE_TOLERANCE = 1e-3  # of a score, 0 to 1, which the log rounds to float16
Row = Mapping[str, Any]
# What each version answers to each photo: its best class and the confidence.
Expected = Mapping[int, Sequence[tuple[str, float]]]


class Kept(NamedTuple):
    """Answers beside rows.

    Attributes:
        num_answers: with status 200.
        unlogged: transactions that were answered, and whose row is not there or says something else.
    """

    num_answers: int
    unlogged: list[str]

    @classmethod
    def of(cls, outcomes: Iterable[Outcome], rows: Iterable[Row]) -> "Kept":
        """Compare answers with rows."""
        statuses = {row["transaction_id"]: row["status"] for row in rows}
        answered = [outcome.body["transaction"] for outcome in outcomes if outcome.status == 200]
        return cls(len(answered), [each for each in answered if statuses.get(each) != ANSWERED])


class Shipped(NamedTuple):
    """What the log had beside what is at the place: missing there, there more than once, and there alone."""

    missing: list[str]
    repeated: list[str]
    foreign: list[str]

    @classmethod
    def of(cls, logged: Collection[str], there: Iterable[str]) -> "Shipped":
        """Compare transactions.

        Args:
            logged: all that the log ever had.
            there: of all rows at the place, as often as they are there.
        """
        counts = Counter(there)
        return cls(
            sorted(set(logged) - counts.keys()),
            sorted(each for each, number in counts.items() if number > 1),
            sorted(counts.keys() - set(logged)),
        )


def wrong_pictures(rows: Iterable[Row], path_of: Callable[[str], Path]) -> list[str]:
    """List the pictures that rows name and that are not there, or have another digest."""
    named = sorted({row["image_id"] for row in rows} - {None})
    return [each for each in named if not _has_digest(path_of(each), each)]


def other_versions(outcomes: Iterable[Outcome], rows: Iterable[Row], expected: Expected) -> list[str]:
    """List the answers whose row or body names another version than the one whose answer they have.

    Args:
        outcomes: those that are not 200 are left out.
        rows: of the log.
        expected: no two versions may answer a photo alike.
    """
    by_transaction = {row["transaction_id"]: row for row in rows}
    wrong = []
    for outcome in outcomes:
        if outcome.status != 200:
            continue
        body, row = outcome.body, by_transaction.get(outcome.body["transaction"])
        told = body["version"], body["answer"]["class"], body["answer"]["confidence"]
        logged = (row["version"], row["class_1"], row["confidence_1"]) if row else (None, "", 0.0)
        if told[0] != logged[0] or not all(_is_of(*each, outcome.photo, expected) for each in (told, logged)):
            wrong.append(body["transaction"])
    return wrong


def says(row: Row, answer: Answer) -> bool:
    """Say whether a row of the log has an answer: its version, its best class, and all its scores."""
    scores = np.frombuffer(row["scores"] or b"", "<f2")
    given = np.asarray(answer["scores"], np.float16)
    is_same = (row["version"], row["class_1"], scores.shape) == (answer["version"], answer["classes"][0], given.shape)
    return is_same and bool(np.allclose(scores, given, rtol=0, atol=SCORE_TOLERANCE))


def _is_of(version: int, class_name: str, confidence: float, photo: int, expected: Expected) -> bool:
    true_class, true_confidence = expected[version][photo]
    return class_name == true_class and abs(confidence - true_confidence) < TOLERANCE


def _has_digest(path: Path, digest: str) -> bool:
    return path.is_file() and md5_of_bytes(path.read_bytes()) == digest
