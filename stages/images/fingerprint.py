"""A picture's perceptual hash, and measures of its quality, exact on every machine.

All sums are of integers that float64 holds exactly, so that no order of summing and no kind of processor changes a bit.
"""

from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from stages.images.resample import lanczos, whole

# The hash is taken from this many cosines each way, of the picture at this size.
_NUM_COSINES, _HASHED_SIDE = 8, 32
_GREYS = np.arange(256)


def grey_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make a picture grey, as Pillow does (ITU-R BT.601's luma).

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue and an unused byte.

    Returns:
        Shape (height, width), uint8.
    """
    # A pixel as one number: compilers read it four times as fast as its three parts.
    grey: NDArray[np.uint8] = _grey_of(pixels.view("<u4")[:, :, 0])
    return grey


@numba.njit(nogil=True, cache=True, inline="always")
def _colours(number: Any) -> Any:
    pixel, byte = np.uint32(number), np.uint32(255)
    return pixel & byte, (pixel >> np.uint32(8)) & byte, (pixel >> np.uint32(16)) & byte


@numba.njit(nogil=True, cache=True)
def _grey_of(pixels: Any) -> Any:
    height, width = pixels.shape
    grey = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            red, green, blue = _colours(pixels[y, x])
            weighed = np.uint32(19595) * red + np.uint32(38470) * green + np.uint32(7471) * blue
            grey[y, x] = (weighed + np.uint32(2**15)) >> np.uint32(16)
    return grey


def perceptual_hash(grey: NDArray[np.uint8]) -> int:
    """Hash what the picture looks like: similar pictures differ in few of the 64 bits.

    The same as `imagehash.phash`, which shrinks the picture to 32 x 32 by Lanczos' filter, takes the 8 x 8 lowest
    cosines and asks which are above their median; here shrinking and cosines are one product of integer matrices.
    It differs where a coefficient is close to the median, as imagehash rounds to whole greys between the two steps.

    Source: Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"; `imagehash.phash`.

    Args:
        grey: shape (height, width), uint8.

    Returns:
        64 bits, the first coefficient in the highest.
    """
    height, width = grey.shape
    coefficients = _shrunk_cosines(height) @ grey.astype(np.float64) @ _shrunk_cosines(width).T
    ordered = np.sort(coefficients, axis=None)
    above = 2 * coefficients > ordered[31] + ordered[32]
    return int.from_bytes(np.packbits(above).tobytes())


@lru_cache(maxsize=1024)
def _shrunk_cosines(length: int) -> NDArray[np.float64]:
    """Shape (8, length): what shrinks a row of this length to 32 pixels, then takes its 8 lowest cosines.

    All but the first sum to zero, so that nothing but the mean is seen in a plain field.
    """
    angles = np.pi / (2 * _HASHED_SIDE) * (2 * np.arange(_HASHED_SIDE) + 1) * np.arange(_NUM_COSINES)[:, None]
    return whole(np.cos(angles) @ lanczos(length, _HASHED_SIDE))


def quality(grey: NDArray[np.uint8]) -> dict[str, float | None]:
    """Measure sharpness and light.

    Source: sharpness is the mean square of the Laplacian over that of the gradient, a mean frequency squared. The
    Laplacian alone (Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy: a comparative study")
    falls with contrast too, and is low for a small thing on a plain ground; bench/quality.py compares the two.

    Args:
        grey: shape (height, width), uint8.

    Returns:
        `sharpness`: 0 upwards, low for a blurred picture, null for a plain one; of the greys, all from 0 to 1,
        `brightness`: the mean, `highlights`: what the lightest twentieth reach, `contrast`: the range of the middle
        96 %.
    """
    counts = _histogram(grey)
    # The grey that a share of the pixels, in thousandths, does not exceed.
    darkest, high, lightest = np.searchsorted(1000 * np.cumsum(counts), grey.size * np.array([20, 950, 980])).tolist()
    laplacian, gradient = _squares(grey)
    return {
        "sharpness": laplacian / gradient if gradient else None,
        "brightness": int(counts @ _GREYS) / grey.size / 255,
        "highlights": high / 255,
        "contrast": (lightest - darkest) / 255,
    }


def chroma(pixels: NDArray[np.uint8]) -> float:
    """Measure how colourful a picture is, by the largest less the smallest of a pixel's red, green and blue.

    Args:
        pixels: shape (height, width, 4), uint8: red, green, blue and an unused byte.

    Returns:
        What the most colourful hundredth of the pixels reach, 0 to 1; 0 for a grey picture.
    """
    counts = _histogram(_chroma_of(pixels.view("<u4")[:, :, 0]))
    return int(np.searchsorted(100 * np.cumsum(counts), 99 * counts.sum())) / 255


@numba.njit(nogil=True, cache=True)
def _chroma_of(pixels: Any) -> Any:
    height, width = pixels.shape
    chromas = np.empty((height, width), np.uint8)
    for y in range(height):
        for x in range(width):
            red, green, blue = _colours(pixels[y, x])
            chromas[y, x] = max(red, green, blue) - min(red, green, blue)
    return chromas


@numba.njit(nogil=True, cache=True)
def _histogram(grey: Any) -> Any:
    # Neighbours are often equal, and adding to one count twice must wait: two counters take turns.
    counts = np.zeros((2, 256), np.int64)
    for row in grey:
        for x, value in enumerate(row):
            counts[x & 1, value] += 1
    return counts[0] + counts[1]


@numba.njit(nogil=True, cache=True)
def _squares(grey: Any) -> Any:
    """Sum the squares of the Laplacian and of the gradient, over every second row: all rows would say no more."""
    height, width = grey.shape
    laplacians, gradients = np.int64(0), np.int64(0)
    for y in range(1, height - 1, 2):
        for x in range(1, width - 1):
            upper, lower = np.int32(grey[y - 1, x]), np.int32(grey[y + 1, x])
            left, right = np.int32(grey[y, x - 1]), np.int32(grey[y, x + 1])
            laplacian = upper + lower + left + right - 4 * np.int32(grey[y, x])
            laplacians += laplacian * laplacian
            gradients += (lower - upper) * (lower - upper) + (right - left) * (right - left)
    return laplacians, gradients
