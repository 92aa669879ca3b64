"""The same numbers from the same numbers: every backend's switch for it, in one place."""

import keras


def enable(seed: int) -> None:
    """Make every operation deterministic and seed what draws without a seed of its own.

    The seed is global because initializers inside the networks of `keras.applications` can be given none.

    Args:
        seed: 0 to 2**32 - 1.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
