"""Vary training pictures: mirror, slight rotation, slight zoom, on black as the letterbox is."""

import keras
from keras import layers

# In half precision the coordinates of a picture's pixels would be rounded to whole ones and worse.
_PRECISION = "float32"


def augmentation(mirror: bool, rotation: float, zoom: float, seed: int) -> list[keras.Layer]:
    """Make the layers in front of a network that is being trained; outside of training they change nothing.

    Args:
        mirror: whether half of the pictures are turned left to right.
        rotation: degrees at most, either way; 0 for none.
        zoom: fraction at most by which a picture is enlarged or shrunk; 0 for none.
        seed: of the first layer; the others count on.

    Returns:
        Layers, in the order in which they are applied.
    """
    black = {"fill_mode": "constant", "fill_value": 0.0, "dtype": _PRECISION}
    chosen: list[keras.Layer] = []
    if mirror:
        chosen.append(layers.RandomFlip("horizontal", seed=seed, dtype=_PRECISION))
    if rotation:
        share = rotation / 360
        chosen.append(layers.RandomRotation((-share, share), seed=seed + 1, **black))
    if zoom:
        # Without a second factor the picture keeps its proportions.
        chosen.append(layers.RandomZoom((-zoom, zoom), seed=seed + 2, **black))
    if keras.backend.backend() == "jax":
        for layer in chosen:
            # Keras denies it for TensorFlow's sake. Uncompiled, a step on JAX takes hundreds of times as long.
            layer.supports_jit = True
    return chosen
