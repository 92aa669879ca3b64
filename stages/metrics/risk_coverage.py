"""How well the confidence ranks right answers before wrong ones, over all thresholds at once: AURC and AUGRC."""

import numpy as np
from numpy.typing import NDArray

from stages.metrics.separation import separation


def aurc(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float | None:
    """Compute the area under the risk-coverage curve.

    It is the mean, over the pictures, of the selective risk at the threshold that just shows the picture. Pictures of
    the same confidence are shown together, so their order does not matter.

    Args:
        confidence: of shape (pictures,), float64.
        right: of shape (pictures,), bool.

    Returns:
        From 0 to 1, lower is better; None without pictures.

    Source: Geifman, Uziel and El-Yaniv 2019, "Bias-reduced uncertainty estimation for deep neural classifiers",
        equation 3.
    """
    if not len(confidence):
        return None
    num_shown, num_wrong = _shown_with(confidence, right)
    return float(np.mean(num_wrong / num_shown))


def augrc(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float | None:
    """Compute the area under the generalized risk-coverage curve, the mean risk of an undetected failure.

    Args:
        confidence: of shape (pictures,), float64.
        right: of shape (pictures,), bool.

    Returns:
        From 0 to 0.5, lower is better; None without pictures.

    Source: Traub et al. 2024, "Overcoming common flaws in the evaluation of selective classification systems": the
        area in terms of accuracy and AUROC of the failures, which spreads equal confidences evenly.
    """
    if not len(confidence):
        return None
    accuracy = float(right.mean())
    area = separation(confidence[right], confidence[~right])
    mixed = (1 - area) * accuracy * (1 - accuracy) if area is not None else 0.0
    return mixed + (1 - accuracy) ** 2 / 2


def coverage_at_risk(confidence: NDArray[np.float64], right: NDArray[np.bool_], wanted_error: float) -> float | None:
    """Compute the largest coverage at which no more than a wanted share of the shown answers is wrong.

    The threshold is the best for these very pictures. That is right for comparing confidences, and too good to be
    promised to users: `wanted_error.lowest_threshold` is for that.

    Args:
        confidence: of shape (pictures,), float64.
        right: of shape (pictures,), bool.
        wanted_error: share of wrong answers among those that are shown.

    Returns:
        From 0 to 1, higher is better; None without pictures.

    Source: Geifman and El-Yaniv 2017, "Selective classification for deep neural networks".
    """
    if not len(confidence):
        return None
    num_shown, num_wrong = _shown_with(confidence, right)
    return float(num_shown[num_wrong <= wanted_error * num_shown].max(initial=0)) / len(confidence)


def _shown_with(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[NDArray[np.int64], ...]:
    """Count, for each picture, the answers at least as confident as its own, and the wrong ones among them."""
    everyone, wrong = np.sort(confidence), np.sort(confidence[~right])
    return tuple(len(values) - np.searchsorted(values, confidence, "left") for values in (everyone, wrong))
