"""Which pictures are far from every labelled picture, and which of these are similar."""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.suspects.neighbours import Embedded, nearest

NUM_NEIGHBOURS = 5  # that each picture is compared with when groups are made


def novelty_threshold(held_out: NDArray[np.float64], quantile: float) -> float:
    """Choose the distance from which a picture is far from everything.

    Args:
        held_out: of shape (pictures,): distances of labelled pictures to the nearest labelled one of another group.
        quantile: 0 to 1: at least this share of them is not farther.

    Returns:
        Infinite without pictures: then nothing is known to be far.

    Source: Sun, Ming, Zhu and Li 2022, "Out-of-distribution detection with deep nearest neighbors", with the nearest
        picture instead of the k-th, as classes may be small.
    """
    return float(np.quantile(held_out, quantile, method="higher")) if len(held_out) else np.inf


def group_similar(pictures: Embedded, distance: float) -> NDArray[np.int64]:
    """Group pictures that are similar, directly or through others.

    Args:
        pictures: each in a group of its own; the class is the one whose pictures it is compared with first.
        distance: 1 less the cosine, up to which two pictures are similar.

    Returns:
        Of shape (pictures,), int64: 1 for the largest group, and so on; 0 for a picture that is similar to no other.
    """
    num_pictures = len(pictures.vectors)
    neighbours = nearest(pictures, pictures, NUM_NEIGHBOURS)
    first, column = np.nonzero((neighbours.rows >= 0) & (1.0 - neighbours.similarity <= distance))
    edges = coo_array(
        (np.ones(len(first)), (first, neighbours.rows[first, column])), shape=(num_pictures, num_pictures)
    )
    _, component = connected_components(edges, directed=False)
    _, group, size = np.unique(component, return_inverse=True, return_counts=True)
    # Components are numbered by their first picture, so equal sizes keep the order of the pictures.
    number = np.empty(len(size), np.int64)
    number[np.argsort(-size, kind="stable")] = np.arange(1, len(size) + 1)
    groups: NDArray[np.int64] = np.where(size[group] > 1, number[group], 0)
    return groups
