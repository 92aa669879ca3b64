"""Measure what an answer of each network costs: milliseconds of the processor, megabytes, weights.

    python -m bench.networks [--number 20] [--rounds 3] [--networks small efficientnet_lite0 ...]

Each network is built with 100 classes and weights drawn at random, which cost as much as others, and turned into an
ONNX graph as `export` does. ONNX Runtime answers one picture at a time on one thread. Beside it stands the accuracy
on ImageNet that the network's publisher gives; that of the weights which come with a package is measured by
tests/test_pretrained.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import onnxruntime
import tensorflow as tf

from bench.harness import Cost, in_turn, medians, options, print_table, timed
from stages.models import networks
from stages.models.onnx_graph import to_onnx


class Network(NamedTuple):
    """A network.

    Attributes:
        side: of its pictures, in pixels.
        published: share of ImageNet's validation pictures that it names, one crop each, as its publisher says.
        source: of that figure.
    """

    side: int
    published: float
    source: str


KERAS = "keras.io/api/applications"
NETWORKS = {
    "small": Network(96, np.nan, ""),
    "efficientnet_lite0": Network(224, 0.751, "its authors' README"),
    "MobileNetV2": Network(224, 0.713, KERAS),
    "EfficientNetV2B0": Network(224, 0.787, KERAS),
    "ConvNeXtTiny": Network(224, 0.813, KERAS),
    "ResNet50V2": Network(224, 0.760, KERAS),
    "EfficientNetV2S": Network(384, 0.839, KERAS),
    "inception_v4": Network(299, 0.800, "Szegedy et al. 2016, table 2"),
}


def exported(name: str) -> tuple[bytes, int]:
    """Turn a network into an ONNX graph.

    Returns:
        The graph, and how many weights the network has.
    """
    keras.backend.clear_session()
    side = NETWORKS[name].side
    network = networks.build(name, side, 100)
    pictures = tf.TensorSpec((None, side, side, 3), tf.float32, name="pictures")
    graph = to_onnx(lambda pictures: {"scores": network(pictures, training=False)["scores"]}, [pictures])
    return graph, network.count_params()


def answering(graph: bytes, side: int, number: int) -> Callable[[], Cost]:
    """Answer pictures one at a time, on one thread."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(0).uniform(0, 255, (1, side, side, 3)).astype(np.float32)
    return lambda: timed(lambda: [session.run(None, {"pictures": picture}) for _ in range(number)])


def main() -> None:
    """Print the table."""
    asked = options(__doc__, number=20, rounds=3, networks=list(NETWORKS))
    graphs = {name: exported(name) for name in asked.networks}
    ways = {name: answering(graphs[name][0], NETWORKS[name].side, asked.number) for name in graphs}
    costs = {name: medians(each[1:]) for name, each in in_turn(ways, asked.rounds + 1).items()}
    print_table(
        ["network", "side", "weights, millions", "MB", "ms of one core", "ImageNet, as published", "by"],
        [
            (
                *(name, NETWORKS[name].side, graphs[name][1] / 1e6, len(graphs[name][0]) / 1e6),
                *(1000 * costs[name].processor / asked.number, NETWORKS[name].published, NETWORKS[name].source),
            )
            for name in graphs
        ],
    )


if __name__ == "__main__":
    main()
