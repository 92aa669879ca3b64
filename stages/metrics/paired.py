"""Two models on the same pictures: how likely a difference is chance, and how large it may be."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

NUM_RESAMPLES = 2000  # the ends of an interval then vary by about a fortieth of its width
CHUNK = 2**22  # pictures that are drawn at a time: 32 MB of numbers


def mcnemar(wins: int, losses: int) -> float:
    """Test whether two models differ, by the pictures that only one of them has right.

    Args:
        wins: pictures that only the first has right.
        losses: pictures that only the second has right.

    Returns:
        The chance of a split at least as uneven if the two were equally good, 0 to 1.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages",
        in its exact form, two-sided.
    """
    return float(binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0


def paired_interval(differences: NDArray[np.float64], seed: int, level: float) -> tuple[float, float] | None:
    """Compute the bootstrap interval of a mean difference.

    A picture is drawn with the answers of both models to it.

    Args:
        differences: new minus base, of shape (pictures,).
        seed: of the drawing.
        level: share of intervals that hold the true mean, such as 0.95.

    Returns:
        Its ends, by percentiles; None without pictures.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13.
    """
    if not len(differences):
        return None
    means = _resampled_means(np.asarray(differences, dtype=np.float64), np.random.default_rng(seed))
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _resampled_means(differences: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    values, counts = np.unique(differences, return_counts=True)
    num_pictures = len(differences)
    if len(values) * 8 < num_pictures:  # drawing how often each value comes is cheaper
        return rng.multinomial(num_pictures, counts / num_pictures, NUM_RESAMPLES) @ values / num_pictures
    means = np.empty(NUM_RESAMPLES)
    step = max(1, CHUNK // num_pictures)
    for start in range(0, NUM_RESAMPLES, step):
        block = means[start : start + step]
        block[:] = differences[rng.integers(0, num_pictures, (len(block), num_pictures))].mean(axis=1)
    return means


def share_interval(wins: int, losses: int, total: int, level: float) -> tuple[float, float] | None:
    """Compute the interval of a difference of two shares of the same pictures.

    Where the models differ on few pictures or none, a bootstrap draws few or none and is too sure; this is not.

    Args:
        wins: pictures that count for the new model only.
        losses: pictures that count for the base only.
        total: pictures.
        level: share of intervals that hold the true difference, such as 0.95.

    Returns:
        Ends of the new model's share minus the base's, -1 to 1; None without pictures.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on
        paired data"; recommended by Fagerland, Lydersen and Laake 2014.
    """
    if not total:
        return None
    wins_share, losses_share = (wins + 1) / (total + 2), (losses + 1) / (total + 2)
    middle = wins_share - losses_share
    reach = float(norm.ppf((1 + level) / 2)) * np.sqrt((wins_share + losses_share - middle**2) / (total + 2))
    return max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))
