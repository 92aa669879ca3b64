"""Which training pictures are nearest to a picture, by the cosine of their embeddings."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stages.embeddings.vectors import units

# Classes that are searched for each picture besides its own: those whose means are nearest. Of 15 classes of clothes,
# which are hard to distinguish, 8 contain 0.997 of the five nearest pictures.
NUM_CELLS = 8
BLOCK = 2**22  # similarities that are computed at a time: 16 MB


class Embedded(NamedTuple):
    """The embeddings of some pictures, with their classes and groups.

    Attributes:
        vectors: of shape (pictures, features), float32, of length 1.
        classes: of shape (pictures,), int64; below 0 for none.
        groups: of shape (pictures,), int64: pictures of the same group are near-duplicates.
    """

    vectors: NDArray[np.float32]
    classes: NDArray[np.int64]
    groups: NDArray[np.int64]

    def take(self, rows: slice | NDArray[np.bool_]) -> Self:
        """Take some of the pictures."""
        return self._replace(vectors=self.vectors[rows], classes=self.classes[rows], groups=self.groups[rows])


class Neighbours(NamedTuple):
    """The nearest training pictures of some pictures.

    Attributes:
        rows: of shape (pictures, k), int64: rows of the training pictures, nearest first; -1 where there are fewer.
        similarity: of shape (pictures, k), float32: cosines, -1 to 1; -infinity where there are fewer.
    """

    rows: NDArray[np.int64]
    similarity: NDArray[np.float32]


def medoids(training: NDArray[np.float32], classes: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Find each class's most typical picture: the one with the least mean distance to the others of its class.

    The cosines with all others sum to the product with their sum, so no pair is ever compared.

    Args:
        training: of shape (training pictures, features), float32, of length 1.
        classes: of shape (training pictures,), int64, 0 to num_classes - 1.
        num_classes: how many classes there are.

    Returns:
        Of shape (num_classes,), int64: rows of `training`; -1 for a class without pictures.

    Source: Kaufman and Rousseeuw 1987, "Clustering by means of medoids", with 1 less the cosine as the distance.
    """
    rows = np.full(num_classes, -1, np.int64)
    for class_, members in enumerate(members_of(classes, num_classes)):
        if len(members):
            own = training[members]
            rows[class_] = members[np.argmax(own @ own.sum(axis=0))]
    return rows


def members_of(classes: NDArray[np.int64], num_classes: int) -> list[NDArray[np.int64]]:
    """List the rows of each class, ascending.

    Args:
        classes: of shape (pictures,), int64; those below 0 are of none.
        num_classes: how many classes there are.
    """
    order = np.argsort(classes, kind="stable")
    ends = np.searchsorted(classes[order], np.arange(num_classes + 1))
    return [order[start:stop] for start, stop in pairwise(ends)]


def nearest(pictures: Embedded, training: Embedded, k: int) -> Neighbours:
    """Find the k training pictures nearest to each picture.

    A picture is compared with those of its own class and of the classes whose means are nearest to it, not with all:
    an inverted file whose cells are the classes. Where there are no more than NUM_CELLS classes that is everything.

    Args:
        pictures: training pictures of a picture's own group, itself included, are left out.
        training: each has a class.
        k: how many.

    Source: Sivic and Zisserman 2003, "Video Google", for the inverted file; Jegou, Douze and Schmid 2011, "Product
        quantization for nearest neighbor search", section 4, for searching several cells.
    """
    shape = (len(pictures.vectors), k)
    rows, similarity = np.full(shape, -1, np.int64), np.full(shape, -np.inf, np.float32)
    members = members_of(training.classes, int(training.classes.max(initial=-1)) + 1)
    for class_, asking in _cells(pictures, training.vectors, members):
        candidates = members[class_]
        step = max(1, BLOCK // len(candidates))
        for start in range(0, len(asking), step):
            those = asking[start : start + step]
            cosines = pictures.vectors[those] @ training.vectors[candidates].T
            cosines[pictures.groups[those][:, None] == training.groups[candidates][None]] = -np.inf
            all_cosines = np.concatenate([similarity[those], cosines], axis=1)
            all_rows = np.concatenate([rows[those], np.broadcast_to(candidates, cosines.shape)], axis=1)
            best = np.argpartition(-all_cosines, k - 1, axis=1)[:, :k]
            similarity[those] = np.take_along_axis(all_cosines, best, axis=1)
            rows[those] = np.take_along_axis(all_rows, best, axis=1)
    order = np.lexsort((rows, -similarity), axis=1)
    rows, similarity = np.take_along_axis(rows, order, axis=1), np.take_along_axis(similarity, order, axis=1)
    rows[np.isneginf(similarity)] = -1
    return Neighbours(rows, similarity)


def nearest_of_class(pictures: Embedded, training: Embedded) -> NDArray[np.float32]:
    """Find how near the nearest training picture of each picture's class is.

    Args:
        pictures: their groups do not matter.
        training: their groups do not matter.

    Returns:
        Of shape (pictures,), float32: cosines; -infinity where the class has no training picture.
    """
    similarity = np.full(len(pictures.vectors), -np.inf, np.float32)
    num_classes = int(max(pictures.classes.max(initial=-1), training.classes.max(initial=-1))) + 1
    by_class = zip(members_of(pictures.classes, num_classes), members_of(training.classes, num_classes), strict=True)
    for asking, candidates in by_class:
        step = max(1, BLOCK // max(1, len(candidates)))
        for start in range(0, len(asking) if len(candidates) else 0, step):
            those = asking[start : start + step]
            similarity[those] = (pictures.vectors[those] @ training.vectors[candidates].T).max(axis=1)
    return similarity


def _cells(
    pictures: Embedded, training: NDArray[np.float32], members: list[NDArray[np.int64]]
) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Yield each class that has training pictures with the rows of the pictures that are compared with it."""
    filled = np.flatnonzero([len(rows) > 0 for rows in members])
    if not len(filled):
        return
    means = units(np.stack([training[members[class_]].mean(axis=0) for class_ in filled]))
    num_cells = min(NUM_CELLS, len(filled))
    chosen = np.empty((len(pictures.vectors), num_cells + 1), np.int64)
    step = max(1, BLOCK // len(filled))
    for start in range(0, len(pictures.vectors), step):
        cosines = pictures.vectors[start : start + step] @ means.T
        chosen[start : start + step, 1:] = filled[np.argpartition(-cosines, num_cells - 1, axis=1)[:, :num_cells]]
    # A picture's own class comes first; where it is among the nearest too, it counts once.
    own = pictures.classes
    chosen[:, 0] = np.where(np.isin(own, filled) & ~(chosen[:, 1:] == own[:, None]).any(axis=1), own, -1)
    for class_, indices in enumerate(members_of(chosen.ravel(), len(members))):
        if len(indices):
            yield class_, indices // chosen.shape[1]
