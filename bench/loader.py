"""Measure how many pictures per second reach the network, by our loader and by the alternatives.

    python -m bench.loader PHOTOS [--number 900] [--size 299] [--codec webp] [--rounds 5]

PHOTOS holds a folder of photographs per class. They are prepared and packed as the stage `shard` does, in a temporary
folder, in shards of 300. Every way of reading then gives two epochs of batches in a seeded order, all of them in each
round, so that whatever else the machine does falls on all alike; the table has medians over the rounds. The ratios are
to Pillow decoding the same bytes out of memory in as many processes as there are cores, its pixels thrown away.
"""

import itertools
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image

from bench.harness import draw, files_in, in_turn, options, print_table
from runtime.workers import num_cores, over
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.shards.batches import Pictures, batches
from stages.shards.codec import encode
from stages.shards.decoded import DecodedPictures
from stages.shards.prepared import decode as decode_by_tensorflow
from stages.shards.tars import ShardReader, write_shard

BATCH_SIZE = 32
PICTURES_IN_SHARD = 300
NUM_EPOCHS = 2
MAX_PIXELS = 100_000_000
Batches = Iterator[object]
YARDSTICK = "decoding alone, Pillow, processes"


def parts(items: Sequence[str], number: int) -> list[Sequence[str]]:
    """Cut a sequence into parts of a number of items."""
    return [items[start : start + number] for start in range(0, len(items), number)]


