"""How far a picture is from every class: the distance to the nearest mean of a class's embeddings.

Source: Mensink et al. 2013, "Distance-based image classification: generalizing to new classes at near-zero cost", for
the nearest class mean; docs/measurements/in_scope.md says what it is good for.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from stages.embeddings.vectors import BLOCK, units
from stages.tables.model import DISTANCE_DIGITS


def class_means(vectors: NDArray[np.float32], classes: NDArray[np.integer], num_classes: int) -> NDArray[np.float32]:
    """Compute the mean of each class, scaled to length 1.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        classes: of shape (pictures,), 0 to num_classes - 1.
        num_classes: how many rows to give.

    Returns:
        Of shape (num_classes, features), float32; zeros for a class without pictures.
    """
    return units(_sums(vectors, classes, num_classes))


def distances(vectors: NDArray[np.float32], means: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute how far each picture is from the nearest mean.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        means: from `class_means`.

    Returns:
        Of shape (pictures,), float64: 1 less the cosine, 0 to 2, rounded; higher is farther.
    """
    nearest = np.empty(len(vectors))
    for start in range(0, len(vectors), BLOCK):
        nearest[start : start + BLOCK] = (vectors[start : start + BLOCK] @ means.T).max(axis=1)
    return _distances(nearest)


def left_out_distances(
    vectors: NDArray[np.float32], classes: NDArray[np.integer], together: NDArray[np.integer], num_classes: int
) -> NDArray[np.float64]:
    """Compute how far each training picture would be from the nearest mean, were the means made without it.

    What is known together with it, its near-duplicates and its source's other pictures, is left out with it. That makes
    the distances comparable with those of pictures that were never trained on.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        classes: of shape (pictures,), 0 to num_classes - 1.
        together: of shape (pictures,), not negative: pictures that are known together share a number.
        num_classes: of the means.

    Returns:
        As `distances`; 2 for a picture without which no class has pictures left.
    """
    sums, counts = _sums(vectors, classes, num_classes), np.bincount(classes, minlength=num_classes)
    means, nearest = units(sums), np.empty(len(vectors))
    order = np.argsort(together, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(together[order])) + 1, len(order))
    start = 0
    while start < len(order):  # as many whole groups as fit into a block, at least one
        stop = int(ends[max(np.searchsorted(ends, start + BLOCK, "right") - 1, np.searchsorted(ends, start, "right"))])
        rows = order[start:stop]
        cosines = vectors[rows] @ means.T
        cosines[:, counts == 0] = -1.0
        _leave_out(cosines, vectors[rows], classes[rows], together[rows], sums, counts)
        nearest[rows], start = cosines.max(axis=1), stop
    return _distances(nearest)


def _leave_out(
    cosines: NDArray[np.float32],
    vectors: NDArray[np.float32],
    classes: NDArray[np.integer],
    together: NDArray[np.integer],
    sums: NDArray[np.float32],
    counts: NDArray[np.integer],
) -> None:
    """Replace the cosines to the means of each group's own classes by those to the means without the group.

    The pictures are ordered by their groups; `cosines` is written to.
    """
    pairs, pair, sizes = np.unique(together * len(sums) + classes, return_inverse=True, return_counts=True)
    groups, own = np.divmod(pairs, len(sums))
    without = units(sums[own] - _sums(vectors, pair, len(pairs)))
    # By the counts and not by the sums, which rounding keeps from being 0.
    is_empty = counts[own] == sizes
    nearest = np.einsum("ij,ij->i", vectors, without[pair])
    cosines[np.arange(len(pair)), classes] = np.where(is_empty[pair], -1.0, nearest)
    several, first, number = np.unique(groups, return_index=True, return_counts=True)
    for group, start, stop in zip(several, first, first + number, strict=True):
        if stop - start > 1:
            rows = slice(*np.searchsorted(together, [group, group + 1]))
            others = vectors[rows] @ without[start:stop].T
            cosines[rows, own[start:stop]] = np.where(is_empty[start:stop], -1.0, others)


def _sums(vectors: NDArray[np.float32], classes: NDArray[np.integer], num_classes: int) -> NDArray[np.float32]:
    members = csr_array(
        (np.ones(len(vectors), np.float32), (classes, np.arange(len(vectors)))), (num_classes, len(vectors))
    )
    sums: NDArray[np.float32] = members @ vectors
    return sums


def _distances(cosines: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(1.0 - cosines, 0.0, 2.0).round(DISTANCE_DIGITS)
