"""Pictures out of shards in batches, the next one being decoded while one is worked on."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from stages._errors import InputError
from stages._shards import ShardReader
from stages._workers import num_cores


def batches(reader: ShardReader, image_ids: Sequence[str], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures in the order of `image_ids`, however many threads decode them.

    Args:
        reader: holds the pictures.
        image_ids: which ones.
        batch_size: pictures in a batch; the last has what is left.

    Yields:
        Arrays of shape (pictures, size, size, 3), uint8.
    """
    with ThreadPoolExecutor(num_cores()) as threads:
        ahead = threads.map(reader.read, image_ids[:batch_size])
        for start in range(0, len(image_ids), batch_size):
            pictures = np.stack(list(ahead))
            following = start + batch_size
            ahead = threads.map(reader.read, image_ids[following : following + batch_size])
            yield pictures


def require(reader: ShardReader, image_ids: Sequence[str], size: int) -> None:
    """Refuse pictures that are in no shard, or were packed for another network.

    Args:
        reader: of the shards.
        image_ids: which ones.
        size: side of the pictures that the network takes, in pixels.

    Raises:
        InputError: says how many are missing and which is the first, or both sizes.
    """
    missing = [image_id for image_id in image_ids if image_id not in reader]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(image_ids)} pictures are in no shard, the first is {missing[0]}: "
            "`dvc repro shard` packs them."
        )
    # One stands for all: a shard's index and picture.size make the shards as a whole.
    if image_ids and (packed := len(reader.read(image_ids[0]))) != size:
        raise InputError(
            f"the pictures in the shards are {packed} pixels wide, the network takes {size}: they were made with "
            "different values of picture.size. Set it to the base's, or empty data/base, and `dvc repro`."
        )
