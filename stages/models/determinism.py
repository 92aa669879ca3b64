"""Let the same inputs give the same numbers: each backend's switch for it, in one place."""

import os

import keras

# The kernels of XLA for GPUs are not deterministic by themselves; on a CPU they are, and this changes nothing.
XLA_FLAG = "--xla_gpu_deterministic_ops=true"


def enable(seed: int, deterministic: bool = True) -> None:
    """Make every operation deterministic and seed what draws without a seed of its own.

    The seed is global because initializers inside the networks of `keras.applications` can be given none. On the
    backend jax this must come before anything is calculated, and building a network calculates.

    Args:
        seed: 0 to 2**32 - 1.
        deterministic: False only seeds: on a GPU that is faster, and two runs give two results.
    """
    keras.utils.set_random_seed(seed)
    if not deterministic:
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
    elif keras.backend.backend() == "jax" and XLA_FLAG not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAG}".strip()