class PackedPictures:
    """Prepared pictures in shards, and the order in which an epoch takes them.

    Args:
        photos: folder with a folder per class.
        folder: of the shards.
        number: how many pictures, a multiple of a batch.
        size: of a side in pixels.
        codec: webp or png.
    """

    def __init__(self, photos: Path, folder: Path, number: int, size: int, codec: str) -> None:
        paths = files_in(photos, "*")
        chosen = draw(paths, min(number, len(paths)) // BATCH_SIZE * BATCH_SIZE)
        self.size, self.folder, self.photos = size, folder, photos
        self.names = [f"{number:06d}" for number in range(len(chosen))]
        encoded = over(partial(prepare, size=size, codec=codec), chosen, "pictures")
        rows = []
        for number, names in enumerate(parts(self.names, PICTURES_IN_SHARD)):
            shard = f"{number:05d}.tar"
            members = zip((f"{name}.{codec}" for name in names), encoded, strict=False)
            spans = write_shard(folder / shard, itertools.islice(members, len(names)))
            rows += [(name, shard, *span) for name, span in zip(names, spans, strict=True)]
        self.index = pd.DataFrame(rows, columns=["image_id", "shard", "offset", "size"])

    def orders(self) -> list[list[str]]:
        """Names in the order of each epoch."""
        rng = np.random.default_rng(1)
        return [list(rng.permutation(self.names)) for _ in range(NUM_EPOCHS)]


def prepare(path: Path, size: int, codec: str) -> bytes:
    """Do what the stage `shard` does with one file."""
    return encode(letterbox(decode(path.read_bytes(), MAX_PIXELS).image, size), codec)


def pixels_by_pillow(data: bytes) -> np.ndarray:
    """Decode a prepared picture, as `stages.shards.prepared.decode` does with TensorFlow's kernels."""
    with Image.open(BytesIO(data), formats=("WEBP", "PNG")) as image:
        return np.asarray(image.convert("RGB"))


def alone(executor: Executor, work: Callable[[Sequence[str]], int], pictures: PackedPictures) -> Batches:
    """Decode what worker processes hold in memory; nothing but the number of pictures comes back."""
    for order in pictures.orders():
        yield from executor.map(work, parts(order, BATCH_SIZE))


_in_memory: dict[str, bytes] = {}


def read_into_memory(folder: Path, index: pd.DataFrame) -> None:
    """Read all encoded pictures into a worker process."""
    with ShardReader(folder, index) as reader:
        _in_memory.update((name, reader.encoded(name)) for name in index["image_id"])


def decode_by_pillow(names: Sequence[str]) -> int:
    """Decode pictures out of memory and throw their pixels away."""
    for name in names:
        with Image.open(BytesIO(_in_memory[name]), formats=("WEBP", "PNG")) as image:
            image.load()
    return len(names)


def decode_with_tensorflow(names: Sequence[str]) -> int:
    """Decode pictures out of memory and throw their pixels away."""
    for name in names:
        decode_by_tensorflow(_in_memory[name])
    return len(names)


def ours(pictures: PackedPictures, reader: ShardReader, folder: Path | None) -> Batches:
    """Read as the stages do; the second epoch from what was decoded in the first if there is a folder for it."""
    with DecodedPictures(pictures.names if folder else [], 3 * pictures.size**2, folder) as decoded:
        for order in pictures.orders():
            yield from batches(Pictures(reader, pictures.size, decoded), order, BATCH_SIZE)


def threads_with_pillow(pictures: PackedPictures, reader: ShardReader) -> Batches:
    """Read by offset and decode with Pillow in threads."""
    with ThreadPoolExecutor(num_cores()) as threads:
        for order in pictures.orders():
            decoded = threads.map(lambda name: pixels_by_pillow(reader.encoded(name)), order)
            for _ in range(len(order) // BATCH_SIZE):
                yield np.stack(list(itertools.islice(decoded, BATCH_SIZE)))


def tars_in_sequence(pictures: PackedPictures) -> Batches:
    """Read the shards from front to back, as a plain loop over tars does: no order, one core."""
    for _ in range(NUM_EPOCHS):
        decoded = (
            pixels_by_pillow(tar.extractfile(member).read())  # type: ignore[union-attr]
            for shard in sorted(set(pictures.index["shard"]))
            for tar in [tarfile.open(pictures.folder / shard)]  # noqa: SIM115 - closed with the process
            for member in tar
        )
        for _ in range(len(pictures.names) // BATCH_SIZE):
            yield np.stack(list(itertools.islice(decoded, BATCH_SIZE)))


def tf_data(pictures: PackedPictures, reader: ShardReader) -> Batches:
    """Encoded pictures from a generator, decoded and batched by tf.data."""
    import tensorflow as tf

    is_png = reader.encoded(pictures.names[0]).startswith(b"\x89PNG")

    def decoded(data: "tf.Tensor") -> "tf.Tensor":
        pixels = tf.io.decode_png(data) if is_png else tf.io.decode_webp(data, channels=3)
        return tf.reshape(pixels, (pictures.size, pictures.size, 3))

    def encoded() -> Iterator[bytes]:
        for order in pictures.orders():
            yield from map(reader.encoded, order)

    source = tf.data.Dataset.from_generator(encoded, output_signature=tf.TensorSpec((), tf.string))
    mapped = source.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return iter(mapped.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE))


def original_files(pictures: PackedPictures) -> Batches:
    """Decode and resize the photographs each time, as Keras' own loader does."""
    dataset = keras.utils.image_dataset_from_directory(
        pictures.photos,
        image_size=(pictures.size, pictures.size),
        batch_size=BATCH_SIZE,
        seed=1,
        pad_to_aspect_ratio=True,
        verbose=False,
    )
    num_batches = len(pictures.names) // BATCH_SIZE
    return itertools.chain.from_iterable(itertools.islice(iter(dataset), num_batches) for _ in range(NUM_EPOCHS))


def ways(
    pictures: PackedPictures, reader: ShardReader, folder: Path, stack: ExitStack
) -> dict[str, Callable[[], Batches]]:
    """Name every way of reading."""
    workers = stack.enter_context(
        ProcessPoolExecutor(num_cores(), get_context("spawn"), read_into_memory, (pictures.folder, pictures.index))
    )
    list(alone(workers, decode_with_tensorflow, pictures))  # what starts them is not measured
    return {
        YARDSTICK: lambda: alone(workers, decode_by_pillow, pictures),
        "decoding alone, TensorFlow, processes": lambda: alone(workers, decode_with_tensorflow, pictures),
        "ours, nothing kept": lambda: ours(pictures, reader, None),
        "ours, decoded pictures kept": lambda: ours(pictures, reader, folder),
        "threads by offset, Pillow": lambda: threads_with_pillow(pictures, reader),
        "tf.data over a generator": lambda: tf_data(pictures, reader),
        "tars in sequence, Pillow": lambda: tars_in_sequence(pictures),
        "image_dataset_from_directory, original files": lambda: original_files(pictures),
    }


def epochs(way: Callable[[], Batches], num_batches: int) -> list[float]:
    """Time each epoch of one way of reading; returns pictures per second."""
    rates, read = [], way()
    for _ in range(NUM_EPOCHS):
        started = time.perf_counter()
        assert sum(1 for _ in itertools.islice(read, num_batches)) == num_batches
        rates.append(num_batches * BATCH_SIZE / (time.perf_counter() - started))
    return rates


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "photos", number=900, size=299, codec="webp", rounds=5)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pictures = PackedPictures(asked.photos, folder, asked.number, asked.size, asked.codec)
        reader = stack.enter_context(ShardReader(folder, pictures.index))
        measured = ways(pictures, reader, folder, stack)
        num_batches = len(pictures.names) // BATCH_SIZE
        rates = in_turn({name: partial(epochs, way, num_batches) for name, way in measured.items()}, asked.rounds)
    print(
        f"{len(pictures.names)} pictures of {asked.size} px in {asked.codec}, {pictures.index['size'].mean():,.0f} B "
        f"each; {num_cores()} cores, {asked.rounds} rounds; pictures per second and times decoding alone\n"
    )
    medians = {name: np.median(runs, axis=0) for name, runs in rates.items()}
    base = medians[YARDSTICK]
    print_table(
        ["reading", "first epoch", "", "second epoch", ""],
        [(name, *np.stack([rate, rate / base], axis=1).ravel()) for name, rate in medians.items()],
    )


if __name__ == "__main__":
    main()
