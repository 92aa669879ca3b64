"""A picture in 384 bytes: what tells near-duplicates from look-alikes, long after the file was read."""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from stages.images.resample import SCALE, lanczos, whole

SIDE = 16  # of the brightness, in pixels
CHROMA_SIDE = 8  # of each of the two colour planes: eyes and cameras see half as much detail in colour
NUM_BYTES = SIDE * SIDE + 2 * CHROMA_SIDE * CHROMA_SIDE


def thumbnail(pixels: NDArray[np.uint8], grey: NDArray[np.uint8]) -> bytes:
    """Shrink a picture to a square, whatever its shape: brightness by Lanczos' filter, colours by their mean.

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue and an unused byte.
        grey: shape (height, width), uint8: its brightness.

    Returns:
        NUM_BYTES bytes, row by row: brightness (SIDE x SIDE), then blueness and redness, (CHROMA_SIDE x CHROMA_SIDE)
        each, as JFIF has them.
    """
    height, width = grey.shape
    shrunk = _weights(height) @ grey.astype(np.float64) @ _weights(width).T
    brightness = np.clip(np.rint(shrunk / SCALE**2), 0, 255).astype(np.uint8)
    chroma: NDArray[np.uint8] = _chroma(pixels.reshape(height, 4 * width))
    return brightness.tobytes() + chroma.tobytes()


@lru_cache(maxsize=1024)
def _weights(length: int) -> NDArray[np.float64]:
    return whole(lanczos(length, SIDE))


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
