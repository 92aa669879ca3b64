"""Weights that average: an exponential moving average of the weights that learn, beside the last ones.

Late in a run the weights move about a good place; their average is nearer to it than where the last step left them.
The optimizer keeps the averages, so a checkpoint holds them with the rest of its numbers. The running averages of
BatchNormalization are averages of the last steps already and stay as they are.
Source: Polyak and Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging"; in the exponential form of
Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", arXiv 1512.00567, section 8.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from numpy.typing import NDArray


def decay(num_epochs: float, steps_per_epoch: int) -> float | None:
    """Compute what is left of an average after one step.

    Args:
        num_epochs: after so many epochs a step counts 1/e of what it did; 0 for no average.
        steps_per_epoch: at least 1.

    Returns:
        Between 0 and 1; None for no average.
    """
    return math.exp(-1 / (num_epochs * steps_per_epoch)) if num_epochs else None


@contextmanager
def averaged(model: keras.Model) -> Iterator[None]:
    """Give a model its averages instead of its weights, until the block ends.

    Args:
        model: compiled with an optimizer that averages, and trained for at least one step.
    """
    variables = model.trainable_variables
    last = [keras.ops.convert_to_numpy(variable) for variable in variables]
    model.optimizer.finalize_variable_values(variables)
    try:
        yield
    finally:
        for variable, values in zip(variables, last, strict=True):
            variable.assign(values)


@contextmanager
def averages_in(network: keras.Model, averages: Sequence[NDArray[Any]] | None) -> Iterator[None]:
    """Give a network other weights until the block ends; None: it keeps its own."""
    if averages is None:
        yield
        return
    last = network.get_weights()
    network.set_weights(averages)
    yield
    network.set_weights(last)
