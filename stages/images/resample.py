"""Weights that shrink rows of pixels, as whole numbers: float64 holds their sums exactly, whatever the order."""

import numpy as np
from numpy.typing import NDArray

# Grey (8 bits) times two sums of absolute weights (21.5 bits each at most) stays below 2^53.
SCALE = 2**16


def lanczos(length: int, side: int) -> NDArray[np.float64]:
    """Weights that shrink a row of `length` pixels to `side` by Lanczos' filter, or stretch it.

    Source: Pillow's `Image.resize`.

    Returns:
        Shape (side, length); each row sums to 1.
    """
    scale = length / side
    stretch = max(scale, 1.0)
    centres = (np.arange(side)[:, None] + 0.5) * scale
    offsets = (np.arange(length) + 0.5 - centres) / stretch
    weights: NDArray[np.float64] = np.where(np.abs(offsets) < 3, np.sinc(offsets) * np.sinc(offsets / 3), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def whole(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round SCALE times the weights to whole numbers; each row keeps its sum, so that a plain field stays plain.

    Args:
        weights: shape (rows, length); each row sums to a whole number.
    """
    product: NDArray[np.float64] = np.rint(weights * SCALE)
    product[:, weights.shape[1] // 2] += np.rint(weights.sum(axis=1)) * SCALE - product.sum(axis=1)
    product.setflags(write=False)
    return product
