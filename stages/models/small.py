"""A small network for small pictures: what the sample library is trained with."""

import keras
from keras import layers

# Filters and strides of the convolutions.
CONVOLUTIONS = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), (128, 1))


def build(size: int) -> keras.Model:
    """Build the network up to its embedding.

    Args:
        size: side of the square pictures in pixels, at least 16.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255, that gives embeddings of shape (n, 128).
    """
    pictures = keras.Input((size, size, 3), name="pictures")
    x = layers.Rescaling(1 / 127.5, offset=-1.0, name="rescaling")(pictures)
    for number, (filters, strides) in enumerate(CONVOLUTIONS, start=1):
        x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, name=f"convolution_{number}")(x)
        x = layers.BatchNormalization(name=f"normalization_{number}")(x)
        x = layers.Activation("relu", name=f"activation_{number}")(x)
    return keras.Model(pictures, layers.GlobalAveragePooling2D(name="embedding")(x), name="body")
