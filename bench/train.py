"""Measure a training step and the loader, alone and together: how long does the accelerator wait for pictures?

    [KERAS_BACKEND=jax] python -m bench.train PHOTOS [--network inception_v4] [--policy mixed_bfloat16]
        [--batch-sizes 32 64 128 256] [--number 2048] [--size 299] [--codec webp] [--rounds 3]

PHOTOS holds a folder of photographs per class; they are packed in shards in a temporary folder. For each batch size:
steps on one batch in memory; the loader with nobody to feed, decoding and from the decoded pictures that it kept; and
both together, as the stage `train` has them. The share of the time that is spent waiting for the next batch is what a
faster loader could save. Augmentation is on: it is part of a step. The first step, which compiles, is not measured.
"""

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from bench.harness import in_turn, options, print_table
from bench.loader import PackedPictures
from runtime.workers import num_cores
from stages.models import networks
from stages.shards.batches import Pictures, batches
from stages.shards.decoded import DecodedPictures
from stages.shards.tars import ShardReader
from stages.training.augmentation import augmentation

NUM_CLASSES = 1000
Batch = NDArray[np.uint8]


def trainable(name: str, size: int) -> keras.Model:
    """Build a network that takes pictures as the loader gives them, and compile it as the stage `train` does."""
    network = networks.build(name, size, NUM_CLASSES)
    pictures = varied = keras.Input((size, size, 3))
    for layer in augmentation(mirror=True, rotation=10.0, zoom=0.1, seed=0):
        varied = layer(varied)
    model = keras.Model(pictures, network(varied)["scores"])
    model.compile(keras.optimizers.AdamW(1e-5), keras.losses.CategoricalCrossentropy())
    return model


def step(model: keras.Model, batch: Batch) -> None:
    """Train on one batch, and wait until it is done."""
    targets = np.eye(NUM_CLASSES, dtype=np.float32)[np.arange(len(batch)) % NUM_CLASSES]
    loss = model.train_on_batch(batch, targets, return_dict=True)["loss"]
    assert np.isfinite(loss)


def run(model: keras.Model | None, read: Iterator[Batch]) -> tuple[int, float, float]:
    """Take all batches, and train on them if there is a model.

    Returns:
        Pictures, seconds, and the seconds of these that were spent waiting for the next batch.
    """
    started, waited, num_pictures = time.perf_counter(), 0.0, 0
    while True:
        asked = time.perf_counter()
        batch = next(read, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return num_pictures, time.perf_counter() - started, waited
        num_pictures += len(batch)
        if model is not None:
            step(model, batch)


def measure(
    model: keras.Model, pictures: PackedPictures, reader: ShardReader, folder: Path, batch_size: int
) -> list[float]:
    """Run everything once with one batch size.

    Returns:
        Pictures per second of: steps alone, decoding alone, kept pictures alone, an epoch that decodes, one that does
        not; then the fractions of the last two that are waiting.
    """
    order = pictures.orders()[0][: len(pictures.names) // batch_size * batch_size]
    rates, waiting = [], []
    with DecodedPictures(pictures.names, 3 * pictures.size**2, folder) as decoded:
        keeping, decoding = Pictures(reader, pictures.size, decoded), Pictures(reader, pictures.size)
        list(batches(keeping, order, batch_size))
        repeated = [next(batches(keeping, order, batch_size))] * (len(order) // batch_size)
        for trained, read in (
            (model, iter(repeated)),
            (None, batches(decoding, order, batch_size)),
            (None, batches(keeping, order, batch_size)),
            (model, batches(decoding, order, batch_size)),
            (model, batches(keeping, order, batch_size)),
        ):
            num_pictures, seconds, waited = run(trained, read)
            rates.append(num_pictures / seconds)
            waiting.append(waited / seconds)
    return [*rates, *waiting[3:]]


def main() -> None:
    """Print the table."""
    asked = options(
        __doc__,
        "photos",
        network="inception_v4",
        policy="float32",
        batch_sizes=[32, 64, 128, 256],
        number=2048,
        size=299,
        codec="webp",
        rounds=3,
    )
    keras.config.set_dtype_policy(asked.policy)
    model = trainable(asked.network, asked.size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = PackedPictures(asked.photos, folder, asked.number, asked.size, asked.codec)
        with ShardReader(folder, pictures.index) as reader:
            for batch_size in asked.batch_sizes:
                step(model, np.zeros((batch_size, asked.size, asked.size, 3), np.uint8))
            runs = in_turn(
                {size: partial(measure, model, pictures, reader, folder, size) for size in asked.batch_sizes},
                asked.rounds,
            )
    print(
        f"{asked.network}, {asked.policy}, {asked.size} px in {asked.codec}, Keras on {keras.backend.backend()}, "
        f"{num_cores()} cores; pictures per second, and the share of the time that training waits for pictures\n"
    )
    alone = ["steps alone", "loader, decoding", "loader, kept"]
    print_table(
        ["batch", *alone, "epoch, decoding", "waits", "epoch, kept", "waits"],
        [(size, *np.median(run, axis=0)[[0, 1, 2, 3, 5, 4, 6]]) for size, run in runs.items()],
    )


if __name__ == "__main__":
    main()
