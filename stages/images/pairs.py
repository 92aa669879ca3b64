"""Pairs of hashes that differ in few bits, exactly: the same pairs as comparing all with all."""

import numpy as np
from numpy.typing import NDArray

# Rows of the comparison matrix at a time, so that memory stays bounded (block x hashes bytes).
_BLOCK = 256


def near_pairs(
    hashes: NDArray[np.uint64], radius: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find all pairs of hashes within a Hamming radius.

    Args:
        hashes: shape (n,), uint64.
        radius: bits in which two hashes may differ.

    Returns:
        `first`, `second` and `distance`, each of shape (pairs,): indices first < second, sorted by both.
    """
    found = []
    for start in range(0, len(hashes), _BLOCK):
        block = hashes[start : start + _BLOCK, None]
        distances = np.bitwise_count(block ^ hashes[None, start:])
        rows, columns = np.nonzero(distances <= radius)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        found.append((rows + start, columns + start, distances[rows, columns].astype(np.int64)))
    first, second, distance = (np.concatenate([part[i] for part in found] or [np.empty(0, np.int64)]) for i in range(3))
    return first.astype(np.int64), second.astype(np.int64), distance
