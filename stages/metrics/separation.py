"""How well the confidence tells two groups of pictures apart: right from wrong, in scope from out of scope."""

import numpy as np
from numpy.typing import NDArray

TRUE_POSITIVE_RATE = 0.95  # at which the field reports the false positive rate


def separation(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float | None:
    """Compute the area under the ROC curve of the confidence.

    Args:
        inside: confidences that should be high, of shape (pictures,), float64.
        outside: confidences that should be low, of shape (pictures,), float64.

    Returns:
        The chance that one of the first is above one of the second, ties counted half, 0 to 1; None where one is empty.

    Source: Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic curve".
    """
    if not len(inside) or not len(outside):
        return None
    ordered = np.sort(outside)
    below, up_to = (np.searchsorted(ordered, inside, side) for side in ("left", "right"))
    return float((below + up_to).sum()) / (2 * len(inside) * len(outside))


def false_positive_rate(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float | None:
    """Compute the fraction of the second group that is accepted where TRUE_POSITIVE_RATE of the first is.

    The threshold is the highest confidence that accepts at least this share of the first group.

    Args:
        inside: confidences that should be accepted, of shape (pictures,), float64.
        outside: confidences that should be refused, of shape (pictures,), float64.

    Returns:
        From 0 to 1, lower is better; None where one is empty.

    Source: Liang, Li and Srikant 2018, "Enhancing the reliability of out-of-distribution image detection in neural
        networks", which reports the rate at 95 %.
    """
    if not len(inside) or not len(outside):
        return None
    num_accepted = int(np.ceil(TRUE_POSITIVE_RATE * len(inside) - 1e-9))  # 0.95 x 20 is not 19 in floating point
    threshold = np.sort(inside)[len(inside) - num_accepted]
    return float(np.mean(outside >= threshold))
