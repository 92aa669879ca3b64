"""Pairs of hashes that differ in few bits, exactly: the same pairs as comparing all with all.

All are compared with all, in compiled code: at the radius that verification allows, an index that skips comparisons
costs more than it saves (docs/measurements/duplicates.md).
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numba.extending import intrinsic
from numpy.typing import NDArray

_Array = NDArray[Any]
_TILE = 8  # hashes that are compared with each block of others at once
_BLOCK = 128  # hashes, which fit into the fastest memory
_ROOM = 4096  # pairs that a search has room for at first


class Pairs(NamedTuple):
    """Pairs, each attribute of shape (pairs,), sorted by the first three.

    Attributes:
        first: index.
        second: index, larger than first.
        form: which form of `first` was within the radius.
        distance: bits in which that and `second` differ.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    form: NDArray[np.int64]
    distance: NDArray[np.int64]


def near_pairs(
    forms: NDArray[np.uint64], hashes: NDArray[np.uint64], radius: int, start: int = 0, stop: int | None = None
) -> Pairs:
    """Find all pairs of which some form of the first is within a Hamming radius of the second.

    Python's lock is released meanwhile, so that threads can search other rows.

    Args:
        forms: shape (n, f), uint64: hashes of each picture, such as one for each turn.
        hashes: shape (n,), uint64.
        radius: bits in which two hashes may differ.
        start: the first picture of each pair is from here,
        stop: to before here; by default to the end. The second is any that comes later.
    """
    stop = len(forms) if stop is None else stop
    num_forms = forms.shape[1]
    queries = np.ascontiguousarray(forms[start:stop]).ravel()
    room = _ROOM
    while True:
        matches = np.empty((room, 3), np.int64)
        number = _search(queries, num_forms, start, hashes, radius, matches)
        if number <= room:
            break
        room = number
    query, second, distance = matches[:number].T
    first, form = query // num_forms + start, query % num_forms
    order = np.lexsort((form, second, first))
    return Pairs(first[order], second[order], form[order], distance[order])


@intrinsic
def _num_bits(typing_context: Any, value: Any) -> Any:
    """Count the bits that are set: one instruction, of which several run side by side."""
    del typing_context, value
    return numba.uint64(numba.uint64), lambda context, builder, signature, arguments: builder.ctpop(arguments[0])


@numba.njit(nogil=True, cache=True)
def _search(queries: _Array, num_forms: int, start: int, hashes: _Array, radius: int, matches: _Array) -> int:
    """Write query, second and distance of each pair to `matches` while there is room; return the number of pairs."""
    number = 0
    limit = np.uint64(radius)
    tile = np.empty(_TILE, np.uint64)
    for base in range(0, len(queries), _TILE):
        for row in range(_TILE):  # the last tile repeats its last query
            tile[row] = queries[min(base + row, len(queries) - 1)]
        begin = base // num_forms + start + 1
        while begin < len(hashes):
            end = min(begin + _BLOCK, len(hashes))
            if _least(tile, hashes, begin, end) <= limit:
                for query in range(base, min(base + _TILE, len(queries))):
                    hash_ = queries[query]
                    for second in range(max(begin, query // num_forms + start + 1), end):
                        distance = _num_bits(hash_ ^ hashes[second])
                        if distance <= limit:
                            if number < len(matches):
                                matches[number, 0] = query
                                matches[number, 1] = second
                                matches[number, 2] = distance
                            number += 1
            begin = end
    return number


@numba.njit(nogil=True, cache=True)
def _least(tile: _Array, hashes: _Array, begin: int, end: int) -> Any:
    """The smallest distance between eight hashes and a block of others, written so that a compiler can vectorise it."""
    a, b, c, d, e, f, g, h = tile[0], tile[1], tile[2], tile[3], tile[4], tile[5], tile[6], tile[7]
    least = np.uint64(64)
    for position in range(begin, end):
        other = hashes[position]
        ab = min(_num_bits(a ^ other), _num_bits(b ^ other))
        cd = min(_num_bits(c ^ other), _num_bits(d ^ other))
        ef = min(_num_bits(e ^ other), _num_bits(f ^ other))
        gh = min(_num_bits(g ^ other), _num_bits(h ^ other))
        least = min(least, min(min(ab, cd), min(ef, gh)))
    return least
