"""A picture in 1,408 bytes: what tells near-duplicates from look-alikes, long after the file was read."""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from stages.images.resample import SCALE, lanczos, whole

SIDE = 16  # of the brightness, in pixels
CHROMA_SIDE = 8  # of each of the two colour planes: eyes and cameras see half as much detail in colour
DETAIL_SIDE = 32  # of the brightness once more, in detail
NUM_COARSE, NUM_CHROMA = SIDE * SIDE, 2 * CHROMA_SIDE * CHROMA_SIDE
NUM_BYTES = NUM_COARSE + NUM_CHROMA + DETAIL_SIDE * DETAIL_SIDE


def thumbnail(pixels: NDArray[np.uint8], grey: NDArray[np.uint8]) -> bytes:
    """Shrink a picture to a square, whatever its shape: brightness by Lanczos' filter, colours by their mean.

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue and an unused byte.
        grey: shape (height, width), uint8: its brightness.

    Returns:
        NUM_BYTES bytes, row by row: brightness (SIDE x SIDE), then blueness and redness, (CHROMA_SIDE x CHROMA_SIDE)
        each, as JFIF has them, then brightness in detail (DETAIL_SIDE x DETAIL_SIDE).
    """
    height, width = grey.shape
    greys = grey.astype(np.float64)
    chroma: NDArray[np.uint8] = _chroma(pixels.reshape(height, 4 * width))
    return _brightness(greys, SIDE).tobytes() + chroma.tobytes() + _brightness(greys, DETAIL_SIDE).tobytes()


def _brightness(greys: NDArray[np.float64], side: int) -> NDArray[np.uint8]:
    height, width = greys.shape
    shrunk = _weights(height, side) @ greys @ _weights(width, side).T
    return np.clip(np.rint(shrunk / SCALE**2), 0, 255).astype(np.uint8)


@lru_cache(maxsize=2048)
def _weights(length: int, side: int) -> NDArray[np.float64]:
    return whole(lanczos(length, side))


@numba.njit(nogil=True, cache=True)
def _chroma(rows: Any) -> Any:
    """Take the mean colour of each cell; a pixel across the border of two belongs to each in part.

    In units of an eighth of a pixel, the picture is `8 * height` high, and a cell is `height` high; the same across.
    """
    side = CHROMA_SIDE
    height, width = rows.shape[0], rows.shape[1] // 4
    planes = np.empty((2, side, side), np.uint8)
    sums = np.empty(4 * width, np.int32)
    for i in range(side):
        sums[:] = 0
        for y in range(i * height // side, ((i + 1) * height + side - 1) // side):
            overlap = np.int32(min(side * (y + 1), (i + 1) * height) - max(side * y, i * height))
            for x in range(4 * width):
                sums[x] += overlap * np.int32(rows[y, x])
        for j in range(side):
            red, green, blue = np.int64(0), np.int64(0), np.int64(0)
            for x in range(j * width // side, ((j + 1) * width + side - 1) // side):
                overlap = np.int32(min(side * (x + 1), (j + 1) * width) - max(side * x, j * width))
                red += overlap * sums[4 * x]
                green += overlap * sums[4 * x + 1]
                blue += overlap * sums[4 * x + 2]
            # 65536 times the weights of JFIF 1.02; 128 is no colour.
            area = 2**16 * height * width
            planes[0, i, j] = min(255, (-11059 * red - 21709 * green + 32768 * blue + area * 128 + area // 2) // area)
            planes[1, i, j] = min(255, (32768 * red - 27439 * green - 5329 * blue + area * 128 + area // 2) // area)
    return planes
