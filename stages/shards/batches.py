"""Pictures out of shards in batches, the next ones being decoded while one is used."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.workers import num_cores
from stages.shards.decoded import DecodedPictures
from stages.shards.prepared import decode, leave_gpus_to_keras
from stages.shards.tars import ShardReader

# While the first of these batches is waited for, the second keeps the other threads busy.
NUM_AHEAD = 2
Begun = tuple[NDArray[np.uint8], list[Future[None]]]


class Pictures:
    """Decoded pictures of one size, by image_id, from any thread.

    Args:
        reader: holds the pictures.
        size: of a side in pixels.
        decoded: keeps what was decoded once; None: every reading decodes.
    """

    def __init__(self, reader: ShardReader, size: int, decoded: DecodedPictures | None = None) -> None:
        self.reader = reader
        self.size = size
        self._decoded = decoded
        leave_gpus_to_keras()

    def read(self, image_id: str, pixels: NDArray[np.uint8]) -> None:
        """Write the pixels of one picture into `pixels`, shape (size, size, 3), contiguous.

        Raises:
            InputError: what the shard holds is no picture of this size.
        """
        if self._decoded is not None and self._decoded.load(image_id, pixels):
            return
        encoded = self.reader.encoded(image_id)
        try:
            decoded = decode(encoded)
        except ValueError as error:
            raise InputError(
                f"the picture {image_id} cannot be decoded where the shards' index has it ({error}): shard or index is "
                "damaged. `dvc checkout data/shards` brings back the tracked ones."
            ) from None
        if decoded.shape != pixels.shape:
            raise InputError(
                f"the pictures in the shards are {len(decoded)} pixels wide, the network takes {self.size}: they were "
                "made with different values of picture.side. Set it to the base's, or empty data/base, and `dvc repro`."
            )
        pixels[:] = decoded
        if self._decoded is not None:
            self._decoded.store(image_id, pixels)


def batches(pictures: Pictures, image_ids: Sequence[str], batch_size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield pictures in the order of `image_ids`, however many threads decode them.

    Args:
        pictures: where they are read.
        image_ids: which ones.
        batch_size: pictures in a batch; the last batch may have fewer.

    Yields:
        Arrays of shape (pictures, size, size, 3), uint8.
    """
    with ThreadPoolExecutor(num_cores()) as threads:
        ahead: deque[Begun] = deque()
        for start in range(0, len(image_ids), batch_size):
            ahead.append(_begin(threads, pictures, image_ids[start : start + batch_size]))
            if len(ahead) > NUM_AHEAD:
                yield _finish(*ahead.popleft())
        while ahead:
            yield _finish(*ahead.popleft())


def require(pictures: Pictures, image_ids: Sequence[str]) -> None:
    """Refuse pictures that are in no shard, or were packed for another network.

    Args:
        pictures: of the network's size.
        image_ids: which ones.

    Raises:
        InputError: says how many are missing and which is the first, or both sizes.
    """
    missing = [image_id for image_id in image_ids if image_id not in pictures.reader]
    if missing:
        raise InputError(
            f"{len(missing)} of {len(image_ids)} pictures are in no shard, the first is {missing[0]}: "
            "`dvc repro shard` packs them."
        )
    # Checking one is enough: all shards are made with one picture.side.
    for image_id in image_ids[:1]:
        pictures.read(image_id, np.empty((pictures.size, pictures.size, 3), np.uint8))


def _begin(threads: Executor, pictures: Pictures, image_ids: Sequence[str]) -> Begun:
    batch = np.empty((len(image_ids), pictures.size, pictures.size, 3), np.uint8)
    return batch, [threads.submit(pictures.read, *item) for item in zip(image_ids, batch, strict=True)]


def _finish(batch: NDArray[np.uint8], readings: list[Future[None]]) -> NDArray[np.uint8]:
    for reading in readings:
        reading.result()
    return batch
