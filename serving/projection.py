"""Project a network's features on a few numbers, so that a log can keep what the network saw of each picture.

Each number is the sum of all features, each added or subtracted, by signs that are the same for ever: distances between
pictures are about kept. Only numbers of one network can be compared with each other.

Source: Achlioptas 2003, "Database-friendly random projections: Johnson-Lindenstrauss with binary coins", Journal of
    Computer and System Sciences 66, theorem 1.1 with the first of its two distributions.
"""

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

NUM = 16  # numbers of a picture
_SEED = b"retrain projection 1"
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


def project(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Project features.

    Args:
        features: of shape (pictures, features).

    Returns:
        Of shape (pictures, NUM), rounded to float16 as the log has them.
    """
    summed = np.asarray(features, np.float32) @ signs(features.shape[1]) / np.float32(np.sqrt(NUM))
    rounded: NDArray[np.float16] = np.clip(summed, -_LARGEST_FLOAT16, _LARGEST_FLOAT16).astype(np.float16)
    return rounded.astype(np.float32)


@cache
def signs(num_features: int) -> NDArray[np.float32]:
    """Draw the signs: -1 or 1, of shape (features, NUM).

    They are bits of a hash and not of a generator of NumPy, whose stream may change with its version.
    """
    num_bytes = -(-num_features * NUM // 8)
    bits = np.unpackbits(np.frombuffer(hashlib.shake_256(_SEED).digest(num_bytes), np.uint8))
    drawn: NDArray[np.float32] = 2.0 * bits[: num_features * NUM].reshape(num_features, NUM).astype(np.float32) - 1
    drawn.setflags(write=False)
    return drawn
