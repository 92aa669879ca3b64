"""A memo of what was computed of files, outside the pipeline, addressed as Git's index is: losing it costs time only.

A file whose path, size, times and inode are those of the memo is not opened. Any other is read once, and what is known
of its content, by the MD5 of its bytes, is not computed again. What other code, or another version of the libraries
that decode, has computed is not known.

Source: Git's `Documentation/technical/racy-git.txt`. A file that was changed about when it was read may have been
changed again since without another time to show for it, so its times are never trusted. Git compares with the index's
own time; we leave such a file's times out of the memo.
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
_MOST = 2**63 - 1  # that a table's whole numbers hold; some file systems number inodes beyond, and times may be any


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
        stamp: of the file while it was open; None where it changed meanwhile, or cannot be read.
        row: of the table; None where the MD5 is known.
    """

    image_id: str | None
    stamp: Stamp | None
    row: dict[str, object] | None


class Memo:
    """The rows of one table, one a file, as they were computed before.

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

    def rows(
        self, files: Sequence[tuple[str, Stamp | None]], read: Callable[[list[Wanted]], Iterable[Reading]]
    ) -> pa.Table:
        """Give the row of each file, reading those that are not known, and remember them all.

        Args:
            files: paths and stamps of all files.
            read: reads files, in the order given.

        Returns:
            The table, in no particular order, a file once.
        """
        begun_ns = time.time_ns()
        numbers = chain.from_iterable(stamp or _UNKNOWN for _, stamp in files)
        stamps = np.fromiter(numbers, np.int64).reshape(-1, len(_UNKNOWN))
        places = self._unchanged([path for path, _ in files], stamps)
        unknown = np.flatnonzero(places < 0).tolist()
        by_id, by_size = self._contents(stamps[unknown, 0])
        wanted = [Wanted(files[number][0], by_size.get(stamps[number, 0], ())) for number in unknown]
        computed: dict[int, dict[str, object]] = {}
        for number, reading in zip(unknown, read(wanted), strict=True):
            stamps[number] = reading.stamp or _UNKNOWN
            if reading.row is not None:
                computed[number] = reading.row
            elif reading.image_id is not None:
                places[number] = by_id[reading.image_id]
        known = np.flatnonzero(places >= 0).tolist()
        taken = self._take(places[known], [files[number][0] for number in known])
        rows = pa.concat_tables([taken, pa.Table.from_pylist(list(computed.values()), schema=self._schema)])
        if unknown or len(rows) != len(self._rows):
            self._write(rows, stamps[[*known, *computed]], begun_ns)
        return rows

    def _unchanged(self, paths: list[str], stamps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Find the place of each file's row; -1 where there is none of this path and stamp."""
        names = pa.array([path.encode(errors="surrogateescape") for path in paths], pa.binary())
        found = pc.index_in(names, value_set=self._rows["path"].cast(pa.binary()).combine_chunks())
        places: NDArray[np.int64] = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        columns = [self._rows[field.name].fill_null(_UNKNOWN.size).to_numpy() for field in self._stamp_fields]
        same = (places >= 0) & (stamps[:, 0] != _UNKNOWN.size)
        same[same] = (np.stack(columns, axis=1)[places[same]] == stamps[same]).all(axis=1)
        places[~same] = -1
        return places

    def _contents(self, sizes: NDArray[np.int64]) -> tuple[dict[str, int], dict[int, tuple[str, ...]]]:
        """Find the contents of these sizes: MD5 to a row's place, and size to the MD5s."""
        mask = pc.is_in(self._rows["bytes"], pa.array(np.unique(sizes)))
        places = np.flatnonzero(mask.to_numpy())
        chosen = self._rows.take(pa.array(places))
        by_id: dict[str, int] = {}
        by_size: defaultdict[int, set[str]] = defaultdict(set)
        ids, sizes_of_ids = chosen["image_id"].to_pylist(), chosen["bytes"].to_pylist()
        for place, image_id, size in zip(places.tolist(), ids, sizes_of_ids, strict=True):
            by_id[image_id] = place
            by_size[size].add(image_id)
        return by_id, {size: tuple(sorted(image_ids)) for size, image_ids in by_size.items()}

    def _take(self, places: NDArray[np.int64], paths: list[str]) -> pa.Table:
        """Take rows by their place, under the paths that the files have now."""
        rows = self._rows.select(self._schema.names).take(pa.array(places))
        return rows.set_column(self._schema.get_field_index("path"), "path", pa.array(paths, pa.string()))

    def _write(self, rows: pa.Table, stamps: NDArray[np.int64], begun_ns: int) -> None:
        times = stamps[:, [Stamp._fields.index("mtime_ns"), Stamp._fields.index("ctime_ns")]]
        unsettled = (stamps[:, 0] == _UNKNOWN.size) | (times.max(axis=1) >= begun_ns - _RACY_NS)
        for place, field in enumerate(self._stamp_fields):
            rows = rows.append_column(field, pa.array(stamps[:, place], mask=unsettled))
        rows = rows.filter(pc.is_valid(rows["image_id"]))
        try:
            self._file.write(rows)
        except OSError as error:
            log.warning(
                "The memo cannot be kept in %s (%s): the next run takes longer.", self._file.folder, error.strerror
            )
