"""What of a network learns: its output layer alone, a part of its body, or all of it.

A frozen layer keeps its weights, and a frozen BatchNormalization its running averages too, which it then uses while
training as well.
Source: Yosinski et al. 2014, "How transferable are features in deep neural networks?", arXiv 1411.1792, for freezing
the layers nearest to the pictures; Keras' guide "Transfer learning & fine-tuning" for BatchNormalization.
"""

from collections.abc import Iterator

import keras
from keras import KerasTensor, layers


def freeze(network: keras.Model, only_head: bool, frozen_fraction: float, freeze_normalization: bool) -> bool:
    """Choose the layers of the body that learn; the output layer always does.

    Args:
        network: from `networks.build`; its layers' `trainable` is set.
        only_head: whether no layer of the body learns.
        frozen_fraction: share of the body's layers that do not learn, counted from the pictures, 0 to 1.
        freeze_normalization: whether no BatchNormalization of the body learns.

    Returns:
        Whether a layer of the body learns.
    """
    body = [layer for layer in leaves(network.get_layer("body")) if layer.weights]
    num_frozen = len(body) if only_head else round(frozen_fraction * len(body))
    for number, layer in enumerate(body):
        is_kept = freeze_normalization and isinstance(layer, layers.BatchNormalization)
        layer.trainable = number >= num_frozen and not is_kept
    return any(layer.trainable for layer in body)


def scores(network: keras.Model, pictures: KerasTensor, body_learns: bool) -> KerasTensor:
    """Apply a network to pictures that a layer in front of it gives.

    A body that does not learn answers as it will be used, without Dropout, and no gradient goes through it.

    Args:
        network: from `networks.build`.
        pictures: of shape (n, size, size, 3).
        body_learns: what `freeze` returned.

    Returns:
        Of shape (n, num_classes).
    """
    if body_learns:
        return network(pictures)["scores"]
    embedding = network.get_layer("body")(pictures, training=False)
    return network.get_layer("scores")(network.get_layer("dropout")(embedding))


def running_averages(network: keras.Model) -> list[keras.Variable]:
    """List what training changes besides the weights that learn: the averages of each BatchNormalization that does."""
    return [
        variable
        for layer in leaves(network)
        if layer.trainable
        for variable in layer.non_trainable_variables
        if "float" in variable.dtype
    ]


def leaves(model: keras.Model) -> Iterator[keras.Layer]:
    """Give the layers of a model and of the models in it, from the pictures on."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from leaves(layer)
        else:
            yield layer
