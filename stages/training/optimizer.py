"""AdamW as training uses it: warm-up, half a cosine, and a learning rate of its own for the body."""

import math
from collections.abc import Collection
from typing import Any

import keras

# Keras' own default is too strong for runs of a few thousand steps at high learning rates.
WEIGHT_DECAY = 1e-4


def optimizer(
    learning_rate: float,
    warm_up: float,
    num_steps: int,
    slower: Collection[keras.Variable] = (),
    share: float = 1.0,
    decay: float | None = None,
) -> keras.Optimizer:
    """Make the optimizer.

    Args:
        learning_rate: its peak.
        warm_up: share of the steps in which it climbs there.
        num_steps: after which it is 0 again.
        slower: weights that learn at a share of the learning rate.
        share: of the learning rate, 0 to 1.
        decay: of an average of the weights, from `averaging.decay`; None: none is kept.
    """
    num_warm_up = math.ceil(warm_up * num_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, num_steps - num_warm_up),
        warmup_target=learning_rate,
        warmup_steps=num_warm_up,
    )
    averages = {} if decay is None else {"use_ema": True, "ema_momentum": decay}
    if share == 1:
        made = keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY, **averages)
    else:
        made = Discriminative(schedule, slower, share, **averages)
    # Gradients of float16 vanish unless the loss is scaled up; bfloat16 has the range of float32.
    if keras.config.dtype_policy().compute_dtype == "float16":
        return keras.optimizers.LossScaleOptimizer(made)
    return made


class Discriminative(keras.optimizers.AdamW):  # type: ignore[misc]
    """AdamW that gives some weights a share of the learning rate.

    Source: Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", arXiv 1801.06146,
    section 3.2, "discriminative fine-tuning". There each layer has a rate of its own, 1/2.6 of the next one's; here the
    body has one rate and the output layer another.

    Args:
        schedule: of the learning rate.
        slower: weights that learn at a share of it.
        share: 0 to 1.
        options: further ones of AdamW.
    """

    def __init__(self, schedule: Any, slower: Collection[keras.Variable], share: float, **options: Any) -> None:
        # Keras would let all weights decay at the full rate: `update_step` does it instead.
        super().__init__(schedule, weight_decay=0.0, name="adamw", **options)
        self._slower, self._share = {id(variable) for variable in slower}, share
        self._shares: list[float] = []

    def build(self, variables: list[keras.Variable]) -> None:
        """Note which of the weights are the slower ones: later they come as what the backend makes of them."""
        self._shares = [self._share if id(variable) in self._slower else 1.0 for variable in variables]
        super().build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Let one weight decay and learn."""
        share = self._shares[self._get_variable_index(variable)]
        rate = keras.ops.cast(learning_rate, variable.dtype) * share
        self.assign_sub(variable, variable * rate * WEIGHT_DECAY)
        super().update_step(gradient, variable, rate)
