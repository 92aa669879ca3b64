"""Measure how many pictures a second reach the network, ours beside the alternatives.

    python -m bench.loader PHOTOS [--number 900] [--size 299] [--codec webp] [--rounds 5]

PHOTOS holds a folder of photographs a class. They are prepared and packed as the stage `shard` does, in shards of 300,
in a temporary folder. Every way of reading then gives two epochs of batches in a seeded order, all of them in each
round, so that whatever else the machine does falls on all alike; the table has medians over the rounds. `grain` is
measured where it is installed. The ratios are to Pillow decoding the same bytes out of memory in as many processes as
there are cores, its pixels thrown away.
"""

import argparse
import importlib.util
import itertools
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from PIL import Image

from bench.codec import decode_by_pillow as pixels_by_pillow
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


class Set:
    """Prepared pictures in shards, and the order in which an epoch takes them.

    Args:
        photos: folder with a folder a class.
        folder: of the shards.
        number: how many pictures, a multiple of a batch.
        size: of a side in pixels.
        codec: webp or png.
    """

    def __init__(self, photos: Path, folder: Path, number: int, size: int, codec: str) -> None:
        paths = np.random.default_rng(0).permutation(sorted(path for path in photos.rglob("*") if path.is_file()))
        chosen = paths[: min(number, len(paths)) // BATCH_SIZE * BATCH_SIZE]
        self.size, self.folder, self.photos = size, folder, photos
        self.names = [f"{number:06d}" for number in range(len(chosen))]
        encoded = over(Prepare(size, codec), list(chosen), "pictures")
        rows = []
        for number, names in enumerate(parts(self.names, PICTURES_IN_SHARD)):
            shard = f"{number:05d}.tar"
            members = zip((f"{name}.{codec}" for name in names), encoded, strict=False)
            places = write_shard(folder / shard, itertools.islice(members, len(names)))
            rows += [(name, shard, *place) for name, place in zip(names, places, strict=True)]
        self.index = pd.DataFrame(rows, columns=["image_id", "shard", "offset", "size"])

    def orders(self) -> list[list[str]]:
        """Names in the order of each epoch."""
        rng = np.random.default_rng(1)
        return [list(rng.permutation(self.names)) for _ in range(NUM_EPOCHS)]


class Prepare:
    """Does what the stage `shard` does with one file."""

    def __init__(self, size: int, codec: str) -> None:
        self.size, self.codec = size, codec

    def __call__(self, path: Path) -> bytes:
        """Prepare and encode."""
        return encode(letterbox(decode(path.read_bytes(), MAX_PIXELS).image, self.size), self.codec)


def alone(executor: Executor, work: Callable[[Sequence[str]], int], held: Set) -> Batches:
    """Decode what worker processes hold in memory; nothing but the number of pictures comes back."""
    for order in held.orders():
        yield from executor.map(work, parts(order, BATCH_SIZE))


_in_memory: dict[str, bytes] = {}


def hold(folder: Path, index: pd.DataFrame) -> None:
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


def ours(held: Set, reader: ShardReader, folder: Path | None) -> Batches:
    """Read as the stages do; the second epoch from what was decoded in the first if there is a folder for it."""
    with DecodedPictures(held.names if folder else [], 3 * held.size**2, folder) as decoded:
        for order in held.orders():
            yield from batches(Pictures(reader, held.size, decoded), order, BATCH_SIZE)


def threads_with_pillow(held: Set, reader: ShardReader) -> Batches:
    """Read by offset and decode with Pillow in threads."""
    with ThreadPoolExecutor(num_cores()) as threads:
        for order in held.orders():
            pictures = threads.map(lambda name: pixels_by_pillow(reader.encoded(name)), order)
            for _ in range(len(order) // BATCH_SIZE):
                yield np.stack(list(itertools.islice(pictures, BATCH_SIZE)))


def tars_in_sequence(held: Set) -> Batches:
    """Read the shards from front to back, as a plain loop over tars does: no order, one core."""
    for _ in range(NUM_EPOCHS):
        pictures = (
            pixels_by_pillow(tar.extractfile(member).read())  # type: ignore[union-attr]
            for shard in sorted(set(held.index["shard"]))
            for tar in [tarfile.open(held.folder / shard)]  # noqa: SIM115 - closed with the process
            for member in tar
        )
        for _ in range(len(held.names) // BATCH_SIZE):
            yield np.stack(list(itertools.islice(pictures, BATCH_SIZE)))


def tf_data(held: Set, reader: ShardReader) -> Batches:
    """Encoded pictures from a generator, decoded and batched by tf.data."""
    is_png = reader.encoded(held.names[0]).startswith(b"\x89PNG")

    def decoded(data: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_png(data) if is_png else tf.io.decode_webp(data, channels=3)
        return tf.reshape(pixels, (held.size, held.size, 3))

    def encoded() -> Iterator[bytes]:
        for order in held.orders():
            yield from map(reader.encoded, order)

    source = tf.data.Dataset.from_generator(encoded, output_signature=tf.TensorSpec((), tf.string))
    mapped = source.map(decoded, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return iter(mapped.batch(BATCH_SIZE).prefetch(tf.data.AUTOTUNE))


def original_files(held: Set) -> Batches:
    """Decode and resize the photographs anew, as Keras' own loader does."""
    dataset = keras.utils.image_dataset_from_directory(
        held.photos,
        image_size=(held.size, held.size),
        batch_size=BATCH_SIZE,
        seed=1,
        pad_to_aspect_ratio=True,
        verbose=False,
    )
    num_batches = len(held.names) // BATCH_SIZE
    return itertools.chain.from_iterable(itertools.islice(iter(dataset), num_batches) for _ in range(NUM_EPOCHS))


class Source:
    """What grain draws from; each of its processes opens the shards for itself."""

    def __init__(self, held: Set) -> None:
        self.held, self.names = held, [name for order in held.orders() for name in order]
        self.reader: ShardReader | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> np.ndarray:
        if self.reader is None:
            self.reader = ShardReader(self.held.folder, self.held.index).__enter__()
        return pixels_by_pillow(self.reader.encoded(self.names[number]))


def grain_threads(held: Set) -> Batches:
    """Grain with as many threads as cores, Pillow decoding."""
    import grain

    options = grain.ReadOptions(num_threads=num_cores(), prefetch_buffer_size=NUM_EPOCHS * BATCH_SIZE)
    return iter(grain.MapDataset.source(Source(held)).to_iter_dataset(options).batch(BATCH_SIZE))


def grain_processes(held: Set) -> Batches:
    """Grain with as many processes as cores, Pillow decoding."""
    import grain
    from absl import flags

    flags.FLAGS.mark_as_parsed()  # grain's processes read flags of a program that it takes this one for

    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=1)
    batched = grain.MapDataset.source(Source(held)).batch(BATCH_SIZE).to_iter_dataset(options)
    return iter(batched.mp_prefetch(grain.MultiprocessingOptions(num_workers=num_cores(), per_worker_buffer_size=1)))


def ways(held: Set, reader: ShardReader, folder: Path, stack: ExitStack) -> dict[str, Callable[[], Batches]]:
    """Name every way of reading."""
    workers = stack.enter_context(
        ProcessPoolExecutor(num_cores(), get_context("spawn"), hold, (held.folder, held.index))
    )
    list(alone(workers, decode_with_tensorflow, held))  # what starts them is not measured
    found: dict[str, Callable[[], Batches]] = {
        YARDSTICK: lambda: alone(workers, decode_by_pillow, held),
        "decoding alone, TensorFlow, processes": lambda: alone(workers, decode_with_tensorflow, held),
        "ours, nothing kept": lambda: ours(held, reader, None),
        "ours, decoded pictures kept": lambda: ours(held, reader, folder),
        "threads by offset, Pillow": lambda: threads_with_pillow(held, reader),
        "tf.data over a generator": lambda: tf_data(held, reader),
        "tars in sequence, Pillow": lambda: tars_in_sequence(held),
        "image_dataset_from_directory, original files": lambda: original_files(held),
    }
    if importlib.util.find_spec("grain"):
        found["grain, threads, Pillow"] = lambda: grain_threads(held)
        found["grain, processes, Pillow"] = lambda: grain_processes(held)
    return found


def pictures_a_second(way: Callable[[], Batches], num_batches: int) -> list[float]:
    """Time each epoch of one way of reading."""
    rates, read = [], way()
    for _ in range(NUM_EPOCHS):
        started = time.perf_counter()
        taken = sum(1 for _ in itertools.islice(read, num_batches))
        assert taken == num_batches
        rates.append(num_batches * BATCH_SIZE / (time.perf_counter() - started))
    return rates


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--number", type=int, default=900)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--codec", choices=("webp", "png"), default="webp")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        held = Set(arguments.photos, folder, arguments.number, arguments.size, arguments.codec)
        reader = stack.enter_context(ShardReader(folder, held.index))
        measured = ways(held, reader, folder, stack)
        rates: dict[str, list[list[float]]] = {name: [] for name in measured}
        for _ in range(arguments.rounds):
            for name, way in measured.items():
                rates[name].append(pictures_a_second(way, len(held.names) // BATCH_SIZE))
    print(
        f"{len(held.names)} pictures of {arguments.size} px in {arguments.codec}, {held.index['size'].mean():,.0f} B "
        f"each; {num_cores()} cores, {arguments.rounds} rounds; pictures a second and times decoding alone\n"
    )
    print("| reading | first epoch | | second epoch | |\n| --- | ---: | ---: | ---: | ---: |")
    medians = {name: np.median(found, axis=0) for name, found in rates.items()}
    for name, (first, second) in medians.items():
        base_first, base_second = medians[YARDSTICK]
        print(f"| {name} | {first:,.0f} | {first / base_first:.2f} | {second:,.0f} | {second / base_second:.2f} |")


if __name__ == "__main__":
    main()
