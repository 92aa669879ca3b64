"""Two models on the same pictures: how likely a difference is chance, and between what it lies."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

NUM_RESAMPLES = 2000  # the ends of an interval then vary by about a fortieth of its width
CHUNK = 2**22  # pictures that are drawn at once: 32 MB of numbers


def mcnemar(wins: NDArray[np.int64], losses: NDArray[np.int64]) -> NDArray[np.float64]:
    """Test whether two models differ, by the pictures that only one of them has right.

    Args:
        wins: pictures that only the first has right, any shape.
        losses: pictures that only the second has right, likewise.

    Returns:
        Likewise, float64: the chance of a split at least as uneven were the two equally good, 0 to 1.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions or percentages",
        in its exact form, two-sided.
    """
    chance: NDArray[np.float64] = 2 * binom.cdf(np.minimum(wins, losses), wins + losses, 0.5)
    return np.minimum(1.0, chance)


def paired_interval(differences: NDArray[np.float64], seed: int, level: float) -> tuple[float, float] | None:
    """Compute the bootstrap interval of a mean difference.

    Both models keep their pictures: a picture is drawn with what the two say of it.

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
    if len(values) * 8 < num_pictures:  # how often each value is drawn is cheaper than which pictures are, and says all
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
    of_wins, of_losses = (wins + 1) / (total + 2), (losses + 1) / (total + 2)
    middle = of_wins - of_losses
    reach = float(norm.ppf((1 + level) / 2)) * np.sqrt((of_wins + of_losses - middle**2) / (total + 2))
    return max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))
