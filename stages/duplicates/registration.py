"""How well one picture covers another that may be a part of it, turned by any angle up to 36 degrees, and mirrored.

What decides is computed in a fixed sequence of basic operations, so that it is the same to the last bit on every
machine.
"""

from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from stages.duplicates.thumbnail import CHROMA_SIDE, DETAIL_SIDE, NUM_CHROMA, NUM_COARSE
from stages.duplicates.turns import TRANSPOSED, TURNS, turn_planes

_Array = NDArray[Any]
_SIDE = DETAIL_SIDE
_CELLS, _CHROMA_CELLS = _SIDE * _SIDE, CHROMA_SIDE * CHROMA_SIDE
# Where the search begins: how many sides of the one picture fit into a side of the other, and the rotation in degrees.
_SCALES = (1.0, 0.88, 0.77)
_ROTATIONS = (-32, -24, -16, -8, 0, 8, 16, 24, 32)
_NUM_TRIES = 6  # of the most promising beginnings are followed
_LEAST_AT_FIRST = 0.1  # correlation of the brightness at a beginning that is worth following
_MOST_ITERATIONS = 12
_SETTLED = 0.002  # a step by less, in longer sides of a picture, is the last
_LARGEST_STEP = 0.3
_SMALLEST, _LARGEST = 0.6, 1.12  # scales between which a placement may end
_LEAST_OVERLAP = 0.5  # share of a picture's cells that must lie on the other
# A part of a picture is seen in more detail than the whole: below this scale it is smoothed once more.
_SAME_DETAIL = 0.93
# Strong edges are compressed to g / (|g| + 16 greys), so that a silhouette does not outweigh what is inside it.
_EDGE_COMPRESSION = 16.0
# Cells next to a picture's border, inside or outside: what a filter makes of the border.
_INSIDE, _OUTSIDE = 1.5, 2.0
# Variance of both colour planes together, in squared greys, up to which a picture is grey, and agrees with any colour.
_GREY = 32.0


class Looks(NamedTuple):
    """What is compared of pictures.

    Attributes:
        brightness: shape (n, _SIDE * _SIDE), uint8.
        chroma: shape (n, 2, CHROMA_SIDE * CHROMA_SIDE), uint8.
        sides: shape (n, 2), float64: width and height, the longer one 1.
    """

    brightness: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    sides: NDArray[np.float64]


def looks_of(thumbnails: NDArray[np.uint8], width: NDArray[np.int64], height: NDArray[np.int64]) -> Looks:
    """Take what is compared out of thumbnails.

    Args:
        thumbnails: shape (n, NUM_BYTES), uint8.
        width: shape (n,): of the pictures, in pixels.
        height: shape (n,): likewise.
    """
    sides = np.stack([width, height], axis=1).astype(np.float64)
    return Looks(
        np.ascontiguousarray(thumbnails[:, NUM_COARSE + NUM_CHROMA :]),
        thumbnails[:, NUM_COARSE : NUM_COARSE + NUM_CHROMA].reshape(-1, 2, _CHROMA_CELLS).copy(),
        sides / sides.max(axis=1, keepdims=True),
    )


def register(looks: Looks, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.float64]:
    """Lay pictures over each other, whichever of the two is the part.

    From a grid of scales and rotations in each of the eight turns, the most promising are followed by Gauss and
    Newton's method (inverse compositional, brightness and contrast of the overlap made equal). Where the pictures lie
    best, the edges' correlation says how similar they are. What the part shows beyond the whole's border counts as
    an edge that the whole lacks: a copy shows nothing in addition, but a plain border or black corners.

    Source: S. Baker, I. Matthews 2004, "Lucas-Kanade 20 years on", section 3.2, with the four parameters of a
    similarity transformation.

    Args:
        looks: of all pictures.
        first: shape (pairs,): rows of `looks`.
        second: shape (pairs,): rows of `looks`.

    Returns:
        Shape (pairs, 3): the edges' correlation, 0 to 1; the colours' agreement, -1 to 1 and 1 where one picture has no
        colour; and how the second is turned, an index into TURNS.
    """
    found: NDArray[np.float64] = _register(looks, _TURNED, _STARTS, np.stack([first, second], axis=1))
    return found


