"""The true class of a picture, as a number: the model's classes first, then those that it does not know."""

import numpy as np
from numpy.typing import NDArray

NO_CLASS = -1  # the truth of a picture that belongs to no class


def is_known(truth: NDArray[np.int64], num_classes: int) -> NDArray[np.bool_]:
    """Tell where the true class is one of the model's.

    Args:
        truth: of shape (pictures,), int64, NO_CLASS where there is none.
        num_classes: how many classes the model knows.

    Returns:
        Of shape (pictures,), bool.
    """
    return (truth >= 0) & (truth < num_classes)
