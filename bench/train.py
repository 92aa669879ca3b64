"""Measure a training step and the loader, alone and together: how long does the accelerator stand still?

    [KERAS_BACKEND=jax] python -m bench.train PHOTOS [--network inception_v4] [--policy mixed_bfloat16]
        [--batch-sizes 32 64 128 256] [--number 2048] [--epochs 1] [--size 299] [--codec webp]
        [--rounds 3] [--nondeterministic]

PHOTOS holds a folder of photographs per class; they are packed in shards in a temporary folder. For each batch size:
a lean loop over Keras' own step, state and batch on the device, in which nothing of our loop is (on JAX alone); our
steps on one batch that stays on the device, which is all that the accelerator can do; steps on one batch in memory; the
loader with nobody to feed, decoding and from the decoded pictures that it kept; and both together, as the stage `train`
has them. The share of the time that is spent waiting for the next batch is what a faster loader could save; what the
last epoch lacks of the steps on the device is how long the accelerator stood still. Augmentation is on: it is part of a
step. The first steps, which compile, are not measured. `--epochs` passes over the pictures that often in each
measurement, where an accelerator is through them in a second.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from bench.harness import in_turn, options, print_table
from bench.loader import PackedPictures
from runtime.workers import num_cores
from stages.models import determinism, networks
from stages.shards.batches import Pictures, batches
from stages.shards.decoded import DecodedPictures
from stages.shards.tars import ShardReader
from stages.training.augmentation import augmentation
from stages.training.steps import Batch, Steps, results, steps_of

NUM_CLASSES = 1000


def compiled(name: str, size: int) -> keras.Model:
    """Build a network that takes pictures as the loader gives them, and compile it as the stage `train` does."""
    network = networks.build(name, size, NUM_CLASSES)
    pictures = varied = keras.Input((size, size, 3))
    for layer in augmentation(mirror=True, rotation=10.0, zoom=0.1, seed=0):
        varied = layer(varied)
    model = keras.Model(pictures, network(varied)["scores"])
    model.compile(
        keras.optimizers.AdamW(1e-5),
        keras.losses.CategoricalCrossentropy(),
        metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
        jit_compile=keras.backend.backend() == "jax",
    )
    model.optimizer.build(model.trainable_variables)
    return model


def lean(model: keras.Model) -> Callable[[Batch, int], float]:
    """Make a bare loop over Keras' own step, as JAX compiles it; nothing of our loop is in it.

    Args:
        model: compiled, of which `steps_of` has made the variables of metrics; its variables are copied.

    Returns:
        Trains on one batch of the device so often, and gives pictures per second; NaN where JAX is not the backend.
    """
    if keras.backend.backend() != "jax":
        return lambda _batch, _count: np.nan
    import jax

    step = jax.jit(model.train_step, donate_argnums=0)
    groups = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    state: Any = tuple([variable.value.copy() for variable in group] for group in groups)

    def rate(batch: Batch, count: int) -> float:
        nonlocal state
        started = time.perf_counter()
        for _ in range(count):
            means, state = step(state, batch)
        assert np.isfinite(float(means["loss"]))  # waits for the last step
        return count * len(batch[1]) / (time.perf_counter() - started)

    return rate


def labelled(pictures: NDArray[np.uint8]) -> Batch:
    """Give pictures some targets."""
    return pictures, np.eye(NUM_CLASSES, dtype=np.float32)[np.arange(len(pictures)) % NUM_CLASSES]


def run(steps: Steps | None, send: Callable[[Batch], Batch], read: Iterator[Batch]) -> tuple[int, float, float]:
    """Take all batches, and train on them if there are steps.

    Returns:
        Pictures, seconds, and the seconds of these that were spent waiting for the next batch.
    """
    started, waited, num_pictures = time.perf_counter(), 0.0, 0

    def timed() -> Iterator[Batch]:
        nonlocal waited, num_pictures
        while True:
            asked = time.perf_counter()
            batch = next(read, None)
            waited += time.perf_counter() - asked
            if batch is None:
                return
            num_pictures += len(batch[1])
            yield batch

    if steps is None:
        list(timed())
    else:
        with steps.held():
            assert np.isfinite([loss for _, loss, _ in results(steps.train, send, timed())]).all()
    return num_pictures, time.perf_counter() - started, waited


def measure(
    steps: Steps,
    bare: Callable[[Batch, int], float],
    pictures: PackedPictures,
    reader: ShardReader,
    folder: Path,
    num_epochs: int,
    batch_size: int,
) -> list[float]:
    """Run everything once with one batch size.

    Returns:
        Pictures per second of: the lean loop, steps on the device, steps alone, decoding alone, kept pictures alone, an
        epoch that decodes, one that does not; then the fractions of the last two that are waiting.
    """
    order = pictures.orders()[0][: len(pictures.names) // batch_size * batch_size]
    rates, waiting = [], []
    with DecodedPictures(pictures.names, 3 * pictures.size**2, folder) as decoded:
        keeping, decoding = Pictures(reader, pictures.size, decoded), Pictures(reader, pictures.size)
        list(batches(keeping, order, batch_size))
        one, order = labelled(next(batches(keeping, order, batch_size))), order * num_epochs
        count = len(order) // batch_size
        rates.append(bare(steps.send(one), count))
        for trained, send, read in (
            (steps, lambda batch: batch, repeat(steps.send(one), count)),
            (steps, steps.send, repeat(one, count)),
            (None, steps.send, map(labelled, batches(decoding, order, batch_size))),
            (None, steps.send, map(labelled, batches(keeping, order, batch_size))),
            (steps, steps.send, map(labelled, batches(decoding, order, batch_size))),
            (steps, steps.send, map(labelled, batches(keeping, order, batch_size))),
        ):
            num_pictures, seconds, waited = run(trained, send, read)
            rates.append(num_pictures / seconds)
            waiting.append(waited / seconds)
    return [*rates, *waiting[-2:]]


def main() -> None:
    """Print the table."""
    asked = options(
        __doc__,
        "photos",
        network="inception_v4",
        policy="float32",
        batch_sizes=[32, 64, 128, 256],
        number=2048,
        epochs=1,
        size=299,
        codec="webp",
        rounds=3,
        nondeterministic=False,
    )
    determinism.enable(0, not asked.nondeterministic)
    keras.config.set_dtype_policy(asked.policy)
    model = compiled(asked.network, asked.size)
    steps = steps_of(model)
    bare = lean(model)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = PackedPictures(asked.photos, folder, asked.number, asked.size, asked.codec)
        with ShardReader(folder, pictures.index) as reader:
            for batch_size in asked.batch_sizes:
                zeros = labelled(np.zeros((batch_size, asked.size, asked.size, 3), np.uint8))
                run(steps, steps.send, repeat(zeros, 2))
                bare(steps.send(zeros), 2)
            runs = in_turn(
                {
                    size: partial(measure, steps, bare, pictures, reader, folder, asked.epochs, size)
                    for size in asked.batch_sizes
                },
                asked.rounds,
            )
    print(
        f"{asked.network}, {asked.policy}, {asked.size} px in {asked.codec}, Keras on {keras.backend.backend()}, "
        f"{num_cores()} cores; pictures per second, and the share of the time that training waits for pictures\n"
    )
    alone = ["lean loop", "steps on the device", "steps alone", "loader, decoding", "loader, kept"]
    medians = {size: np.median(run, axis=0) for size, run in runs.items()}
    print_table(
        ["batch", *alone, "epoch, decoding", "waits", "epoch, kept", "waits", "of the device's"],
        [(size, *each[[0, 1, 2, 3, 4, 5, 7, 6, 8]], each[6] / each[1]) for size, each in medians.items()],
    )


if __name__ == "__main__":
    main()
