"""Max pooling of 3 x 3 pixels with a stride of 2, whose gradient is deterministic and fast on a GPU."""

from functools import reduce
from typing import Any

import keras
from keras import ops

SIDE, STRIDE = 3, 2


class Maximum(keras.layers.Layer):  # type: ignore[misc]
    """Max pooling without padding; while training, as the maximum of nine shifted, strided slices.

    The gradient of max pooling scatters: made deterministic, it took 54 of 173 ms of a step of Inception V4 on an H200.
    That of slices pads. Where several pixels are the maximum, they share the gradient, where pooling gives it to one;
    after a ReLU that is seldom but at 0, where nothing flows on.
    """

    def compute_output_shape(self, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Halve height and width."""
        return (shape[0], *((side - SIDE) // STRIDE + 1 for side in shape[1:3] if side is not None), shape[3])

    def call(self, x: Any, training: bool = False) -> Any:
        """Take the maximum of each window of `x`, shape (n, height, width, channels)."""
        if not training:
            return ops.max_pool(x, SIDE, STRIDE)
        height, width = (STRIDE * (side - 1) + 1 for side in self.compute_output_shape(x.shape)[1:3])  # type: ignore[operator]
        shifts = [(row, column) for row in range(SIDE) for column in range(SIDE)]
        slices = [x[:, row : row + height : STRIDE, column : column + width : STRIDE] for row, column in shifts]
        return reduce(ops.maximum, slices)