def _starts() -> NDArray[np.float64]:
    """Scale and rotation of each beginning, as a complex number; rounded, as cosines differ between machines."""
    angles = np.deg2rad(np.array(_ROTATIONS))
    turned = np.rint(4096 * np.stack([np.cos(angles), np.sin(angles)], axis=1)) / 4096
    return np.concatenate([scale * turned for scale in _SCALES])


class _Turned(NamedTuple):
    """For each turn, the cell of the picture that comes to lie in each cell of the turned one, and if sides change."""

    cells: NDArray[np.int64]
    chroma_cells: NDArray[np.int64]
    transposed: NDArray[np.bool_]


def _sources(side: int) -> NDArray[np.int64]:
    cells = np.arange(side * side).reshape(side, side)
    return np.stack([turn_planes(cells, turn).ravel() for turn in range(len(TURNS))])


_STARTS = _starts()
_TURNED = _Turned(_sources(_SIDE), _sources(CHROMA_SIDE), np.array(TRANSPOSED))
_FIRST = len(TURNS)  # the number of the first picture's view, after those of the second in every turn


class _Views(NamedTuple):
    """A pair: the second picture in every turn, then the first.

    Attributes:
        brightness: shape (turns + 1, _SIDE, _SIDE): smoothed.
        softer: shape (turns + 1, _SIDE, _SIDE): smoothed twice.
        chroma: shape (turns + 1, 2, CHROMA_SIDE, CHROMA_SIDE).
        sides: shape (turns + 1, 2): width and height.
    """

    brightness: _Array
    softer: _Array
    chroma: _Array
    sides: _Array


# A placement has four numbers: a cell at z, as a complex number, of the part lies at a * z + b in the whole, both
# counted from the middle in longer sides of the picture: real and imaginary part of a, then of b.


@numba.njit(nogil=True, cache=True)
def _register(looks: Looks, turned: _Turned, starts: _Array, pairs: _Array) -> _Array:
    found = np.zeros((len(pairs), 3))
    views = _Views(
        np.empty((_FIRST + 1, _SIDE, _SIDE)),
        np.empty((_FIRST + 1, _SIDE, _SIDE)),
        np.empty((_FIRST + 1, 2, CHROMA_SIDE, CHROMA_SIDE)),
        np.empty((_FIRST + 1, 2)),
    )
    promise = np.empty((2, _FIRST, len(starts)))
    for row in range(len(pairs)):
        _view(looks, turned, pairs[row, 0], 0, _FIRST, views)
        for turn in range(_FIRST):
            _view(looks, turned, pairs[row, 1], turn, turn, views)
            for number in range(len(starts)):
                promise[0, turn, number] = _promise(views, _FIRST, turn, starts[number])
                promise[1, turn, number] = _promise(views, turn, _FIRST, starts[number])
        _follow(views, starts, promise, found[row])
    return found


