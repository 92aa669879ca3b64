"""Build a network by its name: pictures in, embedding and scores out."""

import inspect
import re
import sys
from collections.abc import Collection

import keras

from runtime.errors import ParameterError
from stages.models import efficientnet_lite0, inception_v4, small

# Share of the embedding dropped before the output layer, as in Inception V4 (which keeps 0.8) and EfficientNet.
DROPOUT = 0.2
_OURS = {
    "small": small.build,
    "efficientnet_lite0": efficientnet_lite0.build,
    "inception_v4": inception_v4.build,
}


def build(name: str, size: int, num_classes: int) -> keras.Model:
    """Build a network with weights drawn at random.

    Its layer "body" turns pictures into embeddings, its layer "scores" is the output layer.

    Args:
        name: small, efficientnet_lite0, inception_v4, or a function of `keras.applications` that makes a network.
        size: side of the square pictures in pixels.
        num_classes: at least 1.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255 of any dtype. It gives a dict: `embedding`,
        shape (n, features), and `scores`, shape (n, num_classes), float32, rows of probabilities.

    Raises:
        ParameterError: the name is unknown, or the network cannot take pictures of this size.
    """
    require_name(name, "train.network")
    pictures = keras.Input((size, size, 3), dtype="float32", name="pictures")
    try:
        body = _OURS[name](size) if name in _OURS else application(name, size)
    except ValueError as error:
        raise ParameterError(
            f"params.yaml: train.network {name} cannot take pictures of picture.side {size} ({in_one_line(error)}). "
            "Raise picture.side or choose another network."
        ) from None
    embedding = body(pictures)
    dropped = keras.layers.Dropout(DROPOUT, name="dropout")(embedding)
    # float32 whatever the policy: probabilities in half precision do not sum to 1.
    scores = keras.layers.Dense(num_classes, activation="softmax", dtype="float32", name="scores")(dropped)
    return keras.Model(pictures, {"embedding": embedding, "scores": scores}, name=name)


def application_names() -> list[str]:
    """List the networks of `keras.applications`, sorted."""
    return sorted(name for name, value in vars(keras.applications).items() if inspect.isfunction(value))


def require_name(name: str, key: str, ours: Collection[str] = _OURS.keys()) -> None:
    """Refuse what is no network.

    Args:
        name: of a network.
        key: of params.yaml that has it.
        ours: those of our own that may be named as well as those of `keras.applications`.

    Raises:
        ParameterError: the name is unknown.
    """
    if name not in ours and name not in application_names():
        raise ParameterError(
            f"params.yaml: {key}: no network is called {name!r}; expected {', '.join(ours)}, or one of "
            f"keras.applications: {', '.join(application_names())}."
        )


def in_one_line(error: Exception) -> str:
    """Keras' message in one line, without colours and without the arguments of its inner calls."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("Arguments received by")[0]
    return " ".join(plain.split()).rstrip(".")


def default_side(name: str) -> int:
    """Look up the side, in pixels, of the pictures that a network of `keras.applications` was trained with."""
    side: int = getattr(keras.applications, name)(weights=None).input.shape[1]
    return side


def application(name: str, size: int | None = None, weights: str | None = None) -> keras.Model:
    """Build the body of a network of `keras.applications`.

    Args:
        name: of the function.
        size: side of the square pictures in pixels; by default any.
        weights: "imagenet" to download those of its authors; by default they are drawn at random.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255, that gives embeddings.
    """
    function = getattr(keras.applications, name)
    pictures = keras.Input((size, size, 3), name="pictures")
    # Each network's module has the scaling that it was designed with; some scale inside, and theirs does nothing.
    prepared = sys.modules[function.__module__].preprocess_input(pictures)
    network = function(include_top=False, weights=weights, pooling="avg", input_shape=(size, size, 3))
    return keras.Model(pictures, network(prepared), name="body")
