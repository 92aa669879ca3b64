"""The lowest threshold that keeps a promise: among the answers that are shown, no more than a wanted share is wrong."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc
from scipy.stats import beta

from stages.metrics.clusters import effective_number
from stages.metrics.confidence import count_shown

LEVEL = 0.95  # how sure we want to be that the promise holds


class Learned(NamedTuple):
    """A threshold that was learned on some pictures.

    Attributes:
        threshold: 0 to 100; None where none can be proven on so few pictures or at such an error rate.
        num_shown: answers at or above it; where there is none, at the threshold that failed, or 0 if every
            threshold shows too few for the test to succeed even without an error.
        num_wrong: wrong ones among them.
    """

    threshold: float | None
    num_shown: int
    num_wrong: int


def lowest_threshold(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    thresholds: NDArray[np.float64],
    wanted_error: float,
    sources: NDArray[np.int64] | None = None,
) -> Learned:
    """Learn the lowest threshold at which the error rate among shown answers is at most the wanted one.

    Trying many thresholds and keeping the best would break the promise more often than LEVEL says. So they are tested
    from the highest down, each with an exact binomial test at LEVEL, until one fails: a sequence fixed beforehand needs
    no correction. It begins where enough answers are shown for a test to succeed at all, which the confidences alone
    decide. The promise holds with LEVEL where errors do not grow rarer with lower confidence.

    Args:
        confidence: of shape (pictures,), float64, 0 to 100.
        right: of shape (pictures,), bool.
        thresholds: candidates, of shape (thresholds,), 0 to 100, ascending.
        wanted_error: share of wrong answers among those that are shown, above 0 and below 1.
        sources: as in `effective_number`: the tests count as many pictures as those of a source are worth.

    Source: Angelopoulos et al. 2021, "Learn then test: calibrating predictive algorithms to achieve risk control",
        fixed sequence testing; the test is whether Clopper and Pearson's upper limit is below the wanted error.
    """
    descending = thresholds[::-1]
    shown = count_shown(confidence, right, descending)
    num_shown, num_wrong = shown.true_positives + shown.false_positives, shown.false_positives
    worth, without_errors = (_worth(wrong, confidence, descending, sources) for wrong in (~right, 0 * right))
    testable = (1 - wanted_error) ** without_errors <= 1 - LEVEL
    wrong_worth = worth * num_wrong / np.maximum(num_shown, 1)
    holds = betainc(worth - wrong_worth, wrong_worth + 1, 1 - wanted_error) <= 1 - LEVEL
    if not testable.any():
        return Learned(None, 0, 0)
    start = int(np.argmax(testable))
    num_passed = int(np.argmin(np.append(holds[start:], False)))
    last = start + max(0, num_passed - 1)
    threshold = float(descending[last]) if num_passed else None
    return Learned(threshold, int(num_shown[last]), int(num_wrong[last]))


def _worth(
    wrong: NDArray[Any],
    confidence: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    sources: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Say how many independent pictures the answers at or above each threshold are worth."""
    numbers = np.zeros(len(thresholds))
    for row, threshold in enumerate(thresholds):
        shown = confidence >= threshold
        numbers[row] = effective_number(wrong[shown].astype(np.float64), None if sources is None else sources[shown])
    return numbers


def upper_limit(num_wrong: float, num_shown: float) -> float | None:
    """Compute the share of wrong answers that the true one is at most, with LEVEL confidence.

    Args:
        num_wrong: wrong ones among the shown answers; need not be whole.
        num_shown: answers that are shown.

    Returns:
        From 0 to 1; None where nothing is shown.

    Source: Clopper and Pearson 1934, one-sided.
    """
    if not num_shown:
        return None
    return float(beta.ppf(LEVEL, num_wrong + 1, num_shown - num_wrong)) if num_wrong < num_shown else 1.0
