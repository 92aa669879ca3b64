"""A memo of prepared pictures, outside the pipeline: which shard in DVC's cache holds which of them, and where.

DVC keeps every shard that it committed in its cache, under the MD5 of the shard's bytes. So the memo of a run is a
small table, and costs no copy of the pictures. (Hard links to the last run's shards would: DVC puts a copy of its own
in place of an output that has a second link, each time.)

Losing the memo or the cache costs time, never another result. A memo is of one identity of code and settings, which
together with the picture determine the prepared bytes. A shard is used only after its bytes were read and have the
expected MD5.
"""

import logging
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pandas as pd
import pyarrow as pa

from runtime.digest import md5_of_file
from stages.memos.memo_file import MemoFile
from stages.shards.index import fault
from stages.shards.tars import ShardReader

log = logging.getLogger(__name__)

# Going back and forth between a few sizes or branches of the code stays cheap; a table is some megabytes.
NUM_KEPT = 4
_SCHEMA = pa.schema(
    {
        "image_id": pa.string(),
        "shard": pa.string(),  # MD5 of the tar
        "offset": pa.int64(),
        "size": pa.int64(),
        "age": pa.int64(),  # 0: packed by the last run, which DVC may not have committed; 1: by one before
    }
)


class ShardMemo:
    """What earlier runs of the same code packed, as far as a plan asks for it and DVC's cache still holds it.

    Open it with `with`.

    Args:
        identity: of the code and the settings that prepare pictures (`code_identity`).
        plan: file names of shards and their members, in order.
        objects: DVC's cache of files by MD5 (`dvc_objects`), or None.
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.

    Attributes:
        missing: image_ids that must be prepared, in the order of the plan.
    """

    def __init__(
        self, identity: str, plan: Sequence[tuple[str, list[str]]], objects: Path | None, folder: Path | None = None
    ) -> None:
        self._file = MemoFile("shards", identity, NUM_KEPT, folder)
        self._objects = objects
        self._whole: dict[str, bool] = {}
        self._rows = self._remembered()
        self._copies = self._find_shards(plan)
        rest = [image_id for shard, members in plan if shard not in self._copies for image_id in members]
        self._reader = self._find_pictures(rest)
        self.missing = [image_id for image_id in rest if image_id not in self._reader]

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

    def copy(self, path: Path) -> pd.DataFrame | None:
        """Copy a shard of the plan whole, sharing its blocks where the file system can.

        Args:
            path: of the copy; its name is the shard's.

        Returns:
            Columns `image_id`, `offset`, `size` in the order of the members; None where there is no such shard.
        """
        md5 = self._copies.get(path.name)
        if md5 is None:
            return None
        _copy(self._object(md5), path)
        return self._rows.loc[self._rows["shard"] == md5, ["image_id", "offset", "size"]]

    def keep(self, folder: Path, index: pd.DataFrame) -> None:
        """Remember shards for the next run, and forget all but the newest few memos.

        Args:
            folder: of the tars.
            index: columns `image_id`, `shard`, `offset`, `size`.
        """
        if self._objects is None:
            return
        digests = {shard: self._copies.get(shard) or md5_of_file(folder / shard) for shard in index["shard"].unique()}
        now = index.assign(shard=index["shard"].map(digests), age=0)
        before = self._rows[~self._rows["shard"].isin(now["shard"])]
        before = before[before["age"] == before["age"].min()].assign(age=1)
        rows = pd.concat([now, before]).sort_values(["age", "shard", "offset"])
        try:
            self._file.write(pa.Table.from_pandas(rows, schema=_SCHEMA, preserve_index=False))
        except OSError as error:
            log.warning(
                "shard: the next run will prepare every picture again, as the memo cannot be kept in %s: %s",
                self._file.folder,
                error,
            )

    def _remembered(self) -> pd.DataFrame:
        """Read the rows of shards that are in the cache, damaged or not."""
        rows = self._file.read() if self._objects is not None else None
        frame: pd.DataFrame = (rows or _SCHEMA.empty_table()).to_pandas()
        if problem := fault(frame):
            log.warning("memo: %s %s: every picture is prepared again.", self._file.folder, problem)
            frame = frame.head(0)
        return frame[frame["shard"].isin([md5 for md5 in frame["shard"].unique() if self._object(md5).is_file()])]

    def _find_shards(self, plan: Sequence[tuple[str, list[str]]]) -> dict[str, str]:
        """Map each shard of the plan to the MD5 of the same shard in the cache, where there is one."""
        members_of = self._rows.groupby("shard")["image_id"]
        known = {tuple(members): str(md5) for md5, members in members_of}
        same = ((shard, known.get(tuple(members))) for shard, members in plan)
        return {shard: md5 for shard, md5 in same if md5 is not None and self._is_whole(md5)}

    def _find_pictures(self, image_ids: Sequence[str]) -> ShardReader:
        """Open pictures that are in a shard of the cache."""
        rows = self._rows[self._rows["image_id"].isin(image_ids)].drop_duplicates("image_id")
        rows = rows[rows["shard"].isin([md5 for md5 in rows["shard"].unique() if self._is_whole(md5)])]
        remedy = f"Delete {self._file.folder}: every picture is then prepared again."
        return ShardReader(self._objects or "", rows.assign(shard=rows["shard"].map(_object_name)), remedy)

    def _is_whole(self, md5: str) -> bool:
        if md5 not in self._whole:
            self._whole[md5] = md5_of_file(self._object(md5)) == md5
        return self._whole[md5]

    def _object(self, md5: str) -> Path:
        return Path(self._objects or "", _object_name(md5))


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


def _copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, not its mode: DVC's cache is read-only. Where the file system can, both share the blocks."""
    with source.open("rb") as read, target.open("wb") as written:
        try:
            while os.copy_file_range(read.fileno(), written.fileno(), 2**30):
                pass
        except OSError:  # between two file systems, or one that does not know it
            shutil.copyfileobj(read, written)
