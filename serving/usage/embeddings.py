"""Say whether pictures of the same classes look other than before to the network: a test of two samples of embeddings.

Pictures are compared within their classes, so that more cups than before are no change here: that is for the test of
classes. Each picture has scores: the rank of each of its numbers less the mean of its class, and the rank of how far
the picture is from that mean. Were the two samples alike, who is in which of them would be chance within each class.
So what the scores of one sample add up to has a mean and a covariance that are known exactly, and its square in the
metric of that covariance has about a chi-squared distribution.

Source: Strasser and Weber 1999, "On the asymptotic theory of permutation statistics", Mathematical Methods of
    Statistics 8: the quadratic form, with classes as blocks. Lepage 1971, "A combination of Wilcoxon's and
    Ansari-Bradley's statistics", Biometrika 58, asks about place and spread at once, too.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from serving.projection import NUM

_TINY = 1e-9  # share of the largest variance below which there is none
Numbers = NDArray[np.float64]


class Embeddings(NamedTuple):
    """What a network saw of some pictures.

    Attributes:
        class_names: the best class of each.
        numbers: of shape (pictures, NUM), by `serving.projection`.
    """

    class_names: NDArray[np.object_]
    numbers: NDArray[np.float32]


NONE = Embeddings(np.empty(0, object), np.empty((0, NUM), np.float32))


class Test(NamedTuple):
    """How far two samples are apart, 0 to 1, and how likely that is by chance; None where too little is known."""

    distance: float | None
    p_value: float | None


def of_same_classes(one: Embeddings, other: Embeddings) -> tuple[Embeddings, Embeddings]:
    """Leave out the pictures of classes that only one of the two has."""
    shared = np.intersect1d(one.class_names.astype(str), other.class_names.astype(str))
    first, second = (_of_classes(each, shared) for each in (one, other))
    return first, second


def differ(one: Embeddings, other: Embeddings) -> Test:
    """Compare two samples of the same classes.

    Returns:
        The distance is the largest, of all numbers, between the two cumulative curves.
    """
    names = np.concatenate([one.class_names, other.class_names]).astype(str)
    strata = np.unique(names, return_inverse=True)[1]
    is_first = np.arange(len(names)) < len(one.numbers)
    centred = less_means(np.concatenate([one.numbers, other.numbers]).astype(float), strata)
    far = np.linalg.norm(centred, axis=1)
    scores = stats.rankdata(np.column_stack([centred, far]), axis=0) / len(names)
    distance = max(stats.ks_2samp(each[is_first], each[~is_first], method="asymp").statistic for each in centred.T)
    return Test(float(distance), p_of_chance(scores, strata, is_first))


def p_of_chance(scores: Numbers, strata: NDArray[np.intp], is_first: NDArray[np.bool_]) -> float:
    """Say how likely sums of scores so far from what is expected are, if the first sample is drawn within strata.

    Args:
        scores: of shape (units, scores).
        strata: number of each unit's stratum, from 0.
        is_first: whether a unit is in the first sample.
    """
    sizes = np.bincount(strata).astype(float)
    num_first = np.bincount(strata, is_first)
    centred = less_means(scores, strata)
    variances = num_first * (sizes - num_first) / np.maximum(sizes * (sizes - 1), 1)  # of drawing without replacement
    values, axes = np.linalg.eigh((centred * variances[strata][:, None]).T @ centred)
    varies = values > _TINY * max(values.max(), _TINY)
    along = (axes.T @ centred[is_first].sum(axis=0))[varies]
    return float(stats.chi2.sf((along**2 / values[varies]).sum(), varies.sum())) if varies.any() else 1.0


def less_means(values: Numbers, strata: NDArray[np.intp]) -> Numbers:
    """Subtract from each row the mean of its stratum."""
    sizes = np.bincount(strata)
    means = np.stack([np.bincount(strata, column) for column in values.T], axis=1) / sizes[:, None]
    centred: Numbers = values - means[strata]
    return centred


def _of_classes(sample: Embeddings, names: NDArray[np.str_]) -> Embeddings:
    kept = np.isin(sample.class_names.astype(str), names)
    return Embeddings(sample.class_names[kept], sample.numbers[kept])
