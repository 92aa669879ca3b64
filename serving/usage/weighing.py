"""Estimate shares of all answers from those that were drawn for review with known probabilities."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_TAIL = 0.025  # on each side of an interval of 95 %
_Z = float(stats.norm.ppf(1 - _TAIL))
Probabilities = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Share(NamedTuple):
    """A share of a population, 0 to 1, and where it lies with a confidence of 95 %; None where nothing is known."""

    fraction: float | None
    low: float | None
    high: float | None


UNKNOWN = Share(None, None, None)


def share(is_so: Flags, probability: Probabilities) -> Share:
    """Estimate in what share of a population something is so.

    The estimate is Hajek's: each unit counts 1 / probability, and so does the total. Of the rarer kind, the units that
    were drawn by chance are taken for weighted counts of rare events, whose interval holds for few and for none; what
    the total varies by is added. Units of probability 1 vary by nothing, so a census has no width.

    Args:
        is_so: of each unit that was drawn.
        probability: with which it was drawn, above 0 and up to 1; units are drawn independently of each other.

    Source: Horvitz and Thompson 1952; Hajek 1971; Fay and Feuer 1997, "Confidence intervals for directly standardized
        rates", Statistics in Medicine 16, equations for the gamma interval. We use the variance of drawing,
        w² (1 - probability), in place of Poisson's.
    """
    if not len(is_so):
        return UNKNOWN
    weights = 1 / probability
    fraction = float(weights[is_so].sum() / weights.sum())
    if fraction > 0.5:
        low, high = _around(1 - fraction, ~is_so, weights)
        return Share(fraction, 1 - high, 1 - low)
    return Share(fraction, *_around(fraction, is_so, weights))


def difference(only_first: Share, only_second: Share) -> Share:
    """Estimate how much more often the first is right than the second.

    Args:
        only_first: share in which only the first is right.
        only_second: share in which only the second is.

    Source: Zou and Donner 2008 (MOVER). The two shares exclude each other, so that the interval is rather too wide.
    """
    if None in only_first or None in only_second:
        return UNKNOWN
    one, low, high = (float(value or 0) for value in only_first)
    other, other_low, other_high = (float(value or 0) for value in only_second)
    middle = one - other
    down, up = math.hypot(one - low, other_high - other), math.hypot(high - one, other - other_low)
    return Share(middle, max(-1.0, middle - down), min(1.0, middle + up))


def _around(fraction: float, is_so: Flags, weights: Probabilities) -> tuple[float, float]:
    total = weights.sum()
    spread = weights * (weights - 1)  # the variance that drawing gives each unit: w² (1 - 1/w)
    by_chance = weights > 1 + 1e-9
    drawn = is_so & by_chance
    certain = weights[is_so & ~by_chance].sum()
    largest = float(weights[by_chance].max(initial=0.0))
    low, high = _gamma_interval(float(weights[drawn].sum()), float(spread[drawn].sum()), largest)
    of_total = _Z * fraction * math.sqrt(spread[~is_so & by_chance].sum()) / total
    below = math.hypot(fraction - (certain + low) / total, of_total)
    above = math.hypot((certain + high) / total - fraction, of_total)
    return max(0.0, fraction - below), min(1.0, fraction + above)


def _gamma_interval(total: float, variance: float, largest: float) -> tuple[float, float]:
    """Give the interval of a sum of weights of rare events."""
    low = 0.0
    if variance > 0:
        low = float(variance / (2 * total) * stats.chi2.ppf(_TAIL, 2 * total**2 / variance))
    if largest == 0:
        return low, total
    more, wider = total + largest, variance + largest**2
    return low, float(wider / (2 * more) * stats.chi2.ppf(1 - _TAIL, 2 * more**2 / wider))
