"""Build a network by its name: pictures in, embedding and scores out."""

import inspect
import re
import sys

import keras

from runtime.errors import ParameterError
from stages.models import inception_v4, small

# Share of the embedding dropped before the output layer, as in Inception V4 (which keeps 0.8) and EfficientNet.
DROPOUT = 0.2
_OURS = {"small": small.build, "inception_v4": inception_v4.build}


def build(name: str, size: int, num_classes: int) -> keras.Model:
    """Build a network with weights drawn at random.

    Its layer "body" turns pictures into embeddings, its layer "scores" is the output layer.

    Args:
        name: small, inception_v4, or a function of `keras.applications` that makes a network.
        size: side of the square pictures in pixels.
        num_classes: at least 1.

    Returns:
        A model of pictures of shape (n, size, size, 3), values 0 to 255 of any dtype. It gives a dict: `embedding`,
        shape (n, features), and `scores`, shape (n, num_classes), float32, rows of probabilities.

    Raises:
        ParameterError: the name is unknown, or the network cannot take pictures of this size.
    """
    if name not in _OURS and name not in application_names():
        raise ParameterError(
            f"params.yaml: train.network: no network is called {name!r}; expected {', '.join(_OURS)}, or one of "
            f"keras.applications: {', '.join(application_names())}."
        )
    pictures = keras.Input((size, size, 3), dtype="float32", name="pictures")
    try:
        body = _OURS[name](size) if name in _OURS else _application(name, size)
    except ValueError as error:
        raise ParameterError(
            f"params.yaml: train.network {name} cannot take pictures of picture.side {size} ({_sentence(error)}). "
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


def _sentence(error: ValueError) -> str:
    """Keras' message in one line, without colours and without the arguments of its inner calls."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("Arguments received by")[0]
    return " ".join(plain.split()).rstrip(".")


def _application(name: str, size: int) -> keras.Model:
    function = getattr(keras.applications, name)
    pictures = keras.Input((size, size, 3), name="pictures")
    # Each network's module has the scaling that it was designed with; some scale inside, and theirs does nothing.
    prepared = sys.modules[function.__module__].preprocess_input(pictures)
    network = function(include_top=False, weights=None, pooling="avg", input_shape=(size, size, 3))
    return keras.Model(pictures, network(prepared), name="body")
