"""Two models on the same pictures: how likely a difference is chance, and how large it may be."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from stages.metrics.clusters import effective_number, is_clustered

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


def sign_test(differences: NDArray[np.int64], sources: NDArray[np.int64]) -> float:
    """Test whether two models differ where pictures of one source are right or wrong together.

    Were the models equally good, each source's wins minus losses would be as likely with the other sign. The
    distribution of their sum is exact; with one picture per source this is `mcnemar`.

    Args:
        differences: of shape (pictures,): 1 where only the first model is right, -1 where only the second is, else 0.
        sources: of shape (pictures,): pictures of one source share a number.

    Returns:
        The chance of a sum at least as far from 0, 0 to 1.

    Source: Fisher 1935, "The design of experiments", section 21, the test of signs that are given at random.
    """
    nets = np.bincount(np.unique(sources, return_inverse=True)[1], differences).astype(np.int64)
    chances = np.ones(1)
    for net in np.abs(nets[nets != 0]):
        padding = np.zeros(2 * net)
        chances = (np.concatenate([chances, padding]) + np.concatenate([padding, chances])) / 2
    sums = np.arange(len(chances)) - len(chances) // 2
    return float(min(1.0, chances[np.abs(sums) >= abs(nets.sum())].sum()))


def paired_interval(
    differences: NDArray[np.float64], seed: int, level: float, sources: NDArray[np.int64] | None = None
) -> tuple[float, float] | None:
    """Compute the bootstrap interval of a mean difference.

    A picture is drawn with the answers of both models to it; where sources are known, a source with all its pictures.

    Args:
        differences: new minus base, of shape (pictures,).
        seed: of the drawing.
        level: share of intervals that hold the true mean, such as 0.95.
        sources: of shape (pictures,): pictures of one source share a number; None where no source is known.

    Returns:
        Its ends, by percentiles; None without pictures. One source alone says nothing of others: the ends are then the
        lowest and the highest difference.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", chapter 13; of sources, Davison and Hinkley
        1997, "Bootstrap methods and their application", section 3.8.
    """
    if not len(differences):
        return None
    rng = np.random.default_rng(seed)
    if sources is not None and is_clustered(sources):
        codes = np.unique(sources, return_inverse=True)[1]
        if not codes.any():
            return float(differences.min()), float(differences.max())
        means = _means_of_sources(np.bincount(codes, differences).astype(np.float64), np.bincount(codes), rng)
    else:
        means = _resampled_means(np.asarray(differences, dtype=np.float64), rng)
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


def _means_of_sources(
    sums: NDArray[np.float64], sizes: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    means, step = np.empty(NUM_RESAMPLES), max(1, CHUNK // len(sums))
    for start in range(0, NUM_RESAMPLES, step):
        block = means[start : start + step]
        drawn = rng.integers(0, len(sums), (len(block), len(sums)))
        block[:] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def share_interval(
    differences: NDArray[np.float64],
    weights: NDArray[np.float64],
    level: float,
    sources: NDArray[np.int64] | None = None,
) -> tuple[float, float] | None:
    """Compute the interval of a difference of two shares of the same pictures.

    Where the models differ on few pictures or none, a bootstrap draws few or none and is too sure; this is not: it
    adds one picture that counts for the new model only, and one that counts for the base only.

    Args:
        differences: of shape (pictures,): each picture's weight where it counts for the new model only, minus its
            weight where it counts for the base only, else 0.
        weights: of shape (pictures,), with mean 1: what each picture weighs.
        level: share of intervals that hold the true difference, such as 0.95.
        sources: as in `effective_number`: pictures of one source are worth fewer independent ones.

    Returns:
        Ends of the new model's share minus the base's, -1 to 1; None without pictures.

    Source: Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions based on
        paired data"; recommended by Fagerland, Lydersen and Laake 2014. Theirs is that of equal weights; of others, a
        picture that is added has their root mean square.
    """
    if not len(differences):
        return None
    number = effective_number(differences, sources)
    worth, total = number / len(differences), number + 2
    middle = worth * differences.sum() / total
    variance = (worth * (differences**2).sum() + 2 * np.mean(weights**2)) / total - middle**2
    reach = float(norm.ppf((1 + level) / 2)) * np.sqrt(variance / total)
    return max(-1.0, float(middle - reach)), min(1.0, float(middle + reach))
