"""Log loss, and log loss in which confusing easily confused classes weighs less."""

import numpy as np
from numpy.typing import NDArray

from stages.metrics.truth import is_known

EPSILON = float(np.finfo(np.float32).eps)  # what scikit-learn clips a float32 matrix with
BLOCK = 2**20  # scores in a block that is widened to float64: 8 MB


def log_losses(
    scores: NDArray[np.float32],
    truth: NDArray[np.int64],
    pairs: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Compute each picture's log loss and its weighted log loss.

    With y 1 for the truth and 0 elsewhere, the first is -sum over classes c of y_c log p_c; the second adds
    -sum of w(truth, c) (1 - y_c) log(1 - p_c). Scores are clipped to [EPSILON, 1 - EPSILON] as float64. A truth that
    the model does not know, or none, counts as one that was given EPSILON.

    Args:
        scores: of shape (pictures, classes), float32, rows that sum to 1; read by blocks, so a memory map will do.
        truth: of shape (pictures,), int64: numbers of classes, NO_CLASS where there is none.
        pairs: of shape (pairs, 2), int64: numbers of truth and answer, two different classes; each pair once, the
            answer a class of the model.
        weights: of shape (pairs,), float64, 0 to 1: w of each pair; that of every other is 1.

    Returns:
        Two arrays of shape (pictures,), float64, nats; lower is better. Their means are a set's figures.

    Source: scikit-learn 1.9, `sklearn.metrics.log_loss`; the weighted one is docs/design.md's formula, after
        "Learnings from a Machine Learning Engineer, part 3" (Towards Data Science, 2025).
    """
    num_pictures, num_classes = scores.shape
    known = is_known(truth, num_classes)
    truth_scores = np.full(num_pictures, EPSILON)
    truth_scores[known] = _clip(scores[np.flatnonzero(known), truth[known]])
    loss = -np.log(truth_scores)
    others = _log_of_rest(scores)
    others[known] -= np.log(1 - truth_scores[known])
    for (true_class, answer), weight in zip(pairs, weights, strict=True):
        rows = np.flatnonzero(truth == true_class)
        others[rows] -= (1 - weight) * np.log(1 - _clip(scores[rows, answer]))
    return loss, loss - others


def _log_of_rest(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum log(1 - p) over all classes of each picture."""
    num_pictures, num_classes = scores.shape
    sums = np.empty(num_pictures)
    step = max(1, BLOCK // max(1, num_classes))
    for start in range(0, num_pictures, step):
        block = _clip(scores[start : start + step])
        np.subtract(1, block, out=block)
        sums[start : start + step] = np.log(block, out=block).sum(axis=1)
    return sums


def _clip(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    wide = scores.astype(np.float64)
    return np.clip(wide, EPSILON, 1 - EPSILON, out=wide)
