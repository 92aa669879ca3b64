"""Whether a confidence of 90 is right nine times in ten: the reliability diagram, and how far it is off on average."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NUM_BINS = 15  # as in the paper, so that figures compare


class Reliability(NamedTuple):
    """The bins of the confidence that hold pictures, in ascending order.

    Attributes:
        confidence: mean confidence in each bin, of shape (bins,), float64, 0 to 100.
        accuracy: fraction of right answers in each bin, of shape (bins,), float64, 0 to 1.
        num_pictures: of shape (bins,), int64.
        num_right: of shape (bins,), int64.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    num_pictures: NDArray[np.int64]
    num_right: NDArray[np.int64]


def reliability(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Reliability:
    """Compare confidence and accuracy in NUM_BINS bins of equal width; a bin holds its upper edge.

    Args:
        confidence: of shape (pictures,), float64, 0 to 100.
        right: of shape (pictures,), bool.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 2.
    """
    bins = bin_numbers(confidence)
    counts, hits, sums = (np.bincount(bins, weights, NUM_BINS) for weights in (None, right, confidence))
    used = counts > 0
    number, num_right = counts[used].astype(np.int64), hits[used].astype(np.int64)
    return Reliability(sums[used] / number, num_right / number, number, num_right)


def bin_numbers(confidence: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number the bin of each confidence, from 0."""
    inner_edges = np.arange(1, NUM_BINS) * (100 / NUM_BINS)
    return np.searchsorted(inner_edges, confidence, "left").astype(np.int64)


def expected_calibration_error(bins: Reliability) -> float | None:
    """Compute the mean distance of confidence and accuracy, each bin weighted by its pictures.

    Returns:
        From 0 to 1, lower is better; None without pictures.

    Source: Guo et al. 2017, equation 3.
    """
    total = bins.num_pictures.sum()
    gaps = np.abs(bins.accuracy - bins.confidence / 100)
    return float(gaps @ bins.num_pictures / total) if total else None
