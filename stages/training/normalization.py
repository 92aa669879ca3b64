"""How far back the running averages of BatchNormalization look."""

import math

import keras
from keras import layers

from stages.training.freezing import leaves

# Validation uses the averages after each epoch. A shorter memory than this part of it leaves e**-4 = 2 % of what they
# were before the epoch: with 0.99, Keras' default, 20 steps leave 82 %, and the best epoch is chosen by noise.
EPOCH_FRACTION = 0.25
# As many steps as 0.99 looks back on: more make an average no better, and it lags behind the weights.
MAX_STEPS = 100.0


def follow_steps(network: keras.Model, steps_per_epoch: int) -> None:
    """Give every BatchNormalization the momentum that suits a run, whoever designed the network and for how many steps.

    Args:
        network: from `networks.build`; its layers' `momentum` is set, before a step is compiled.
        steps_per_epoch: at least 1.
    """
    num_steps = min(EPOCH_FRACTION * steps_per_epoch, MAX_STEPS)
    for layer in leaves(network):
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = math.exp(-1 / num_steps)
