"""Shards: plain tars of prepared pictures, written the same byte for byte, read by offset and never extracted."""

import os
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd

from runtime.errors import InputError


def write_shard(path: Path, members: Iterable[tuple[str, bytes]]) -> list[tuple[int, int]]:
    """Write a tar of uncompressed members without dates, owners or anything else that would vary.

    Args:
        path: of the tar.
        members: file names and contents, in order.

    Returns:
        Offset and size in bytes of each member's content, in the order of the members.
    """
    extents = []
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            extents.append((tar.offset + tarfile.BLOCKSIZE, len(data)))
            tar.addfile(member, BytesIO(data))
    return extents


class ShardReader:
    """Reads prepared pictures out of shards by offset, from any thread; open it with `with`.

    Args:
        folder: of the tars.
        index: columns `image_id`, `shard`, `offset`, `size`.
    """

    def __init__(self, folder: str | Path, index: pd.DataFrame) -> None:
        self._folder = Path(folder)
        self._extents = {
            image_id: (shard, offset, size)
            for image_id, shard, offset, size in zip(
                index["image_id"], index["shard"], index["offset"].astype(int), index["size"].astype(int), strict=True
            )
        }
        self._files: dict[str, int] = {}

    def __enter__(self) -> Self:
        for shard in sorted({shard for shard, _, _ in self._extents.values()}):
            try:
                self._files[shard] = os.open(self._folder / shard, os.O_RDONLY)
            except FileNotFoundError:
                raise InputError(
                    f"{self._folder / shard} is not there, though the index names it: `dvc repro shard` writes it, "
                    f"`dvc pull {self._folder}` fetches it."
                ) from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._extents

    def encoded(self, image_id: str) -> bytes:
        """Read one picture's bytes as they are in the shard."""
        shard, offset, size = self._extents[image_id]
        return os.pread(self._files[shard], size, offset)
