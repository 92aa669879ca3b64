"""Shards: plain tars of prepared pictures, written the same byte for byte, read by offset and never extracted."""

import os
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import pandas as pd

from runtime.errors import InputError
from runtime.regular_files import open_regular

BLOCK = tarfile.BLOCKSIZE  # bytes of a member's header; every content begins at a multiple of it
REMEDY = "`dvc checkout --force data/shards` brings back the tracked ones, `dvc repro --force shard` packs them again."


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
            extents.append((tar.offset + BLOCK, len(data)))
            tar.addfile(member, BytesIO(data))
    return extents


def read_member(path: Path, image_id: str, offset: int, size: int) -> bytes:
    """Read one picture out of a shard; `ShardReader` is for many in one process.

    Args:
        path: of the tar.
        image_id: of the picture.
        offset: of its content in bytes.
        size: of its content in bytes.

    Raises:
        InputError: the shard is absent, or holds another picture there.
    """
    with open_regular(path, _absent(path.parent)) as file:
        return content_of(os.pread(file.fileno(), BLOCK + size, offset - BLOCK), image_id, size, path)


class ShardReader:
    """Reads prepared pictures out of shards by offset, from any thread; open it with `with`.

    Args:
        folder: of the tars.
        index: columns `image_id`, `shard`, `offset`, `size`, in which `stages.shards.index.fault` finds none.
        remedy: what to do where shards and index do not fit together, as a sentence.
    """

    def __init__(self, folder: str | Path, index: pd.DataFrame, remedy: str = REMEDY) -> None:
        self._folder = Path(folder)
        self._remedy = remedy
        self._extents = {
            image_id: (shard, offset, size)
            for image_id, shard, offset, size in zip(
                index["image_id"], index["shard"], index["offset"].astype(int), index["size"].astype(int), strict=True
            )
        }
        self._files: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        ends: dict[str, int] = {}
        for shard, offset, size in self._extents.values():
            ends[shard] = max(ends.get(shard, 0), offset + size)
        try:
            for shard in sorted(ends):
                self._open(shard, ends[shard])
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._extents

    def encoded(self, image_id: str) -> bytes:
        """Read one picture's bytes as they are in the shard.

        Raises:
            InputError: the shard holds another picture where the index has this one.
        """
        shard, offset, size = self._extents[image_id]
        member = os.pread(self._files[shard].fileno(), BLOCK + size, offset - BLOCK)
        return content_of(member, image_id, size, self._folder / shard, self._remedy)

    def _open(self, shard: str, end: int) -> None:
        path = self._folder / shard
        self._files[shard] = open_regular(path, _absent(self._folder))
        num_bytes = os.fstat(self._files[shard].fileno()).st_size
        if num_bytes < end:
            raise InputError(
                f"{path} has {num_bytes:,} bytes, where the index has a picture that ends at {end:,}: shard or index "
                f"is cut short, or another. {self._remedy}"
            )

    def _close(self) -> None:
        while self._files:
            self._files.popitem()[1].close()


def _absent(folder: Path) -> str:
    return f"`dvc repro shard` writes it, `dvc pull {folder}` fetches it."


def content_of(member: bytes, image_id: str, size: int, path: Path, remedy: str = REMEDY) -> bytes:
    """Take a picture's bytes out of a member of a tar, if it is that picture's.

    Args:
        member: its header, then its content.
        image_id: of the picture.
        size: of the content in bytes.
        path: of the tar, for the message.
        remedy: as in `ShardReader`.

    Raises:
        InputError: the member has another name or size.
    """
    # A member is called after its picture, and after how it is encoded; then comes a zero. The size is in octal digits.
    if not member.startswith(b"%s." % image_id.encode()) or member[124:136] != b"%011o\0" % size:
        name = member[:100].partition(b"\0")[0].decode(errors="backslashreplace")
        raise InputError(
            f"{path} holds {name!r} where the index has {size:,} bytes of the picture {image_id}: one of the two was "
            f"changed. {remedy}"
        )
    return member[BLOCK:]
