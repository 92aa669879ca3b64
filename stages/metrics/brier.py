"""The Brier score: how far the scores are from 1 for the truth and 0 for every other class, squared."""

import numpy as np
from numpy.typing import NDArray

from stages.metrics.truth import is_known

BLOCK = 2**20  # scores in a block that is widened to float64: 8 MB


def squared_errors(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute each picture's sum over classes of (p - y)^2, with y 1 for the truth and 0 elsewhere.

    A truth that the model does not know is one that was given 0.

    Args:
        scores: of shape (pictures, classes), float32; read by blocks, so a memory map will do.
        truth: of shape (pictures,), int64: numbers of classes, NO_CLASS where there is none.

    Returns:
        Of shape (pictures,), float64, 0 to 2; lower is better. Their mean is a set's Brier score.

    Source: Brier 1950, "Verification of forecasts expressed in terms of probability"; as in scikit-learn 1.9,
        `sklearn.metrics.brier_score_loss` with several classes.
    """
    num_pictures, num_classes = scores.shape
    errors = np.ones(num_pictures)
    step = max(1, BLOCK // max(1, num_classes))
    for start in range(0, num_pictures, step):
        block = scores[start : start + step].astype(np.float64)
        errors[start : start + step] += np.einsum("ij,ij->i", block, block)
    known = np.flatnonzero(is_known(truth, num_classes))
    errors[known] -= 2 * scores[known, truth[known]].astype(np.float64)
    return errors
