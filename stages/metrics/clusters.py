"""Pictures of one source are right or wrong together: how many independent ones they are worth.

Source: Kish 1965, "Survey sampling", the design effect; its use for a fraction and the correction for few clusters are
Korn and Graubard's, 1998, "Confidence intervals for proportions with small expected number of positive counts estimated
from survey data".
"""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

LEVEL = 0.95  # of the intervals for which few sources are corrected


def is_clustered(sources: NDArray[np.int64] | None) -> bool:
    """Say whether some source has several of the pictures; None stands for no source at all."""
    return sources is not None and len(np.unique(sources)) < len(sources)


def effective_number(values: NDArray[np.float64], sources: NDArray[np.int64] | None) -> float:
    """Compute how many independent pictures would tell the mean of some values as well.

    Args:
        values: of shape (pictures,).
        sources: of shape (pictures,), int64: pictures of one source share a number. None where no source is known.

    Returns:
        From 1 to the number of pictures: exactly that where no source has several. Where all values are equal, nothing
        shows how alike a source's pictures are, and they count as if they were quite alike.
    """
    number = len(values)
    if sources is None or not is_clustered(sources):
        return number
    codes = np.unique(sources, return_inverse=True)[1]
    sizes = np.bincount(codes)
    if len(sizes) == 1:
        return 1.0
    residuals = values - values.mean()
    square = float((residuals**2).sum())
    together = float((np.bincount(codes, residuals) ** 2).sum())
    # From few sources, how alike they are is itself known badly.
    few = float((t.ppf((1 - LEVEL) / 2, number - 1) / t.ppf((1 - LEVEL) / 2, len(sizes) - 1)) ** 2)
    effect = together / square if square > 1e-12 * number else float((sizes**2).sum()) / number
    return max(1.0, few * number / max(1.0, effect))
