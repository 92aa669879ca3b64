"""What a new model takes over: from the base by class name, or from a file of weights at the very first start."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import keras

from stages._base import FOLDER as BASE
from stages._base import has_base
from stages._errors import BaseError, InputError
from stages.models import files
from stages.models.files import Description, TrainedModel


def load_base(network: str, size: int) -> TrainedModel | None:
    """Load the base's model, after checking that training can start from it.

    Args:
        network: that is to be trained.
        size: side of its pictures in pixels.

    Returns:
        None without a base.

    Raises:
        BaseError: the base is not whole, is another network, takes another size, or its checksum does not hold.
    """
    if not has_base():
        return None
    folder = BASE / "model"
    check(files.read_description(folder, BaseError), network, size)
    return files.load(folder, BaseError)


def check(base: Description, network: str, size: int) -> None:
    """Refuse a base that training cannot start from.

    Args:
        base: of the base's model.
        network: that is to be trained.
        size: side of its pictures in pixels.

    Raises:
        BaseError: the base has another network or input size.
    """
    if base.network != network:
        raise BaseError(
            f"{BASE} is a {base.network}, params.yaml: train.network says {network}: a warm start needs the same. "
            f"Set train.network to {base.network}, or empty {BASE} (`dvc add {BASE}` then) to train from scratch."
        )
    if base.size != size:
        raise BaseError(
            f"{BASE} takes pictures of {base.size} pixels, params.yaml: picture.size says {size}: a warm start needs "
            f"the same. Set picture.size to {base.size}, or empty {BASE} (`dvc add {BASE}` then) to train from scratch."
        )


def carry_over(
    network: keras.Model,
    base: keras.Model,
    class_names: Sequence[str],
    base_class_names: Sequence[str],
    head: Literal["carry", "new"],
) -> int:
    """Give `network` every weight of the base but the output layer, and of that what `head` says.

    Args:
        network: newly drawn; its weights are overwritten.
        base: the same network, trained.
        class_names: of `network`, in the order of its scores.
        base_class_names: of `base`, likewise.
        head: carry: classes that remain keep what the output layer knows of them, new ones stay as drawn; new: the
            whole output layer stays as drawn.

    Returns:
        How many classes were carried over.
    """
    network.get_layer("body").set_weights(base.get_layer("body").get_weights())
    remaining = [name for name in class_names if name in set(base_class_names)] if head == "carry" else []
    kernel, bias = network.get_layer("scores").get_weights()
    base_kernel, base_bias = base.get_layer("scores").get_weights()
    to = [class_names.index(name) for name in remaining]
    taken = [base_class_names.index(name) for name in remaining]
    kernel[:, to], bias[to] = base_kernel[:, taken], base_bias[taken]
    network.get_layer("scores").set_weights([kernel, bias])
    return len(remaining)


def load_weights(network: keras.Model, path: Path) -> None:
    """Read every weight but the output layer from a file.

    Args:
        network: newly drawn; its weights are overwritten.
        path: of a `.weights.h5` of one of our models, of its body, or of the network of `keras.applications` that the
            body is made of.

    Raises:
        InputError: the file is absent, or holds another network's weights.
    """
    if not path.is_file():
        raise InputError(f"params.yaml: train.weights: {path} is not there. Put the file there, or set it to null.")
    body = network.get_layer("body")
    whole = keras.Model(network.input, network.output["embedding"])
    parts = [whole, body, *(layer for layer in body.layers if isinstance(layer, keras.Model))]
    if any(files.fits(part, path) for part in parts):
        return
    raise InputError(
        f"params.yaml: train.weights: {path} does not hold the weights of {network.name}; expected a .weights.h5 that "
        f"was saved from that network. Set train.network to the network it is of, or train.weights to null."
    )
