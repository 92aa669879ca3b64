"""What a model answered for each picture: the figures of every set are counts and means over these arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.accuracy import truth_ranks
from stages.metrics.brier import squared_errors
from stages.metrics.log_loss import log_losses
from stages.metrics.truth import NO_CLASS, is_known


@dataclass(frozen=True)
class Answers:
    """What a model answered for some pictures, with the truth.

    A class is a number: that of its column in the scores, or one past the columns when the model does not know it.

    Attributes:
        names: class names by number; the model's first.
        num_classes: how many of them the model knows.
        truth: of shape (pictures,), int64; NO_CLASS where there is none.
        predicted: of shape (pictures,), int64, below `num_classes`.
        confidence: of shape (pictures,), float64, 0 to 100.
        rank: of shape (pictures,), int64: how many classes the model places before the truth.
        log_loss: of shape (pictures,), float64, nats; lower is better.
        weighted_log_loss: of shape (pictures,), float64; lower is better.
        squared_error: of shape (pictures,), float64, 0 to 2; lower is better.
        source: of shape (pictures,), int64: pictures of one source share a number; None where no source is known.
        in_scope: of shape (pictures,), bool: whether the picture is near enough to some class; None where all are.
    """

    names: tuple[str, ...]
    num_classes: int
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    rank: NDArray[np.int64]
    log_loss: NDArray[np.float64]
    weighted_log_loss: NDArray[np.float64]
    squared_error: NDArray[np.float64]
    source: NDArray[np.int64] | None = None
    in_scope: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether the answer is the truth; never where there is none."""
        right: NDArray[np.bool_] = self.truth == self.predicted
        return right

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether the model knows the true class; where it does not, every answer is an error."""
        return is_known(self.truth, self.num_classes)

    @property
    def out_of_scope(self) -> bool:
        """Whether none of the pictures belongs to a class: whatever is answered is wrong. False without pictures."""
        return len(self) > 0 and bool((self.truth == NO_CLASS).all())

    @property
    def decisive(self) -> NDArray[np.float64]:
        """What is compared with a threshold: the confidence, and below every threshold where not in scope."""
        return self.confidence if self.in_scope is None else np.where(self.in_scope, self.confidence, -1.0)

    def shown(self, threshold: float) -> NDArray[np.bool_]:
        """Whether the user is shown the answer: it is confident enough, and the picture is in scope.

        Args:
            threshold: confidence from which an answer is shown, 0 to 100.
        """
        shown: NDArray[np.bool_] = self.decisive >= threshold
        return shown

    def acceptable(self, threshold: float) -> NDArray[np.bool_]:
        """Whether the answer is right or, for a picture that belongs to no class, not shown.

        Args:
            threshold: confidence from which an answer is shown, 0 to 100.
        """
        hidden: NDArray[np.bool_] = (self.truth == NO_CLASS) & ~self.shown(threshold)
        return self.right | hidden

    def take(self, rows: slice | NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Take some of the pictures.

        Args:
            rows: a slice, a mask or numbers of rows.
        """
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        taken: dict[str, Any] = {
            name: value[rows] if isinstance(value, np.ndarray) else value for name, value in values.items()
        }
        return type(self)(**taken)


def gather_answers(
    rows: pd.DataFrame, prefix: str, matrix: NDArray[np.float32], classes: Sequence[str], confused: pd.DataFrame
) -> Answers:
    """Compare a model's answers with the truth.

    Args:
        rows: columns `truth`, `source`, and `predicted`, `confidence` and `in_scope` with the prefix.
        prefix: empty for the new model, `base_` for the base.
        matrix: of shape (rows, classes), float32; a memory map will do.
        classes: names of the columns of `matrix`.
        confused: columns `truth`, `predicted`, `weight`; those with a class that is not here are ignored.

    Returns:
        In the order of the rows.
    """
    names = pd.Index([*classes, *sorted(set(rows["truth"].dropna()) - set(classes))])
    truth, predicted = (
        names.get_indexer(pd.Index(rows[column])).astype(np.int64) for column in ("truth", f"{prefix}predicted")
    )
    pairs = np.stack([names.get_indexer(pd.Index(confused[column])) for column in ("truth", "predicted")], axis=1)
    known = (pairs[:, 0] >= 0) & (pairs[:, 1] >= 0) & (pairs[:, 1] < len(classes))
    loss, weighted = log_losses(matrix, truth, pairs[known], confused["weight"].to_numpy()[known])
    confidence = rows[f"{prefix}confidence"].to_numpy(dtype=np.float64)
    ranks, squared = truth_ranks(matrix, truth), squared_errors(matrix, truth)
    return Answers(
        tuple(names),
        len(classes),
        truth,
        predicted,
        confidence,
        ranks,
        loss,
        weighted,
        squared,
        _numbered(rows["source"]),
        rows[f"{prefix}in_scope"].to_numpy(dtype=bool),
    )


def _numbered(sources: pd.Series) -> NDArray[np.int64] | None:
    """Number the sources; a picture without one has a number of its own."""
    codes = pd.factorize(sources)[0].astype(np.int64)
    alone = codes < 0
    if alone.all():
        return None
    codes[alone] = codes.max() + 1 + np.arange(alone.sum())
    return codes
