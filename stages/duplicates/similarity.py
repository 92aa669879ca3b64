"""How similar two pictures are: their thumbnails laid on each other as well as possible, edges and colours compared.

Everything that decides is summed in integers, and what is computed from the sums takes a fixed sequence of basic
operations, so that a similarity is the same to the last bit on every machine. (NumPy's and SciPy's linear algebra is
not: what it computes depends on the processor.)
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from stages.duplicates.thumbnail import CHROMA_SIDE, NUM_CHROMA, NUM_COARSE, SIDE
from stages.duplicates.turns import ACROSS, DOWN, TRANSPOSED, TURNS, turn_planes

_Array = NDArray[Any]
# Strong edges are compressed to g / (|g| + 16 greys), so that a silhouette does not outweigh what is inside it.
_EDGE_COMPRESSION = 16.0
_EDGE_SCALE = 127
# Brightness is laid over brightness in units of 1/64 standard deviation, cut off at 4 of them.
_DEVIATION = 64
_MOST_DEVIATIONS = 4
# Cells left out all round: there a turned or cropped picture shows something else, or black.
_MARGIN = 2
# Variance of a colour plane, in squared greys, that counts as none: noise that no eye sees has no colour to agree in.
_COLOUR_NOISE = 16
_CELLS, _CHROMA_CELLS = SIDE * SIDE, CHROMA_SIDE * CHROMA_SIDE
_CHROMA_STEP = SIDE // CHROMA_SIDE
_ONE = 256  # a cell's width in the fixed-point numbers of a placement
_LAST_CELL = (SIDE - 1) * _ONE - _ONE // 2
_MOST_ITERATIONS = 8
_FARTHEST = 3 * _ONE  # that a parameter of a placement may come to
_SETTLED = 4  # a step that moves every cell by less is the last
# Pictures that do not resemble each other at all as they lie are not laid over each other.
_LEAST_AT_FIRST = 0.35
_BLOCK = 1024  # thumbnails that are made ready at a time, so that memory stays bounded


class Planes(NamedTuple):
    """Thumbnails made ready for comparison.

    Attributes:
        brightness: shape (n, SIDE * SIDE), int16: normalised to mean 0 and standard deviation 64.
        across: shape (n, SIDE * SIDE), int8: edges from left to right, compressed to -127 to 127.
        down: shape (n, SIDE * SIDE), int8: edges from top to bottom, compressed to -127 to 127.
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
    greys = thumbnails[:, :_CELLS].astype(np.int64)
    centred = greys * _CELLS - greys.sum(1, keepdims=True)
    variance = (centred * centred).sum(1, keepdims=True) // _CELLS
    limit = _DEVIATION * _MOST_DEVIATIONS
    brightness = np.clip(np.rint(centred * (_DEVIATION / np.sqrt(np.maximum(variance, 1)))), -limit, limit)
    square = greys.reshape(count, SIDE, SIDE)
    across, down = np.zeros_like(square), np.zeros_like(square)
    across[:, :, 1:-1] = square[:, :, 2:] - square[:, :, :-2]
    down[:, 1:-1] = square[:, 2:] - square[:, :-2]
    compression = _EDGE_SCALE / (np.sqrt(across * across + down * down) + _EDGE_COMPRESSION)
    return Planes(
        brightness.astype(np.int16),
        np.rint(across * compression).astype(np.int8).reshape(count, _CELLS),
        np.rint(down * compression).astype(np.int8).reshape(count, _CELLS),
        thumbnails[:, NUM_COARSE : NUM_COARSE + NUM_CHROMA].reshape(count, 2, _CHROMA_CELLS),
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
    (inverse compositional alignment). Where it lies best, the edges' correlation says how similar the two are; the
    colours' correlation is added with a weight. Neither changes with brightness and contrast.

    Source: S. Baker, I. Matthews 2004, "Lucas-Kanade 20 years on", section 3.2, with the four parameters of a
    similarity transformation that are added up instead of composed, as they are small.

    Args:
        planes: of all pictures.
        first: shape (pairs,): rows of `planes`.
        second: shape (pairs,): rows of `planes`.
        turn: shape (pairs,): how the second is turned, indices into TURNS.
        colour: weight of the colours' correlation, 0 upwards.

    Returns:
        Shape (pairs,): -1 - colour to 1 + colour; 1 for the same edges without common colour.
    """
    # One contiguous array: arrays laid out in another way would be compiled for once more.
    pairs = np.stack([first, second, turn], axis=1)
    similarities: NDArray[np.float64] = _similarities(planes, _TURNINGS, pairs, colour)
    return similarities


def _sources(side: int) -> NDArray[np.int64]:
    """For each turn, the cell of the picture that comes to lie in each cell of the turned one."""
    cells = np.arange(side * side).reshape(side, side)
    return np.stack([turn_planes(cells, turn).ravel() for turn in range(len(TURNS))])


class _Turnings(NamedTuple):
    """What turning does to a thumbnail, one row per turn of TURNS.

    Attributes:
        cells: shape (turns, SIDE * SIDE): the cell of the picture that comes to lie in each cell of the turned one.
        chroma_cells: shape (turns, CHROMA_SIDE * CHROMA_SIDE): the same of the colours.
        transposed: shape (turns,), bool: whether the two directions of edges change places.
        signs: shape (turns, 2): of the edges across and down afterwards.
    """

    cells: NDArray[np.int64]
    chroma_cells: NDArray[np.int64]
    transposed: NDArray[np.bool_]
    signs: NDArray[np.int64]


_TURNINGS = _Turnings(_sources(SIDE), _sources(CHROMA_SIDE), np.array(TRANSPOSED), 1 - 2 * np.array([ACROSS, DOWN]).T)


class _Picture(NamedTuple):
    """The planes of one picture as it is turned, each int64; `chroma` of shape (2, CHROMA_SIDE * CHROMA_SIDE)."""

    brightness: _Array
    across: _Array
    down: _Array
    chroma: _Array


class _Template(NamedTuple):
    """What it takes to lay another picture over one.

    Attributes:
        gradients: shape (4, SIDE * SIDE): how the brightness changes with each parameter of a placement.
        inverse: shape (4, 4): of the normal matrix of these.
    """

    gradients: _Array
    inverse: _Array


# Everything compiled is in one file: Numba's cache does not notice a change in another module.
# A placement has four whole numbers: shift across, shift down (1/256 cells), growth and rotation (per half cell, 1/4096
# cells).


@numba.njit(nogil=True, cache=True)
def _similarities(planes: Planes, turnings: _Turnings, pairs: _Array, colour: float) -> _Array:
    """Judge pairs; those of one first picture after the other take less time, as its template is made once."""
    similarities = np.empty(len(pairs))
    turned = _Picture(
        np.empty(_CELLS, np.int64),
        np.empty(_CELLS, np.int64),
        np.empty(_CELLS, np.int64),
        np.empty((2, _CHROMA_CELLS), np.int64),
    )
    template = _Template(np.empty((4, _CELLS), np.int64), np.empty((4, 4)))
    template_of = -1
    for row in range(len(pairs)):
        first, second, turn = pairs[row, 0], pairs[row, 1], pairs[row, 2]
        _turn(planes, second, turnings, turn, turned)
        placement = np.zeros(4, np.int64)
        edges = _edge_correlation(planes.across[first], planes.down[first], turned, placement)
        if edges >= _LEAST_AT_FIRST:
            if template_of != first:
                _prepare_template(planes.brightness[first], template)
                template_of = first
            aligned = _align(planes.brightness[first], template, turned.brightness)
            aligned_edges = _edge_correlation(planes.across[first], planes.down[first], turned, aligned)
            if aligned_edges > edges:
                edges, placement = aligned_edges, aligned
        similarities[row] = edges + colour * _chroma_correlation(planes.chroma[first], turned.chroma, placement)
    return similarities


@numba.njit(nogil=True, cache=True)
def _turn(planes: Planes, number: int, turnings: _Turnings, turn: int, turned: _Picture) -> None:
    """Write what a picture is when it is turned."""
    transposed, sign_across, sign_down = turnings.transposed[turn], turnings.signs[turn, 0], turnings.signs[turn, 1]
    for cell in range(_CELLS):
        source = turnings.cells[turn, cell]
        across, down = planes.across[number, source], planes.down[number, source]
        turned.brightness[cell] = planes.brightness[number, source]
        turned.across[cell] = sign_across * (down if transposed else across)
        turned.down[cell] = sign_down * (across if transposed else down)
    for plane in range(2):
        for cell in range(_CHROMA_CELLS):
            turned.chroma[plane, cell] = planes.chroma[number, plane, turnings.chroma_cells[turn, cell]]


@numba.njit(nogil=True, cache=True)
def _moved(x: int, y: int, placement: _Array) -> tuple[int, int]:
    """Where the cell (x, y) of the first picture lies in the second: fixed-point, _ONE is a cell."""
    u, v = 2 * x - (SIDE - 1), 2 * y - (SIDE - 1)
    return (
        x * _ONE + placement[0] + ((placement[2] * u - placement[3] * v) >> 4),
        y * _ONE + placement[1] + ((placement[2] * v + placement[3] * u) >> 4),
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
def _prepare_template(brightness: _Array, template: _Template) -> None:
    _fill_gradients(brightness, template.gradients)
    _invert(_normal_matrix(template.gradients), template.inverse)


@numba.njit(nogil=True, cache=True)
def _fill_gradients(brightness: _Array, gradients: _Array) -> None:
    for y in range(_MARGIN, SIDE - _MARGIN):
        for x in range(_MARGIN, SIDE - _MARGIN):
            cell = y * SIDE + x
            u, v = 2 * x - (SIDE - 1), 2 * y - (SIDE - 1)
            right = np.int64(brightness[cell + 1]) - np.int64(brightness[cell - 1])
            below = np.int64(brightness[cell + SIDE]) - np.int64(brightness[cell - SIDE])
            gradients[0, cell], gradients[1, cell] = right, below
            gradients[2, cell], gradients[3, cell] = right * u + below * v, below * u - right * v


@numba.njit(nogil=True, cache=True)
def _normal_matrix(gradients: _Array) -> _Array:
    """Multiply the gradients with one another; the diagonal is raised, as a plain picture fits anywhere."""
    normal = np.zeros((4, 4))
    for row in range(4):
        for column in range(4):
            total = np.int64(0)
            for y in range(_MARGIN, SIDE - _MARGIN):
                for x in range(_MARGIN, SIDE - _MARGIN):
                    total += gradients[row, y * SIDE + x] * gradients[column, y * SIDE + x]
            normal[row, column] = total
    for row in range(4):
        normal[row, row] = normal[row, row] * 1.001 + 1.0
    return normal


@numba.njit(nogil=True, cache=True)
def _invert(normal: _Array, inverse: _Array) -> None:
    """Write the inverse by Gauss-Jordan; a positive definite matrix needs no exchange of rows. `normal` is used up."""
    inverse[:] = 0.0
    for row in range(4):
        inverse[row, row] = 1.0
    for pivot in range(4):
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
def _align(brightness: _Array, template: _Template, turned: _Array) -> _Array:
    """Find where the turned picture's brightness covers the first's best; a search that goes astray moves nothing."""
    placement, error_gradient = np.zeros(4, np.int64), np.empty(4, np.int64)
    for _ in range(_MOST_ITERATIONS):
        _sum_errors(brightness, template.gradients, turned, placement, error_gradient)
        largest = _improve(placement, template.inverse, error_gradient)
        if _farthest(placement) > _FARTHEST:
            return np.zeros(4, np.int64)
        if largest < _SETTLED:
            break
    return placement


@numba.njit(nogil=True, cache=True)
def _sum_errors(
    brightness: _Array, gradients: _Array, turned: _Array, placement: _Array, error_gradient: _Array
) -> None:
    """Write how much each parameter of the placement would change what differs, summed over the cells."""
    error_gradient[:] = 0
    for y in range(_MARGIN, SIDE - _MARGIN):
        for x in range(_MARGIN, SIDE - _MARGIN):
            cell = y * SIDE + x
            right, below = _moved(x, y, placement)
            error = (_sample(turned, SIDE, right, below) >> 16) - brightness[cell]
            for row in range(4):
                error_gradient[row] += gradients[row, cell] * error


@numba.njit(nogil=True, cache=True)
def _improve(placement: _Array, inverse: _Array, error_gradient: _Array) -> Any:
    """Move the placement by one step; return by how much a cell moves at most, about, in 1/256 cells."""
    largest = np.int64(0)
    for row in range(4):
        step = 0.0
        for column in range(4):
            step += inverse[row, column] * error_gradient[column]
        # Differences of brightness span two cells: hence twice.
        change = np.int64(np.rint(-2.0 * step * (_ONE if row < 2 else 16 * _ONE)))
        placement[row] += change
        largest = max(largest, abs(change) if row < 2 else abs(change) * SIDE >> 4)
    return largest


@numba.njit(nogil=True, cache=True)
def _farthest(placement: _Array) -> Any:
    farthest = np.int64(0)
    for value in placement:
        farthest = max(farthest, abs(value))
    return farthest


@numba.njit(nogil=True, cache=True)
def _edge_correlation(across: _Array, down: _Array, turned: _Picture, placement: _Array) -> Any:
    product, squares, turned_squares = np.int64(0), np.int64(0), np.int64(0)
    for y in range(_MARGIN, SIDE - _MARGIN):
        for x in range(_MARGIN, SIDE - _MARGIN):
            right, below = _moved(x, y, placement)
            if right < _ONE // 2 or below < _ONE // 2 or right > _LAST_CELL or below > _LAST_CELL:
                continue
            cell = y * SIDE + x
            here_x, here_y = np.int64(across[cell]), np.int64(down[cell])
            there_x = _sample(turned.across, SIDE, right, below) >> 10
            there_y = _sample(turned.down, SIDE, right, below) >> 10
            product += here_x * there_x + here_y * there_y
            squares += here_x * here_x + here_y * here_y
            turned_squares += there_x * there_x + there_y * there_y
    if squares == 0 or turned_squares == 0:
        return 0.0
    return product / (np.sqrt(np.float64(squares)) * np.sqrt(np.float64(turned_squares)))


@numba.njit(nogil=True, cache=True)
def _chroma_correlation(chroma: _Array, turned: _Array, placement: _Array) -> Any:
    """Correlate both colour planes together; noise takes part, so that pictures without colour have none in common."""
    blue, blues, turned_blues = _chroma_products(chroma[0], turned[0], placement)
    red, reds, turned_reds = _chroma_products(chroma[1], turned[1], placement)
    noise = 2 * _COLOUR_NOISE * _CHROMA_CELLS * _CHROMA_CELLS
    squares, turned_squares = np.float64(blues + reds + noise), np.float64(turned_blues + turned_reds + noise)
    return (blue + red) / (np.sqrt(squares) * np.sqrt(turned_squares))


@numba.njit(nogil=True, cache=True)
def _chroma_products(plane: _Array, turned: _Array, placement: _Array) -> tuple[Any, Any, Any]:
    """The covariance of a plane with the other picture's, and the variance of each, times _CHROMA_CELLS squared."""
    sum_a, sum_b = np.int64(0), np.int64(0)
    sum_ab, sum_aa, sum_bb = np.int64(0), np.int64(0), np.int64(0)
    for y in range(CHROMA_SIDE):
        for x in range(CHROMA_SIDE):
            # Of the middle of the cells of brightness that this one covers.
            u, v = _CHROMA_STEP * (2 * x - (CHROMA_SIDE - 1)), _CHROMA_STEP * (2 * y - (CHROMA_SIDE - 1))
            right = x * _ONE + (placement[0] + ((placement[2] * u - placement[3] * v) >> 4)) // _CHROMA_STEP
            below = y * _ONE + (placement[1] + ((placement[2] * v + placement[3] * u) >> 4)) // _CHROMA_STEP
            a = np.int64(plane[y * CHROMA_SIDE + x])
            b = _sample(turned, CHROMA_SIDE, right, below) >> 16
            sum_a, sum_b = sum_a + a, sum_b + b
            sum_ab, sum_aa, sum_bb = sum_ab + a * b, sum_aa + a * a, sum_bb + b * b
    return (
        _CHROMA_CELLS * sum_ab - sum_a * sum_b,
        _CHROMA_CELLS * sum_aa - sum_a * sum_a,
        _CHROMA_CELLS * sum_bb - sum_b * sum_b,
    )
