"""In what precision the layers of a network calculate; its weights and its scores are float32 in any."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from runtime.errors import ParameterError
from runtime.parameters import Precision


@contextmanager
def calculating_in(precision: Precision, parameter: str) -> Iterator[None]:
    """Let networks that are built within the block calculate in a precision.

    Args:
        precision: of the layers.
        parameter: that says so, for the message.

    Raises:
        ParameterError: the backend cannot calculate in it.
    """
    _require_possible(precision, parameter)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _require_possible(precision: Precision, parameter: str) -> None:
    if precision == "bfloat16" and keras.backend.backend() == "jax":
        import jax

        if jax.default_backend() == "cpu":
            raise ParameterError(
                f"params.yaml: {parameter} bfloat16: JAX on a CPU gave scores that are no numbers. Set it to "
                "float32, unset KERAS_BACKEND, or run it where JAX finds a GPU."
            )
