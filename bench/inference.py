"""Measure the SavedModel on the processor beside other networks, and our ways of scoring many pictures.

    python -m bench.inference PHOTOS [--networks inception_v4 InceptionV3 ...] [--number 64] [--batch-size 32]
        [--size 299] [--rounds 5]

Each network is exported as the stage `export` does, for 1,000 classes with weights drawn at random, loaded again and
given prepared pictures, one and then 32 at a time. The second table compares the first network, scoring pictures that
are in memory in several ways, with `stages.models.predict` on the same pictures in shards: what `evaluate` and
`identify` do. All are run in each round, and the tables have medians over the rounds.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from bench.loader import Set
from runtime.workers import num_cores
from stages.export import ServedModel, save
from stages.models import networks
from stages.models.files import Description, TrainedModel
from stages.models.predict import predict_batches
from stages.shards.batches import Pictures, batches
from stages.shards.tars import ShardReader

NUM_CLASSES = 1000
MAX_PIXELS = 100_000_000
SERVED_TOGETHER = 32
Matrix = NDArray[Any]


def exported(name: str, size: int, folder: Path) -> Path:
    """Export a network with weights drawn at random."""
    names = [f"class_{number:04d}" for number in range(NUM_CLASSES)]
    network = networks.build(name, size, NUM_CLASSES)
    sub_classes = {each: [each] for each in names}
    description = Description(format=1, network=name, size=size, weights_sha256="0" * 64, sub_classes=sub_classes)
    save(ServedModel(TrainedModel(network, description, names), 1, MAX_PIXELS, 1.0), folder / name)
    return folder / name


def seconds(work: Callable[[], object]) -> float:
    """Time one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Call all in each round, after a first call that compiles.

    Returns:
        Median seconds of each.
    """
    for work in works.values():
        work()
    found = [[seconds(work) for work in works.values()] for _ in range(rounds)]
    return dict(zip(works, np.median(found, axis=0), strict=True))


def served(folders: dict[str, Path], pictures: Matrix, rounds: int) -> None:
    """Print a row a SavedModel."""
    loaded = {name: tf.saved_model.load(folder) for name, folder in folders.items()}
    works: dict[str, Callable[[], object]] = {}
    for name, model in loaded.items():
        for number in (1, SERVED_TOGETHER):
            given = tf.constant(pictures[:number])
            works[f"{name} {number}"] = lambda score=model.signatures["pixels"], given=given: score(pixels=given)
    found = medians(works, rounds)
    first = next(iter(folders))
    print(
        f"| SavedModel | one picture, ms | | {SERVED_TOGETHER} pictures, pictures/s | | MB |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: |"
    )
    for name, folder in folders.items():
        num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        one, many = found[f"{name} 1"], found[f"{name} {SERVED_TOGETHER}"]
        print(
            f"| {name} | {one * 1e3:,.0f} | {one / found[f'{first} 1']:.2f} | {SERVED_TOGETHER / many:,.1f} "
            f"| {found[f'{first} {SERVED_TOGETHER}'] / many:.2f} | {num_bytes / 1e6:,.0f} |"
        )


def scored(name: str, held: Set, reader: ShardReader, batch_size: int, rounds: int) -> None:
    """Print a row a way of scoring many pictures."""
    network = networks.build(name, held.size, NUM_CLASSES)
    in_memory = list(batches(Pictures(reader, held.size), held.names, batch_size))

    def function(compiled: bool) -> Callable[[Matrix], object]:
        def score(pictures: tf.Tensor) -> dict[str, tf.Tensor]:
            return network(tf.cast(pictures, tf.float32), training=False)  # type: ignore[no-any-return]

        return tf.function(score, jit_compile=compiled, autograph=False)  # type: ignore[no-any-return]

    plain, compiled = function(False), function(True)

    def all_of(score: Callable[[Matrix], object]) -> Callable[[], object]:
        return lambda: [score(batch) for batch in in_memory]

    works = {
        "in memory: predict_on_batch": all_of(network.predict_on_batch),
        "in memory: tf.function": all_of(lambda batch: keras.tree.map_structure(np.asarray, plain(batch))),
        "in memory: tf.function, XLA": all_of(lambda batch: keras.tree.map_structure(np.asarray, compiled(batch))),
        "in shards: predict_batches, as evaluate and identify": lambda: list(
            predict_batches(network, reader, held.names, batch_size)
        ),
    }
    found = medians(works, rounds)
    bare = next(iter(found.values()))
    print(f"\n| {name}, {len(held.names)} pictures, {batch_size} at a time | pictures/s | |\n| --- | ---: | ---: |")
    for way, taken in found.items():
        print(f"| {way} | {len(held.names) / taken:,.1f} | {bare / taken:.2f} |")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    ours, *others = "inception_v4", "InceptionV3", "ResNet50", "EfficientNetV2S", "Xception"
    parser.add_argument("--networks", nargs="+", default=[ours, *others])
    parser.add_argument("--number", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        held = Set(chosen.photos, folder, chosen.number, chosen.size, "webp")
        with ShardReader(folder, held.index) as reader:
            print(f"{num_cores()} cores, {chosen.size} px, float32, TensorFlow {tf.__version__}\n")
            pictures = next(batches(Pictures(reader, chosen.size), held.names, SERVED_TOGETHER))
            folders = {name: exported(name, chosen.size, folder) for name in chosen.networks}
            served(folders, pictures, chosen.rounds)
            scored(chosen.networks[0], held, reader, chosen.batch_size, chosen.rounds)


if __name__ == "__main__":
    main()
