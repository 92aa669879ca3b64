"""EfficientNet-Lite0, layer for layer: a network that a machine without a GPU can afford at 224 pixels.

Source: Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", arXiv 1905.11946,
table 1, and the authors' variant for small devices (github.com/tensorflow/tpu, efficientnet/lite): no squeeze and
excitation, ReLU6 for swish, and a stem and head that do not scale. Blocks are dropped while training as in the paper's
section 5 (survival probability 0.8 at the last one, Huang et al. 2016, arXiv 1603.09382).
"""

from collections.abc import Mapping
from typing import Any

import keras
from keras import KerasTensor, layers
from numpy.typing import NDArray

# Of each stage: side of its kernels, blocks, filters, by how much a block widens, strides of its first block.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 2, 24, 6, 2),
    (5, 2, 40, 6, 2),
    (3, 3, 80, 6, 2),
    (5, 3, 112, 6, 1),
    (5, 4, 192, 6, 2),
    (3, 1, 320, 6, 1),
)
NUM_BLOCKS = sum(blocks for _, blocks, _, _, _ in STAGES)
FEATURES = 1280
SIZE = 224  # pixels that the published weights were trained with
DROPPED_BLOCKS = 0.2  # the share of the last block; a block's share grows with its depth


def build(size: int) -> keras.Model:
    """Build the network up to its embedding.

    Args:
        size: side of the square pictures in pixels: SIZE for the published weights, at least 32.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255, that gives embeddings of shape (n, 1280).

    Raises:
        ValueError: pictures of this size are smaller than what the strides divide them by.
    """
    if size < 32:
        raise ValueError("the side is at least 32 pixels")
    pictures = keras.Input((size, size, 3), name="pictures")
    x = layers.Rescaling(1 / 128, offset=-127 / 128, name="rescaling")(pictures)
    x = _relu6(_normalized(layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem")(x), "stem"), "stem")
    number = 0
    for kernel, blocks, filters, expansion, strides in STAGES:
        for block in range(blocks):
            x = _block(x, number, kernel, filters, expansion, strides if block == 0 else 1)
            number += 1
    x = layers.Conv2D(FEATURES, 1, use_bias=False, name="head")(x)
    x = _relu6(_normalized(x, "head"), "head")
    return keras.Model(pictures, layers.GlobalAveragePooling2D(name="embedding")(x), name="body")


def set_published_weights(body: keras.Model, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give the network the weights of PyTorch's file, whose layers stand in the same order.

    Args:
        body: from `build`.
        arrays: by name: kernels of shape (out, in, rows, columns), BatchNormalization's four vectors, and the output
            layer's, which are passed over.
    """
    by_layer: dict[str, dict[str, NDArray[Any]]] = {}
    for name, values in arrays.items():
        layer, _, kind = name.rpartition(".")
        if kind != "num_batches_tracked" and layer != "_fc":
            by_layer.setdefault(layer, {})[kind] = values
    for layer, published in zip((layer for layer in body.layers if layer.weights), by_layer.values(), strict=True):
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([published[kind] for kind in ("weight", "bias", "running_mean", "running_var")])
        else:
            axes = (2, 3, 0, 1) if isinstance(layer, layers.DepthwiseConv2D) else (2, 3, 1, 0)
            layer.set_weights([published["weight"].transpose(axes)])


def _block(x: KerasTensor, number: int, kernel: int, filters: int, expansion: int, strides: int) -> KerasTensor:
    """An inverted residual: widen, convolve each channel by itself, narrow, add what came in if the shapes allow it."""
    name, entered = f"block_{number}", x
    if expansion > 1:
        x = layers.Conv2D(x.shape[-1] * expansion, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _relu6(_normalized(x, f"{name}_expand"), f"{name}_expand")
    x = layers.DepthwiseConv2D(kernel, strides, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _relu6(_normalized(x, f"{name}_depthwise"), f"{name}_depthwise")
    x = _normalized(layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project")(x), f"{name}_project")
    if strides > 1 or entered.shape[-1] != filters:
        return x
    share = DROPPED_BLOCKS * number / NUM_BLOCKS
    # One draw per picture: the block is left out whole.
    return layers.Add(name=f"{name}_add")([layers.Dropout(share, (None, 1, 1, 1), name=f"{name}_drop")(x), entered])


def _normalized(x: KerasTensor, name: str) -> KerasTensor:
    return layers.BatchNormalization(epsilon=1e-3, name=f"{name}_normalization")(x)


def _relu6(x: KerasTensor, name: str) -> KerasTensor:
    return layers.ReLU(6.0, name=f"{name}_relu6")(x)
