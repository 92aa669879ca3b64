"""Which labels are probably wrong: what a linear classifier on the embeddings of the other pictures says of each."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stages.embeddings.discriminant import held_out_log_scores
from stages.metrics.truth import NO_CLASS, is_known


class LabelIssues(NamedTuple):
    """What the classifier says of the labels.

    Attributes:
        best: of shape (pictures,), int64: the class that it takes a picture for; NO_CLASS where it cannot say.
        self_confidence: of shape (pictures,), float64: logarithm of the probability of the label; lower is more likely
            mislabelled. NaN where the label is not one of the model's classes.
        doubted: of shape (pictures,), bool: whether the label is among the most doubtful.
    """

    best: NDArray[np.int64]
    self_confidence: NDArray[np.float64]
    doubted: NDArray[np.bool_]

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Take some of the pictures."""
        return self._replace(
            best=self.best[rows], self_confidence=self.self_confidence[rows], doubted=self.doubted[rows]
        )


def find_label_issues(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    num_classes: int,
    folds: NDArray[np.int64],
    judges: NDArray[np.bool_],
    fraction: float,
) -> LabelIssues:
    """Judge each label by a linear classifier that was shown neither the picture nor its near-duplicates.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        labels: of shape (pictures,), int64; NO_CLASS, or num_classes and more, for what the model does not know.
        num_classes: of the model.
        folds: of shape (pictures,), int64: the classifier of a fold is fitted without it.
        judges: of shape (pictures,), bool: whether a picture is fitted to.
        fraction: of the pictures with a known label that are doubted at most, 0 to 1: the most doubtful.

    Source: Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", section
        3.2, for out-of-sample scores and for ranking by self-confidence. Which pictures are doubted needs no confident
        joint here: it listed four in ten of clothes, and the first hundred were the same
        (docs/measurements/review.md).
    """
    known = is_known(labels, num_classes)
    best, own = np.full(len(labels), NO_CLASS, np.int64), np.full(len(labels), np.nan)
    fitted = np.where(known & judges, labels, NO_CLASS)
    for rows, scores in held_out_log_scores(vectors, fitted, folds, num_classes):
        best[rows] = scores.argmax(axis=1)
        labelled = known[rows]
        own[rows[labelled]] = scores[labelled, labels[rows[labelled]]]
    candidates = (best != NO_CLASS) & (best != labels) & np.isfinite(own)
    return LabelIssues(best, own, _most_doubtful(candidates, own, int(fraction * known.sum())))


def _most_doubtful(candidates: NDArray[np.bool_], own: NDArray[np.float64], num_most: int) -> NDArray[np.bool_]:
    rows = np.flatnonzero(candidates)
    first = rows[np.argsort(own[rows], kind="stable")][:num_most]
    doubted = np.zeros(len(candidates), dtype=bool)
    doubted[first] = True
    return doubted
