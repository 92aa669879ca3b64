"""Decode prepared pictures, as shards hold them, without holding Python's lock: threads decode in parallel.

TensorFlow's decoders where it is installed, whatever Keras' backend: Pillow's take a fifth more time on the way to an
array, and much of it goes into copies under the lock (bench/loader.py). Both decode without loss, so the pixels are the
same; where another backend trains, TensorFlow need not be there.
"""

from io import BytesIO
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

try:
    import tensorflow as tf
except ImportError:
    tf = None

_PNG = b"\x89PNG\r\n\x1a\n"


def decode(data: bytes) -> NDArray[np.uint8]:
    """Decode what `stages.shards.codec.encode` wrote.

    Args:
        data: a PNG or WebP of 8-bit RGB.

    Returns:
        Array of shape (height, width, 3), uint8, read-only.

    Raises:
        ValueError: the bytes are no such picture.
    """
    return decode_by_pillow(data) if tf is None else _decode_by_tensorflow(data)


def _decode_by_tensorflow(data: bytes) -> NDArray[np.uint8]:
    try:
        pixels: Any = (tf.io.decode_png if data.startswith(_PNG) else tf.io.decode_webp)(data, channels=3)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(error.message) from None
    # WebP's decoder returns one row per frame. The buffer protocol shares the memory where `.numpy()` copies it.
    return np.asarray(memoryview(pixels)).reshape(pixels.shape[-3:])


def decode_by_pillow(data: bytes) -> NDArray[np.uint8]:
    """Decode without TensorFlow; as `decode`."""
    try:
        with Image.open(BytesIO(data), formats=("PNG", "WEBP")) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError) as error:  # what Pillow raises of a picture that is cut short or damaged
        raise ValueError(str(error)) from None


def leave_gpus_to_keras() -> None:
    """Keep TensorFlow off the GPUs where another backend computes on them; call it before the first `decode`."""
    if tf is not None and keras.backend.backend() != "tensorflow":
        tf.config.set_visible_devices([], "GPU")
