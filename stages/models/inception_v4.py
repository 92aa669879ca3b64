"""Inception V4, layer for layer.

Source: Szegedy, Ioffe, Vanhoucke and Alemi 2016, "Inception-v4, Inception-ResNet and the Impact of Residual
Connections on Learning", arXiv 1602.07261, figures 3 to 9. Where figure 6 repeats 1x7 the authors' code alternates 1x7
and 7x1, and so do we. BatchNormalization has both scale and offset, which gives the 42,679,816 trainable parameters at
1,000 classes that the network is known by.
"""

import keras
from keras import KerasTensor, layers

from stages.models.maximum import Maximum


def build(size: int) -> keras.Model:
    """Build the network up to its embedding.

    Args:
        size: side of the square pictures in pixels: 299 in the paper, at least 75.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255, that gives embeddings of shape (n, 1536).

    Raises:
        ValueError: pictures of this size are too small for the stem and the reductions.
    """
    pictures = keras.Input((size, size, 3), name="pictures")
    x = _stem(layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pictures))
    for number in range(1, 5):
        x = _inception_a(x, f"inception_a_{number}")
    x = _reduction_a(x)
    for number in range(1, 8):
        x = _inception_b(x, f"inception_b_{number}")
    x = _reduction_b(x)
    for number in range(1, 4):
        x = _inception_c(x, f"inception_c_{number}")
    return keras.Model(pictures, layers.GlobalAveragePooling2D(name="embedding")(x), name="body")


def _convolution(x: KerasTensor, filters: int, rows: int, columns: int, strides: int, padding: str) -> KerasTensor:
    x = layers.Conv2D(filters, (rows, columns), strides, padding=padding, use_bias=False)(x)
    return layers.Activation("relu")(layers.BatchNormalization()(x))


def _same(x: KerasTensor, *chain: tuple[int, int, int]) -> KerasTensor:
    for filters, rows, columns in chain:
        x = _convolution(x, filters, rows, columns, 1, "same")
    return x


def _halved(x: KerasTensor, filters: int) -> KerasTensor:
    return _convolution(x, filters, 3, 3, 2, "valid")


def _maximum(x: KerasTensor) -> KerasTensor:
    return Maximum()(x)


def _average(x: KerasTensor) -> KerasTensor:
    return layers.AveragePooling2D(3, 1, padding="same")(x)


def _joined(name: str, *branches: KerasTensor) -> KerasTensor:
    return layers.Concatenate(name=name)(list(branches))


def _stem(x: KerasTensor) -> KerasTensor:
    x = _convolution(_halved(x, 32), 32, 3, 3, 1, "valid")
    x = _same(x, (64, 3, 3))
    x = _joined("stem_1", _maximum(x), _halved(x, 96))
    left = _convolution(_same(x, (64, 1, 1)), 96, 3, 3, 1, "valid")
    right = _convolution(_same(x, (64, 1, 1), (64, 7, 1), (64, 1, 7)), 96, 3, 3, 1, "valid")
    x = _joined("stem_2", left, right)
    return _joined("stem", _halved(x, 192), _maximum(x))


def _inception_a(x: KerasTensor, name: str) -> KerasTensor:
    return _joined(
        name,
        _same(_average(x), (96, 1, 1)),
        _same(x, (96, 1, 1)),
        _same(x, (64, 1, 1), (96, 3, 3)),
        _same(x, (64, 1, 1), (96, 3, 3), (96, 3, 3)),
    )


def _reduction_a(x: KerasTensor) -> KerasTensor:
    return _joined("reduction_a", _maximum(x), _halved(x, 384), _halved(_same(x, (192, 1, 1), (224, 3, 3)), 256))


def _inception_b(x: KerasTensor, name: str) -> KerasTensor:
    return _joined(
        name,
        _same(_average(x), (128, 1, 1)),
        _same(x, (384, 1, 1)),
        _same(x, (192, 1, 1), (224, 1, 7), (256, 7, 1)),
        _same(x, (192, 1, 1), (192, 1, 7), (224, 7, 1), (224, 1, 7), (256, 7, 1)),
    )


def _reduction_b(x: KerasTensor) -> KerasTensor:
    return _joined(
        "reduction_b",
        _maximum(x),
        _halved(_same(x, (192, 1, 1)), 192),
        _halved(_same(x, (256, 1, 1), (256, 1, 7), (320, 7, 1)), 320),
    )


def _inception_c(x: KerasTensor, name: str) -> KerasTensor:
    third = _same(x, (384, 1, 1))
    fourth = _same(x, (384, 1, 1), (448, 1, 3), (512, 3, 1))
    return _joined(
        name,
        _same(_average(x), (256, 1, 1)),
        _same(x, (256, 1, 1)),
        _same(third, (256, 1, 3)),
        _same(third, (256, 3, 1)),
        _same(fourth, (256, 3, 1)),
        _same(fourth, (256, 1, 3)),
    )
