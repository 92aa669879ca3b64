"""Accuracy: the rank of a picture's true class among the model's scores."""

import numpy as np
from numpy.typing import NDArray

from stages.metrics.truth import is_known

BLOCK = 2**22  # scores that are compared at a time


def truth_ranks(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Count the classes that the model ranks before each picture's true one.

    Of classes with the same score the one in the earlier column is ranked first, as `argmax` does.

    Args:
        scores: of shape (pictures, classes), float32; read by blocks, so a memory map will do.
        truth: of shape (pictures,), int64: numbers of classes, NO_CLASS where there is none.

    Returns:
        Of shape (pictures,), int64: 0 where the truth comes first; the number of classes where it is not among them.
    """
    num_pictures, num_classes = scores.shape
    ranks = np.full(num_pictures, num_classes, dtype=np.int64)
    columns = np.arange(num_classes)
    step = max(1, BLOCK // max(1, num_classes))
    for start in range(0, num_pictures, step):
        rows = start + np.flatnonzero(is_known(truth[start : start + step], num_classes))
        block, truth_scores = scores[rows], scores[rows, truth[rows]][:, None]
        ranks[rows] = np.count_nonzero(block > truth_scores, axis=1)
        equal = block == truth_scores
        tied = np.count_nonzero(equal, axis=1) > 1
        ranks[rows[tied]] += (equal[tied] & (columns < truth[rows[tied]][:, None])).sum(axis=1)
    return ranks


def top_k_accuracy(ranks: NDArray[np.int64], num_classes: int, k: int) -> float | None:
    """Compute the fraction of pictures whose true class is among the first k.

    Args:
        ranks: what `truth_ranks` returned.
        num_classes: how many classes the model knows.
        k: at least 1.

    Returns:
        From 0 to 1; None without pictures, or when there are no more than k classes: then every class is among them.

    Source: scikit-learn 1.9, `sklearn.metrics.top_k_accuracy_score`, which ranks equal scores the other way round.
    """
    return float(np.mean(ranks < k)) if len(ranks) and num_classes > k else None
