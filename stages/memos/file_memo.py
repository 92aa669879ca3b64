"""A memo of what was computed from files, outside the pipeline, addressed as Git's index is: losing it costs time only.

A file whose path, size, times and inode are those of the memo is not opened. Any other is read once, and what the memo
has of its content, by the MD5 of its bytes, is not computed again. What was computed by other code, or by another
version of the libraries that decode, does not count.

Source: Git's `Documentation/technical/racy-git.txt`. A file that was changed at about the time when it was read
may have been changed again since without showing another time, so its times are never trusted. Git compares with the
index's own time; we leave such a file's times out of the memo.
"""

import logging
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stages.memos.memo_file import MemoFile

log = logging.getLogger(__name__)

# Of other branches and versions; a few, so that going back and forth costs nothing.
NUM_KEPT = 3
# The coarsest clock of a file system in use (FAT); NFS and ext4 are finer.
_RACY_NS = 2_000_000_000
_MOST = 2**63 - 1  # that a table's whole numbers can hold; inodes and times may be larger on some file systems


class Stamp(NamedTuple):
    """What tells that a file is the same without opening it; times in nanoseconds since 1970."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


# Of a file that changed while it was read, or cannot be read.
_UNKNOWN = Stamp(-1, -1, -1, -1)


def stamp_of(status: os.stat_result) -> Stamp:
    """Take from a file's status what the memo compares."""
    times = min(status.st_mtime_ns, _MOST), min(status.st_ctime_ns, _MOST)
    return Stamp(status.st_size, *times, status.st_ino & _MOST)


class Wanted(NamedTuple):
    """A file to read; its row is not needed where its MD5 is one of `known`."""

    path: str
    known: tuple[str, ...]


class Reading(NamedTuple):
    """What reading a file once gave.

    Attributes:
        image_id: MD5 of its bytes; None where it cannot be read.
        stamp: of the file while it was open; None where it changed while it was read, or cannot be read.
        row: of the table; None where the MD5 is known.
    """

    image_id: str | None
    stamp: Stamp | None
    row: dict[str, object] | None


Read = Callable[[list[Wanted]], Iterable[Reading]]


class Memo:
    """The rows of one table, one per file, as they were computed before.

    Args:
        name: of the table.
        identity: of the code and the settings that compute the rows (`code_identity`); rows of another are not known.
        schema: of the rows; has `path`, `bytes` and `image_id`.
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.
    """

    def __init__(self, name: str, identity: str, schema: pa.Schema, folder: Path | None = None) -> None:
        self._file = MemoFile(name, identity, NUM_KEPT, folder)
        self._schema = schema
        self._stamp_fields = [pa.field(f"stamp_{name}", pa.int64()) for name in Stamp._fields]
        self._rows = self._file.read() or pa.schema([*schema, *self._stamp_fields]).empty_table()

    def rows(self, files: Sequence[tuple[str, Stamp | None]], read: Read) -> pa.Table:
        """Give the row of each file, reading those that are not known, and remember them all.

        Args:
            files: paths and stamps of all files.
            read: reads files, in the order given.

        Returns:
            The table, one row per file, in no particular order.
        """
        begun_ns = time.time_ns()
        paths = [path for path, _ in files]
        stamps = _as_array(stamp for _, stamp in files)
        rows = self._unchanged(paths, stamps)
        changed = np.flatnonzero(rows < 0)
        readings = self._read([paths[number] for number in changed], stamps[changed, 0], read)
        stamps[changed] = _as_array(reading.stamp for reading, _ in readings)
        rows[changed] = [row for _, row in readings]
        computed = [reading.row for reading, row in readings if row < 0]
        remembered = np.flatnonzero(rows >= 0)
        taken = self._take(rows[remembered], [paths[number] for number in remembered])
        table = pa.concat_tables([taken, pa.Table.from_pylist(computed, schema=self._schema)])
        if len(changed) or len(table) != len(self._rows):
            self._write(table, stamps[np.concatenate([remembered, changed[rows[changed] < 0]])], begun_ns)
        return table

    def _unchanged(self, paths: list[str], stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the row that the memo has of each file; -1 where it has none of this path and stamp."""
        names = pa.array([path.encode(errors="surrogateescape") for path in paths], pa.binary())
        matches = pc.index_in(names, value_set=self._rows["path"].cast(pa.binary()).combine_chunks())
        rows: NDArray[np.int64] = matches.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        columns = [self._rows[field.name].fill_null(_UNKNOWN.size).to_numpy() for field in self._stamp_fields]
        same = (rows >= 0) & (stamps[:, 0] != _UNKNOWN.size)
        same[same] = (np.stack(columns, axis=1)[rows[same]] == stamps[same]).all(axis=1)
        rows[~same] = -1
        return rows

    def _read(self, paths: list[str], sizes: NDArray[np.int64], read: Read) -> list[tuple[Reading, int]]:
        """Read files; with each, the row that the memo has of the same content, -1 where it has none."""
        row_of, known = self._contents(sizes)
        wanted = [Wanted(path, known.get(size, ())) for path, size in zip(paths, sizes.tolist(), strict=True)]
        return [(reading, -1 if reading.row else row_of[str(reading.image_id)]) for reading in read(wanted)]

    def _contents(self, sizes: NDArray[np.int64]) -> tuple[dict[str, int], dict[int, tuple[str, ...]]]:
        """Find the contents of these sizes: MD5 to the memo's row, and size to MD5s."""
        rows = np.flatnonzero(pc.is_in(self._rows["bytes"], pa.array(np.unique(sizes))).to_numpy())
        chosen = self._rows.take(pa.array(rows))
        image_ids = chosen["image_id"].to_pylist()
        known: defaultdict[int, set[str]] = defaultdict(set)
        for image_id, size in zip(image_ids, chosen["bytes"].to_pylist(), strict=True):
            known[size].add(image_id)
        row_of = dict(zip(image_ids, rows.tolist(), strict=True))
        return row_of, {size: tuple(sorted(image_ids)) for size, image_ids in known.items()}

    def _take(self, rows: NDArray[np.int64], paths: list[str]) -> pa.Table:
        """Take rows of the memo, under the paths that the files have now."""
        taken = self._rows.select(self._schema.names).take(pa.array(rows))
        return taken.set_column(self._schema.get_field_index("path"), "path", pa.array(paths, pa.string()))

    def _write(self, rows: pa.Table, stamps: NDArray[np.int64], begun_ns: int) -> None:
        times = stamps[:, [Stamp._fields.index("mtime_ns"), Stamp._fields.index("ctime_ns")]]
        unsettled = (stamps[:, 0] == _UNKNOWN.size) | (times.max(axis=1) >= begun_ns - _RACY_NS)
        for column, field in enumerate(self._stamp_fields):
            rows = rows.append_column(field, pa.array(stamps[:, column], mask=unsettled))
        rows = rows.filter(pc.is_valid(rows["image_id"]))
        try:
            self._file.write(rows)
        except OSError as error:
            log.warning(
                "memo: cannot be kept in %s (%s): the next run takes longer.", self._file.folder, error.strerror
            )


def _as_array(stamps: Iterable[Stamp | None]) -> NDArray[np.int64]:
    """Shape (files, fields of a stamp)."""
    numbers = chain.from_iterable(stamp or _UNKNOWN for stamp in stamps)
    return np.fromiter(numbers, np.int64).reshape(-1, len(_UNKNOWN))
