"""A picture of any shape to the network's square input: scaled to fit, centred on black, nothing cropped."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# A triangle filter as wide as the scaling asks for: the one filter that Pillow and TensorFlow both have (there:
# bilinear with antialias), so that serving can prepare pictures as training does.
RESAMPLING = Image.Resampling.BILINEAR


def letterbox(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Scale a picture so that its longer side is `size` and centre it on a black square.

    Args:
        image: upright, in mode RGB.
        size: side of the square in pixels.

    Returns:
        Array of shape (size, size, 3), uint8.
    """
    width, height = fitted(image.width, image.height, size)
    square = Image.new("RGB", (size, size))
    square.paste(image.resize((width, height), RESAMPLING), ((size - width) // 2, (size - height) // 2))
    return np.asarray(square)


def fitted(width: int, height: int, size: int) -> tuple[int, int]:
    """Scale a picture's sides so that the longer one is `size`; the shorter one is rounded down, and at least 1."""
    longer = max(width, height)
    return max(1, width * size // longer), max(1, height * size // longer)
