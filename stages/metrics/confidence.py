"""What a threshold on the confidence does: how many answers are shown, and how many of those are wrong."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Shown(NamedTuple):
    """Answers at or above a threshold, counted; an integer, or an array with one entry per threshold."""

    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]


def count_shown(confidence: NDArray[np.float64], right: NDArray[np.bool_], thresholds: NDArray[np.float64]) -> Shown:
    """Count the right and the wrong answers at or above each threshold.

    Args:
        confidence: of shape (pictures,), float64, 0 to 100.
        right: of shape (pictures,), bool.
        thresholds: of shape (thresholds,), float64, 0 to 100.

    Returns:
        Arrays of shape (thresholds,). As shares of all pictures they are the true and the false positive fraction;
        their sum is the coverage, the second over the sum the selective risk.

    Source: El-Yaniv and Wiener 2010, "On the foundations of noise-free selective classification".
    """
    hits, misses = np.sort(confidence[right]), np.sort(confidence[~right])
    return Shown(
        len(hits) - np.searchsorted(hits, thresholds, "left"),
        len(misses) - np.searchsorted(misses, thresholds, "left"),
    )
