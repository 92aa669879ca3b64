"""How far a fraction that was counted on few pictures can be trusted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, binomtest

from stages.metrics.clusters import effective_number

LEVEL = 0.95  # the usual one: of twenty true fractions, one lies outside its interval


def clopper_pearson(count: int, total: int) -> tuple[float, float] | None:
    """Compute the exact interval of a fraction that was counted; it covers the true one at least LEVEL of the times.

    Args:
        count: pictures of which something holds, 0 to `total`.
        total: pictures.

    Returns:
        Lowest and highest fraction, 0 to 1; None without pictures.

    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
        binomial".
    """
    if total == 0:
        return None
    interval = binomtest(count, total).proportion_ci(LEVEL, method="exact")
    return float(interval.low), float(interval.high)


def fraction_interval(holds: NDArray[np.bool_], sources: NDArray[np.int64] | None) -> tuple[float, float] | None:
    """Compute the interval of the fraction of pictures of which something holds.

    Args:
        holds: of shape (pictures,).
        sources: as in `effective_number`: pictures of one source are worth fewer independent ones.

    Returns:
        As `clopper_pearson`, and the same where no source has several pictures.
    """
    count, total = int(holds.sum()), len(holds)
    number = effective_number(holds.astype(np.float64), sources)
    if number == total:
        return clopper_pearson(count, total)
    (low, high) = clopper_pearson_intervals(np.array([count / total * number]), np.array([number]))[0]
    return float(low), float(high)


def fraction_intervals(
    holds: NDArray[np.bool_], parts: NDArray[np.int64], sources: NDArray[np.int64] | None
) -> NDArray[np.float64]:
    """Compute the interval of the fraction in every part of the pictures, such as each class.

    Args:
        holds: of shape (pictures,).
        parts: of shape (pictures,), int64, at least 0: the part of each picture.
        sources: as in `fraction_interval`.

    Returns:
        Of shape (parts that have pictures, 2), float64: lowest and highest fraction, in the order of the parts.
    """
    totals, counts = np.bincount(parts), np.bincount(parts, holds)
    used = np.flatnonzero(totals)
    numbers = totals[used].astype(np.float64)
    if sources is not None:
        rows = (np.flatnonzero(parts == part) for part in used)
        numbers = np.array([effective_number(holds[own].astype(np.float64), sources[own]) for own in rows])
    return clopper_pearson_intervals(counts[used] * (numbers / totals[used]), numbers)


def clopper_pearson_intervals(counts: NDArray[Any], totals: NDArray[Any]) -> NDArray[np.float64]:
    """Compute the intervals of many fractions at once: 2 ms for 1,000, for which `clopper_pearson` takes 3 s.

    Args:
        counts: of shape (fractions,); need not be whole.
        totals: of shape (fractions,), at least 1.

    Returns:
        Of shape (fractions, 2), float64: lowest and highest fraction.
    """
    tail = (1 - LEVEL) / 2
    # The beta distribution is not defined where nothing or everything was counted: there the ends are 0 and 1.
    low = np.where(counts > 0, beta.ppf(tail, counts, totals - counts + 1), 0.0)
    high = np.where(counts < totals, beta.ppf(1 - tail, counts + 1, totals - counts), 1.0)
    return np.stack([low, high], axis=1)
