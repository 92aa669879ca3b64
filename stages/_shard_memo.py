"""Memo of prepared pictures, outside of the pipeline: which shard in DVC's cache holds which of them, and where.

DVC keeps every shard that it committed in its cache, under the MD5 of the shard's bytes. So the memo of a run is a
small table, and costs no copy of the pictures. (Hard links to the last run's shards would: DVC puts a copy of its own
in place of an output that has a second link, each time.)

Losing the memo or the cache costs time, never another result. A memo is of one recipe, which names all that determines
a prepared picture's bytes beside the picture; a shard is used only after its bytes were read and have the MD5 expected.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
import pyarrow as pa

from stages._errors import InputError
from stages._shards import ShardReader
from stages._workers import num_cores
from stages.tables._table import Table

log = logging.getLogger(__name__)

# Beside DVC's own temporary files: ignored by git, on the local disk.
DEFAULT_FOLDER = ".dvc/tmp/retrain/shards"
# Going back and forth between a few sizes or branches of the code stays cheap; a table is some megabytes.
NUM_KEPT = 4
_MEMO = Table(
    path="",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "shard": pa.string(),  # MD5 of the tar
            "offset": pa.int64(),
            "size": pa.int64(),
        }
    ),
    key=("image_id",),
    order=("shard", "offset"),
    stage="shard",
)


class ShardMemo:
    """What an earlier run with the same recipe packed, if DVC's cache still holds it undamaged; open it with `with`.

    Args:
        recipe: a digest of all that determines the bytes of a shard beside its pictures.
        objects: DVC's cache of files by MD5 (`dvc_objects`), or None.
        folder: of the memos; by default what RETRAIN_SHARD_MEMO names, else `.dvc/tmp/retrain/shards`.
    """

    def __init__(self, recipe: str, objects: Path | None, folder: Path | None = None) -> None:
        self._folder = folder or Path(os.environ.get("RETRAIN_SHARD_MEMO", DEFAULT_FOLDER))
        self._path = self._folder / f"{recipe}.parquet"
        self._objects = objects
        self._index = self._undamaged(self._remembered())
        rows = self._index.groupby("shard", sort=False)["image_id"]
        self._shards = {tuple(members): str(shard) for shard, members in rows}
        names = self._index["shard"].map(_object_name)
        self._reader = ShardReader(objects or "", self._index.assign(shard=names))
        self._copied: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._reader.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._reader.__exit__(kind, error, trace)

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._reader

    def read(self, image_id: str) -> bytes:
        """Read a prepared picture as it is encoded."""
        return self._reader.encoded(image_id)

    def copy(self, members: Sequence[str], path: Path) -> pd.DataFrame | None:
        """Copy the shard that holds just these pictures in this order, sharing its blocks where the file system can.

        Args:
            members: image_ids.
            path: of the copy; its name is the shard's.

        Returns:
            Columns `image_id`, `offset`, `size` in the order of the members; None where there is no such shard.
        """
        md5 = self._shards.get(tuple(members))
        if md5 is None or self._objects is None:
            return None
        _copy(self._objects / _object_name(md5), path)
        self._copied[path.name] = md5
        return self._index[self._index["shard"] == md5].drop(columns="shard").reset_index(drop=True)

    def keep(self, folder: Path, index: pd.DataFrame) -> None:
        """Remember shards for the next run, and forget all but the newest few memos.

        Args:
            folder: of the tars.
            index: columns `image_id`, `shard`, `offset`, `size`.
        """
        if self._objects is None:
            return
        digests = {shard: self._copied.get(shard) or _md5(folder / shard) for shard in index["shard"].unique()}
        try:
            _MEMO.write(index.assign(shard=index["shard"].map(digests)), str(self._path))
            for old in sorted(self._folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime)[:-NUM_KEPT]:
                old.unlink()
        except OSError as error:
            log.warning("The next run will prepare every picture again: the memo %s: %s", self._path, error.strerror)

    def _remembered(self) -> pd.DataFrame:
        if self._objects is not None and self._path.is_file():
            try:
                return _MEMO.read(str(self._path))
            except (InputError, pa.ArrowInvalid) as error:
                log.warning("The memo %s is damaged (%s): the pictures are prepared again.", self._path, error)
        return pd.DataFrame({name: [] for name in _MEMO.schema.names})

    def _undamaged(self, index: pd.DataFrame) -> pd.DataFrame:
        digests = sorted(set(index["shard"]))
        with ThreadPoolExecutor(num_cores()) as threads:  # digesting gives way to other threads
            whole = threads.map(self._is_whole, digests)
            return index[index["shard"].isin([md5 for md5, found in zip(digests, whole, strict=True) if found])]

    def _is_whole(self, md5: str) -> bool:
        path = Path(self._objects or "", _object_name(md5))
        return path.is_file() and _md5(path) == md5


def dvc_objects() -> Path | None:
    """Find where DVC's cache holds files by MD5: `ab/cdef...` below this folder; None outside of a DVC repository."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo
    from dvc.scm import SCMError

    try:
        with Repo() as repo:
            return Path(repo.cache.local.path)
    except (NotDvcRepoError, SCMError):  # the latter where `.dvc` holds our memos and nothing else
        return None


def _object_name(md5: str) -> str:
    return f"{md5[:2]}/{md5[2:]}"


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, not its mode: DVC's cache is read-only. Where the file system can, both share the blocks."""
    with source.open("rb") as read, target.open("wb") as written:
        try:
            while os.copy_file_range(read.fileno(), written.fileno(), 2**30):
                pass
        except OSError:  # between two file systems, or one that does not know it
            shutil.copyfileobj(read, written)