@numba.njit(nogil=True, cache=True)
def _view(looks: Looks, turned: _Turned, number: int, turn: int, view: int, views: _Views) -> None:
    """Write what a picture is when it is turned."""
    plane = np.empty((_SIDE, _SIDE))
    for cell in range(_CELLS):
        plane[cell // _SIDE, cell % _SIDE] = looks.brightness[number, turned.cells[turn, cell]]
    _smooth(plane, views.brightness[view])
    _smooth(views.brightness[view], views.softer[view])
    for channel in range(2):
        for cell in range(_CHROMA_CELLS):
            value = looks.chroma[number, channel, turned.chroma_cells[turn, cell]]
            views.chroma[view, channel, cell // CHROMA_SIDE, cell % CHROMA_SIDE] = value
    exchanged = 1 if turned.transposed[turn] else 0
    views.sides[view, 0], views.sides[view, 1] = looks.sides[number, exchanged], looks.sides[number, 1 - exchanged]


@numba.njit(nogil=True, cache=True)
def _smooth(plane: _Array, smoothed: _Array) -> None:
    """Weigh each cell and its neighbours 1, 2, 1 in both directions; at the border a cell is its own neighbour."""
    last = _SIDE - 1
    for y in range(_SIDE):
        above, below = max(y - 1, 0), min(y + 1, last)
        for x in range(_SIDE):
            left, right = max(x - 1, 0), min(x + 1, last)
            upper = plane[above, left] + 2 * plane[above, x] + plane[above, right]
            middle = plane[y, left] + 2 * plane[y, x] + plane[y, right]
            lower = plane[below, left] + 2 * plane[below, x] + plane[below, right]
            smoothed[y, x] = (upper + 2 * middle + lower) / 16


@numba.njit(nogil=True, cache=True)
def _moved(x: int, y: int, side: int, part: _Array, whole: _Array, placement: Any) -> tuple[float, float]:
    """Where the cell (x, y) of the part lies in the whole, in cells; `side` cells are a side."""
    right, below = ((x + 0.5) / side - 0.5) * part[0], ((y + 0.5) / side - 0.5) * part[1]
    across = placement[0] * right - placement[1] * below + placement[2]
    down = placement[1] * right + placement[0] * below + placement[3]
    return (across / whole[0] + 0.5) * side - 0.5, (down / whole[1] + 0.5) * side - 0.5


@numba.njit(nogil=True, cache=True)
def _sample(plane: _Array, side: int, x: float, y: float) -> Any:
    """Interpolate between four cells."""
    x, y = min(max(x, 0.0), side - 1.0), min(max(y, 0.0), side - 1.0)
    column, row = min(int(x), side - 2), min(int(y), side - 2)
    right, below = x - column, y - row
    upper = (1 - right) * plane[row, column] + right * plane[row, column + 1]
    lower = (1 - right) * plane[row + 1, column] + right * plane[row + 1, column + 1]
    return (1 - below) * upper + below * lower


@numba.njit(nogil=True, cache=True)
def _lies_in(x: float, y: float, margin: float) -> bool:
    """Whether a place is on the picture, `margin` cells from its border; below 0, beyond the border."""
    least, most = margin - 0.5, _SIDE - 0.5 - margin
    return least <= x <= most and least <= y <= most


@numba.njit(nogil=True, cache=True)
def _promise(views: _Views, part: int, whole: int, start: _Array) -> Any:
    """Correlate the brightness of every second cell where a search would begin; -1 where too little overlaps."""
    placement = (start[0], start[1], 0.0, 0.0)
    number = 0
    sum_a, sum_b, sum_aa, sum_bb, sum_ab = 0.0, 0.0, 0.0, 0.0, 0.0
    for y in range(0, _SIDE, 2):
        for x in range(0, _SIDE, 2):
            right, below = _moved(x, y, _SIDE, views.sides[part], views.sides[whole], placement)
            if not _lies_in(right, below, 0.0):
                continue
            a, b = views.brightness[part, y, x], _sample(views.brightness[whole], _SIDE, right, below)
            number += 1
            sum_a, sum_b = sum_a + a, sum_b + b
            sum_aa, sum_bb, sum_ab = sum_aa + a * a, sum_bb + b * b, sum_ab + a * b
    if number < _LEAST_OVERLAP * _CELLS / 4:
        return -1.0
    return _correlation(number, sum_a, sum_b, sum_aa, sum_bb, sum_ab)


@numba.njit(nogil=True, cache=True)
def _correlation(number: int, sum_a: float, sum_b: float, sum_aa: float, sum_bb: float, sum_ab: float) -> Any:
    square_a, square_b = sum_aa - sum_a * sum_a / number, sum_bb - sum_b * sum_b / number
    if square_a <= number or square_b <= number:  # less than a grey apart
        return 0.0
    return (sum_ab - sum_a * sum_b / number) / (np.sqrt(square_a) * np.sqrt(square_b))


@numba.njit(nogil=True, cache=True)
def _follow(views: _Views, starts: _Array, promise: _Array, found: _Array) -> None:
    """Search from the most promising beginnings, and write what `register` returns of the best place."""
    flat, num_starts = promise.ravel(), len(starts)
    for _ in range(_NUM_TRIES):
        best = int(np.argmax(flat))
        if flat[best] < _LEAST_AT_FIRST:
            break
        flat[best] = -1.0
        turn = best // num_starts % _FIRST
        part, whole = (_FIRST, turn) if best < num_starts * _FIRST else (turn, _FIRST)
        placement = np.zeros(4)
        placement[:2] = starts[best % num_starts]
        if not _align(views, part, whole, placement):
            continue
        edges = _edge_correlation(views, part, whole, placement)
        if edges > found[0]:
            found[0], found[2] = edges, turn
            found[1] = _agreement(views, part, whole, placement)


@numba.njit(nogil=True, cache=True)
def _scale(placement: _Array) -> Any:
    return np.sqrt(placement[0] * placement[0] + placement[1] * placement[1])


@numba.njit(nogil=True, cache=True)
def _align(views: _Views, part: int, whole: int, placement: _Array) -> Any:
    """Move the placement to where the part's brightness covers the whole's best; say if it is one of the allowed."""
    normal, gradient = np.empty((4, 4)), np.empty(4)
    for _ in range(_MOST_ITERATIONS):
        if not _sum_errors(views, part, whole, placement, normal, gradient):
            return False
        step = _solve(normal, gradient)
        _improve(placement, step)
        if np.abs(step).sum() < _SETTLED:
            break
    return _SMALLEST <= _scale(placement) <= _LARGEST


@numba.njit(nogil=True, cache=True)
def _sum_errors(views: _Views, part: int, whole: int, placement: _Array, normal: _Array, gradient: _Array) -> bool:
    """Write how each parameter would change what differs, the whole's mean and deviation made the part's.

    The errors are known only after the pass, as they depend on the means: their parts are summed.
    """
    number, sum_a, sum_b, sum_aa, sum_bb = 0, 0.0, 0.0, 0.0, 0.0
    products, slopes = np.zeros((4, 3)), np.empty(4)
    normal[:] = 0.0
    template, width, height = views.brightness[part], views.sides[part, 0], views.sides[part, 1]
    for y in range(1, _SIDE - 1):
        for x in range(1, _SIDE - 1):
            right, below = _moved(x, y, _SIDE, views.sides[part], views.sides[whole], placement)
            if not _lies_in(right, below, 0.5):
                continue
            a, b = template[y, x], _sample(views.brightness[whole], _SIDE, right, below)
            number += 1
            sum_a, sum_b, sum_aa, sum_bb = sum_a + a, sum_b + b, sum_aa + a * a, sum_bb + b * b
            across = (template[y, x + 1] - template[y, x - 1]) / 2 * _SIDE / width
            down = (template[y + 1, x] - template[y - 1, x]) / 2 * _SIDE / height
            u, v = ((x + 0.5) / _SIDE - 0.5) * width, ((y + 0.5) / _SIDE - 0.5) * height
            slopes[0], slopes[1], slopes[2], slopes[3] = across, down, across * u + down * v, down * u - across * v
            for row in range(4):
                products[row, 0] += slopes[row]
                products[row, 1] += slopes[row] * a
                products[row, 2] += slopes[row] * b
                for column in range(row + 1):
                    normal[row, column] += slopes[row] * slopes[column]
    if number < _LEAST_OVERLAP * _CELLS:
        return False
    mean_a, mean_b = sum_a / number, sum_b / number
    variance_a, variance_b = sum_aa / number - mean_a * mean_a, sum_bb / number - mean_b * mean_b
    if variance_a < 1 or variance_b < 1:
        return False
    gain = np.sqrt(variance_a / variance_b)
    for row in range(4):
        ours, theirs = products[row, 1] - mean_a * products[row, 0], products[row, 2] - mean_b * products[row, 0]
        gradient[row] = gain * theirs - ours
        for column in range(row):
            normal[column, row] = normal[row, column]
        normal[row, row] = normal[row, row] * 1.001 + 1.0  # a plain picture fits anywhere
    return True


@numba.njit(nogil=True, cache=True)
def _solve(normal: _Array, gradient: _Array) -> _Array:
    """Solve by Gauss' elimination; a positive definite matrix needs no exchange of rows. `normal` is used up."""
    step = gradient.copy()
    for pivot in range(4):
        for row in range(pivot + 1, 4):
            times = normal[row, pivot] / normal[pivot, pivot]
            for column in range(pivot, 4):
                normal[row, column] -= times * normal[pivot, column]
            step[row] -= times * step[pivot]
    for row in range(3, -1, -1):
        for column in range(row + 1, 4):
            step[row] -= normal[row, column] * step[column]
        step[row] = min(max(step[row] / normal[row, row], -_LARGEST_STEP), _LARGEST_STEP)
    return step


@numba.njit(nogil=True, cache=True)
def _improve(placement: _Array, step: _Array) -> None:
    """Undo the step in the part before the placement: z goes to z * (1 + c) + d, of which c and d are the step."""
    real, imaginary = 1 + step[2], step[3]
    square = real * real + imaginary * imaginary
    cosine = (placement[0] * real + placement[1] * imaginary) / square
    sine = (placement[1] * real - placement[0] * imaginary) / square
    placement[2] -= cosine * step[0] - sine * step[1]
    placement[3] -= cosine * step[1] + sine * step[0]
    placement[0], placement[1] = cosine, sine


@numba.njit(nogil=True, cache=True)
def _edges(plane: _Array, x: int, y: int) -> tuple[float, float]:
    """The change of brightness across and down, compressed."""
    across, down = plane[y, x + 1] - plane[y, x - 1], plane[y + 1, x] - plane[y - 1, x]
    divisor = np.sqrt(across * across + down * down) + _EDGE_COMPRESSION
    return across / divisor, down / divisor


@numba.njit(nogil=True, cache=True)
def _edge_planes(plane: _Array) -> tuple[_Array, _Array]:
    across, down = np.zeros((_SIDE, _SIDE)), np.zeros((_SIDE, _SIDE))
    for y in range(1, _SIDE - 1):
        for x in range(1, _SIDE - 1):
            across[y, x], down[y, x] = _edges(plane, x, y)
    return across, down


@numba.njit(nogil=True, cache=True)
def _edge_correlation(views: _Views, part: int, whole: int, placement: _Array) -> Any:
    scale = _scale(placement)
    cosine, sine = placement[0] / scale, placement[1] / scale
    template = views.brightness[part] if scale >= _SAME_DETAIL else views.softer[part]
    across, down = _edge_planes(views.brightness[whole])
    number, product, squares, whole_squares = 0, 0.0, 0.0, 0.0
    for y in range(1, _SIDE - 1):
        for x in range(1, _SIDE - 1):
            right, below = _moved(x, y, _SIDE, views.sides[part], views.sides[whole], placement)
            inside = _lies_in(right, below, _INSIDE)
            if not inside and _lies_in(right, below, -_OUTSIDE):
                continue
            here_x, here_y = _edges(template, x, y)
            squares += here_x * here_x + here_y * here_y
            if not inside:
                continue
            number += 1
            there_x, there_y = _sample(across, _SIDE, right, below), _sample(down, _SIDE, right, below)
            product += here_x * (cosine * there_x + sine * there_y) + here_y * (cosine * there_y - sine * there_x)
            whole_squares += there_x * there_x + there_y * there_y
    if number < _LEAST_OVERLAP * _CELLS or squares <= 0.0 or whole_squares <= 0.0:
        return 0.0
    return product / (np.sqrt(squares) * np.sqrt(whole_squares))


@numba.njit(nogil=True, cache=True)
def _agreement(views: _Views, part: int, whole: int, placement: _Array) -> Any:
    """How alike the colours are where the pictures overlap, each as a distance from grey: 1 where one has no colour."""
    product, squares, whole_squares, number = 0.0, 0.0, 0.0, 0
    for y in range(CHROMA_SIDE):
        for x in range(CHROMA_SIDE):
            right, below = _moved(x, y, CHROMA_SIDE, views.sides[part], views.sides[whole], placement)
            if not -0.5 <= right <= CHROMA_SIDE - 0.5 or not -0.5 <= below <= CHROMA_SIDE - 0.5:
                continue
            number += 1
            for channel in range(2):
                here = views.chroma[part, channel, y, x] - 128
                there = _sample(views.chroma[whole, channel], CHROMA_SIDE, right, below) - 128
                product += here * there
                squares += here * here
                whole_squares += there * there
    if squares <= _GREY * number or whole_squares <= _GREY * number:
        return 1.0
    return product / (np.sqrt(squares) * np.sqrt(whole_squares))
