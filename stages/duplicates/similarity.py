"""How alike two pictures are: their thumbnails laid on each other as well as possible, edges and colours compared.

Everything that decides is summed in integers, and what is computed from the sums takes a fixed sequence of basic
operations, so that a similarity is the same to the last bit on every machine.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from stages.duplicates.thumbnail import CHROMA_SIDE, NUM_BYTES, SIDE
from stages.duplicates.turns import ACROSS, DOWN, TRANSPOSED, TURNS, turn_planes

_Array = NDArray[Any]
# Strong edges are compressed to g / (|g| + 16 greys), so that a silhouette does not outweigh all that is inside it.
_EDGE_COMPRESSION = 16.0
_EDGE_SCALE = 127
# Brightness is laid over brightness in units of 1/64 standard deviation, cut off at 4 of them.
_DEVIATION = 64
_MOST_DEVIATIONS = 4
# Cells left out all round: there a turned or cropped picture shows something else, or black.
_MARGIN = 2
# Variance of a colour plane, in squared greys, that counts as none: noise that no eye sees has no colour to agree in.
_COLOUR_NOISE = 16
_CHROMA_STEP = SIDE // CHROMA_SIDE
_ONE = 256  # a cell's width in the fixed-point numbers of a placement
_MOST_ITERATIONS = 8
# Pictures that do not resemble each other at all as they lie are not laid over each other.
_LEAST_AT_FIRST = 0.35
_BLOCK = 1024  # thumbnails that are made ready at a time, so that memory stays bounded


class Planes(NamedTuple):
    """Thumbnails made ready for comparison.

    Attributes:
        brightness: shape (n, SIDE * SIDE), int16: normalised to mean 0 and standard deviation 64.
        across: likewise, int8: edges from left to right, compressed to -127 to 127.
        down: likewise: edges from top to bottom.
        chroma: shape (n, 2, CHROMA_SIDE * CHROMA_SIDE), uint8.
    """

    brightness: NDArray[np.int16]
    across: NDArray[np.int8]
    down: NDArray[np.int8]
    chroma: NDArray[np.uint8]


def prepare(thumbnails: NDArray[np.uint8]) -> Planes:
    """Make thumbnails ready for comparison.

    Args:
        thumbnails: shape (n, NUM_BYTES), uint8.
    """
    blocks = [_prepare(thumbnails[start : start + _BLOCK]) for start in range(0, max(1, len(thumbnails)), _BLOCK)]
    return Planes(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _prepare(thumbnails: NDArray[np.uint8]) -> Planes:
    count = len(thumbnails)
    cells = SIDE * SIDE
    greys = thumbnails[:, :cells].astype(np.int64)
    centred = greys * cells - greys.sum(1, keepdims=True)
    variance = (centred * centred).sum(1, keepdims=True) // cells
    limit = _DEVIATION * _MOST_DEVIATIONS
    brightness = np.clip(np.rint(centred * (_DEVIATION / np.sqrt(np.maximum(variance, 1)))), -limit, limit)
    square = greys.reshape(count, SIDE, SIDE)
    across, down = np.zeros_like(square), np.zeros_like(square)
    across[:, :, 1:-1] = square[:, :, 2:] - square[:, :, :-2]
    down[:, 1:-1] = square[:, 2:] - square[:, :-2]
    compression = _EDGE_SCALE / (np.sqrt(across * across + down * down) + _EDGE_COMPRESSION)
    return Planes(
        brightness.astype(np.int16),
        np.rint(across * compression).astype(np.int8).reshape(count, cells),
        np.rint(down * compression).astype(np.int8).reshape(count, cells),
        thumbnails[:, cells:NUM_BYTES].reshape(count, 2, CHROMA_SIDE * CHROMA_SIDE),
    )


def similarity(
    planes: Planes,
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    turn: NDArray[np.int64],
    colour: float,
) -> NDArray[np.float64]:
    """Judge pairs of pictures.

    The second is turned, then shifted, scaled and rotated by little so that its brightness covers that of the first
    (inverse compositional alignment). Where it lies best, the edges' correlation says how alike the two are; the
    colours' correlation counts beside it with a weight. Neither changes with brightness and contrast.

    Source: S. Baker, I. Matthews 2004, "Lucas-Kanade 20 years on", section 3.2, with the four parameters of a
    similarity transformation that are added up instead of composed, as they are small.

    Args:
        planes: of all pictures.
        first: shape (pairs,): rows of `planes`.
        second: likewise.
        turn: likewise: how the second is turned, places in TURNS.
        colour: weight of the colours' correlation, 0 upwards.

    Returns:
        Shape (pairs,): -1 - colour to 1 + colour; 1 for the same edges without common colour.
    """
    out = np.empty(len(first))
    _similarity(*planes, _SOURCES, _CHROMA_SOURCES, _SIGNS, first, second, turn, colour, out)
    return out


def _sources(side: int) -> NDArray[np.int64]:
    """For each turn, the cell of the picture that comes to lie in each cell of the turned one."""
    cells = np.arange(side * side).reshape(side, side)
    return np.stack([turn_planes(cells, turn).ravel() for turn in range(len(TURNS))])


_SOURCES = _sources(SIDE)
_CHROMA_SOURCES = _sources(CHROMA_SIDE)
# What a turn does to edges: whether the two directions change places, and the sign of each afterwards.
_SIGNS = np.array([TRANSPOSED, [1 - 2 * flip for flip in ACROSS], [1 - 2 * flip for flip in DOWN]], dtype=np.int64).T


@numba.njit(nogil=True, cache=True)
def _similarity(
    brightness: _Array,
    across: _Array,
    down: _Array,
    chroma: _Array,
    sources: _Array,
    chroma_sources: _Array,
    signs: _Array,
    first: _Array,
    second: _Array,
    turns: _Array,
    colour: float,
    out: _Array,
) -> None:
    cells = SIDE * SIDE
    template = np.empty((4, cells), np.int64)
    inverse = np.empty((4, 4))
    turned = np.empty((3, cells), np.int64)
    turned_chroma = np.empty((2, CHROMA_SIDE * CHROMA_SIDE), np.int64)
    place = np.zeros(4, np.int64)
    prepared = -1
    for pair in range(len(first)):
        a, b, turn = first[pair], second[pair], turns[pair]
        place[:] = 0
        for cell in range(cells):
            source = sources[turn, cell]
            turned[0, cell] = brightness[b, source]
            turned[1, cell] = signs[turn, 1] * (down[b, source] if signs[turn, 0] else across[b, source])
            turned[2, cell] = signs[turn, 2] * (across[b, source] if signs[turn, 0] else down[b, source])
        edges = _edge_correlation(across[a], down[a], turned, place)
        if edges >= _LEAST_AT_FIRST:
            if prepared != a:
                _prepare_template(brightness[a], template, inverse)
                prepared = a
            aligned = _align(brightness[a], template, inverse, turned[0], place)
            better = _edge_correlation(across[a], down[a], turned, aligned)
            if better > edges:
                edges, place = better, aligned
        for plane in range(2):
            for cell in range(CHROMA_SIDE * CHROMA_SIDE):
                turned_chroma[plane, cell] = chroma[b, plane, chroma_sources[turn, cell]]
        out[pair] = edges + colour * _chroma_correlation(chroma[a], turned_chroma, place)


@numba.njit(nogil=True, cache=True)
def _where(x: int, y: int, place: _Array) -> tuple[int, int]:
    """Where the cell (x, y) of the first picture lies in the second: fixed-point, _ONE is a cell."""
    u, v = 2 * x - (SIDE - 1), 2 * y - (SIDE - 1)
    return (
        x * _ONE + place[0] + ((place[2] * u - place[3] * v) >> 4),
        y * _ONE + place[1] + ((place[2] * v + place[3] * u) >> 4),
    )


@numba.njit(nogil=True, cache=True)
def _sample(plane: _Array, side: int, x: int, y: int) -> Any:
    """Interpolate between four cells; the result is _ONE * _ONE times the value."""
    x = min(max(x, 0), (side - 1) * _ONE - 1)
    y = min(max(y, 0), (side - 1) * _ONE - 1)
    right, below = x & (_ONE - 1), y & (_ONE - 1)
    cell = (y >> 8) * side + (x >> 8)
    upper = (_ONE - right) * plane[cell] + right * plane[cell + 1]
    lower = (_ONE - right) * plane[cell + side] + right * plane[cell + side + 1]
    return (_ONE - below) * upper + below * lower


@numba.njit(nogil=True, cache=True)
def _prepare_template(brightness: _Array, template: _Array, inverse: _Array) -> None:
    """Compute how the brightness changes with each parameter of a placement, and the inverse of the normal matrix."""
    normal = np.zeros((4, 4))
    for y in range(_MARGIN, SIDE - _MARGIN):
        for x in range(_MARGIN, SIDE - _MARGIN):
            cell = y * SIDE + x
            u, v = 2 * x - (SIDE - 1), 2 * y - (SIDE - 1)
            right = np.int64(brightness[cell + 1]) - np.int64(brightness[cell - 1])
            below = np.int64(brightness[cell + SIDE]) - np.int64(brightness[cell - SIDE])
            template[0, cell], template[1, cell] = right, below
            template[2, cell], template[3, cell] = right * u + below * v, below * u - right * v
    for row in range(4):
        for column in range(4):
            total = np.int64(0)
            for y in range(_MARGIN, SIDE - _MARGIN):
                for x in range(_MARGIN, SIDE - _MARGIN):
                    total += template[row, y * SIDE + x] * template[column, y * SIDE + x]
            normal[row, column] = total
    for row in range(4):
        normal[row, row] = normal[row, row] * 1.001 + 1.0  # a plain picture has no place to find
    inverse[:] = 0.0
    for row in range(4):
        inverse[row, row] = 1.0
    for pivot in range(4):  # Gauss-Jordan; a positive definite matrix needs no exchange of rows
        factor = 1.0 / normal[pivot, pivot]
        for column in range(4):
            normal[pivot, column] *= factor
            inverse[pivot, column] *= factor
        for row in range(4):
            if row != pivot:
                times = normal[row, pivot]
                for column in range(4):
                    normal[row, column] -= times * normal[pivot, column]
                    inverse[row, column] -= times * inverse[pivot, column]


@numba.njit(nogil=True, cache=True)
def _align(brightness: _Array, template: _Array, inverse: _Array, turned: _Array, start: _Array) -> _Array:
    """Find the placement: shift across, shift down (1/256 cells), growth and rotation (per half cell, 1/4096 cells)."""
    place = start.copy()
    gradient = np.zeros(4, np.int64)
    for _ in range(_MOST_ITERATIONS):
        gradient[:] = 0
        for y in range(_MARGIN, SIDE - _MARGIN):
            for x in range(_MARGIN, SIDE - _MARGIN):
                cell = y * SIDE + x
                right, below = _where(x, y, place)
                error = (_sample(turned, SIDE, right, below) >> 16) - brightness[cell]
                for row in range(4):
                    gradient[row] += template[row, cell] * error
        largest = np.int64(0)
        for row in range(4):
            step = 0.0
            for column in range(4):
                step += inverse[row, column] * gradient[column]
            # Differences of brightness span two cells: hence twice.
            moved = np.int64(np.rint(-2.0 * step * (_ONE if row < 2 else 16 * _ONE)))
            place[row] += moved
            largest = max(largest, abs(moved) if row < 2 else abs(moved) * SIDE >> 4)
        most = 3 * _ONE
        if abs(place[0]) > most or abs(place[1]) > most or abs(place[2]) > most or abs(place[3]) > most:
            return start.copy()
        if largest < 4:
            break
    return place


@numba.njit(nogil=True, cache=True)
def _edge_correlation(across: _Array, down: _Array, turned: _Array, place: _Array) -> Any:
    product = np.int64(0)
    squares_a = np.int64(0)
    squares_b = np.int64(0)
    for y in range(_MARGIN, SIDE - _MARGIN):
        for x in range(_MARGIN, SIDE - _MARGIN):
            right, below = _where(x, y, place)
            if right < _ONE // 2 or below < _ONE // 2:
                continue
            if right > (SIDE - 1) * _ONE - _ONE // 2 or below > (SIDE - 1) * _ONE - _ONE // 2:
                continue
            cell = y * SIDE + x
            here_x, here_y = np.int64(across[cell]), np.int64(down[cell])
            there_x = _sample(turned[1], SIDE, right, below) >> 10
            there_y = _sample(turned[2], SIDE, right, below) >> 10
            product += here_x * there_x + here_y * there_y
            squares_a += here_x * here_x + here_y * here_y
            squares_b += there_x * there_x + there_y * there_y
    if squares_a == 0 or squares_b == 0:
        return 0.0
    return product / (np.sqrt(np.float64(squares_a)) * np.sqrt(np.float64(squares_b)))


@numba.njit(nogil=True, cache=True)
def _chroma_correlation(chroma: _Array, turned: _Array, place: _Array) -> Any:
    product = np.int64(0)
    squares_a = np.int64(0)
    squares_b = np.int64(0)
    count = np.int64(0)
    for plane in range(2):
        sum_a = np.int64(0)
        sum_b = np.int64(0)
        sum_ab = np.int64(0)
        sum_aa = np.int64(0)
        sum_bb = np.int64(0)
        count = np.int64(0)
        for y in range(CHROMA_SIDE):
            for x in range(CHROMA_SIDE):
                # Of the middle of the cells of brightness that this one covers.
                u, v = _CHROMA_STEP * (2 * x - (CHROMA_SIDE - 1)), _CHROMA_STEP * (2 * y - (CHROMA_SIDE - 1))
                right = x * _ONE + (place[0] + ((place[2] * u - place[3] * v) >> 4)) // _CHROMA_STEP
                below = y * _ONE + (place[1] + ((place[2] * v + place[3] * u) >> 4)) // _CHROMA_STEP
                here = np.int64(chroma[plane, y * CHROMA_SIDE + x])
                there = _sample(turned[plane], CHROMA_SIDE, right, below) >> 16
                sum_a += here
                sum_b += there
                sum_ab += here * there
                sum_aa += here * here
                sum_bb += there * there
                count += 1
        product += count * sum_ab - sum_a * sum_b
        squares_a += count * sum_aa - sum_a * sum_a
        squares_b += count * sum_bb - sum_b * sum_b
    noise = 2 * _COLOUR_NOISE * count * count
    return product / (np.sqrt(np.float64(squares_a + noise)) * np.sqrt(np.float64(squares_b + noise)))
