"""Measure how fast pictures are embedded, beside Keras, what is remembered, and how fast one is answered.

    python -m bench.embed PHOTOS [--number 600] [--rounds 3]

PHOTOS holds photographs, prepared at 224 pixels and packed as the stage `shard` does, in a temporary folder. First, one
core: the ONNX graph of data/pretrained, picture by picture as `embed` calls it, beside Keras' `predict_on_batch` of
the same network on TensorFlow, its threads left as they are. Then the stage `embed` as a process: everything new,
nothing new, one picture in a hundred new. Last, one picture at a time through the same network with a layer of 100
classes: the exported SavedModel beside `model.onnx`, with as many threads as there are cores.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from bench.embedded import MAX_PIXELS, NETWORK
from bench.harness import ROOT, Cost, draw, files_in, in_turn, medians, options, print_costs, run_module, timed
from stages.embeddings import graph
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.models import networks
from stages.models.onnx_graph import to_onnx
from stages.pretrained import fetch
from stages.shards.codec import encode
from stages.shards.tars import write_shard
from stages.tables.pretrained import FOLDER, paths, read_published
from stages.tables.shards import INDEX

BATCH_SIZE = 32
NUM_ONE_BY_ONE = 200


def pack(pixels: Sequence[NDArray[np.uint8]]) -> None:
    """Write data/shards."""
    Path("data/shards").mkdir(parents=True, exist_ok=True)
    names = [hashlib.md5(each.tobytes(), usedforsecurity=False).hexdigest() for each in pixels]
    contents = [(f"{name}.webp", encode(each, "webp")) for name, each in zip(names, pixels, strict=True)]
    offsets, sizes = zip(*write_shard(Path("data/shards/00000.tar"), contents), strict=True)
    INDEX.write(pd.DataFrame({"image_id": names, "shard": "00000.tar", "offset": offsets, "size": sizes}))


def by_graph(pixels: Sequence[NDArray[np.uint8]]) -> Callable[[], None]:
    """Embed picture by picture, as the stage does."""
    digest = read_published(NETWORK).graph_sha256
    return lambda: [graph.embed(each, paths(NETWORK).graph, digest) for each in pixels]


def by_keras(pixels: Sequence[NDArray[np.uint8]]) -> Callable[[], None]:
    """Embed batch by batch, in Keras."""
    body = fetch(NETWORK)[0]
    batches = [np.stack(pixels[start : start + BATCH_SIZE]) for start in range(0, len(pixels), BATCH_SIZE)]
    return lambda: [body.predict_on_batch(batch) for batch in batches]


def remembered(pixels: Sequence[NDArray[np.uint8]], rounds: int) -> dict[str, Cost]:
    """Run the stage with an empty memo, a full one, and one that lacks a hundredth."""
    few = max(1, len(pixels) // 100)
    costs: dict[str, list[Cost]] = {"everything new": [], "nothing new": [], "1 % new": []}
    for _ in range(rounds):
        shutil.rmtree("memo", ignore_errors=True)
        os.environ["RETRAIN_MEMO"] = str(Path("memo").resolve())
        pack(pixels[few:])
        costs["everything new"].append(run_module("stages.embed"))
        costs["nothing new"].append(run_module("stages.embed"))
        pack(pixels)
        costs["1 % new"].append(run_module("stages.embed"))
    return {name: medians(each) for name, each in costs.items()}


def served(pixels: Sequence[NDArray[np.uint8]]) -> dict[str, Callable[[], Cost]]:
    """Answer one picture at a time by both kinds of export."""
    network = networks.build(NETWORK, pixels[0].shape[0], 100)
    prepared = tf.TensorSpec((None, *pixels[0].shape), tf.uint8, name="pixels")

    def scores(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": network(tf.cast(pixels, tf.float32), training=False)["scores"]}

    module = tf.Module()
    module.weights = [weight.value for weight in network.weights]
    module.pixels = tf.function(scores, input_signature=[prepared], autograph=False)
    tf.saved_model.save(module, "saved", {"pixels": module.pixels})
    signature = tf.saved_model.load("saved").signatures["pixels"]
    session = onnxruntime.InferenceSession(to_onnx(scores, [prepared]), providers=["CPUExecutionProvider"])
    some = [each[None] for each in pixels[:NUM_ONE_BY_ONE]]
    return {
        "SavedModel": lambda: timed(lambda: [signature(pixels=tf.constant(each)) for each in some]),
        "model.onnx": lambda: timed(lambda: [session.run(None, {"pixels": each}) for each in some]),
    }


def main() -> None:
    """Print the tables."""
    asked = options(__doc__, "photos", number=600, rounds=3)
    keras.utils.set_random_seed(0)
    pretrained, side = Path(FOLDER).resolve(), read_published(NETWORK).side
    files = draw(files_in(asked.photos), asked.number)
    pixels = [letterbox(decode(path.read_bytes(), MAX_PIXELS).image, side) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("data").mkdir()
        Path(FOLDER).symlink_to(pretrained)
        params = (ROOT / "params.yaml").read_text(encoding="utf-8")
        Path("params.yaml").write_text(params.replace("side: 32", f"side: {side}"), encoding="utf-8")
        ways = {"Keras, batches of 32": by_keras(pixels), "ONNX graph, one by one": by_graph(pixels)}
        costs = in_turn({name: lambda way=way: timed(way) for name, way in ways.items()}, asked.rounds + 1)
        print_costs(f"embedding {len(pixels)} pictures", {name: medians(each[1:]) for name, each in costs.items()})
        print_costs("the stage embed", remembered(pixels, asked.rounds))
        costs = in_turn(served(pixels), asked.rounds + 1)
        print_costs(f"answering {NUM_ONE_BY_ONE}", {name: medians(each[1:]) for name, each in costs.items()})


if __name__ == "__main__":
    main()
