"""A memo of what was computed of files, outside the pipeline, addressed as Git's index is: losing it costs time only.

A file whose path, size, times and inode are those of the memo is not opened. Any other is read once, and what is known
of its content, by the MD5 of its bytes, is not computed again. What other code, or another version of the libraries
that decode, has computed is not known.

Source: Git's `Documentation/technical/racy-git.txt`. A file that was changed about when it was read may have been
changed again since without another time to show for it, so its times are never trusted. Git compares with the index's
own time; we leave such a file's times out of the memo.
"""

import hashlib
import json
import logging
import os
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from stages._memo_file import MemoFile
from stages.images.decode import library_versions

log = logging.getLogger(__name__)

# Of other branches and versions; a few, so that going back and forth costs nothing.
NUM_KEPT = 3
# The coarsest clock of a file system in use (FAT); NFS and ext4 are finer.
_RACY_NS = 2_000_000_000


class Stamp(NamedTuple):
    """What tells that a file is the same without opening it; times in nanoseconds since 1970."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def stamp_of(status: os.stat_result) -> Stamp:
    """Take from a file's status what the memo compares."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def version(settings: Mapping[str, object]) -> str:
    """Digest everything that rows depend on beside the files' bytes.

    That is all our code that is loaded, which is more than needed and can miss nothing, and the libraries' versions.

    Args:
        settings: parameters, and whatever else the rows depend on; what JSON can hold.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    sources = {module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "stages"}
    sources.add(sys.modules["__main__"].__dict__.get("__file__"))
    for path in sorted(filter(None, sources)):
        digest.update(Path(path).read_bytes())
    digest.update(json.dumps([np.__version__, sys.version, library_versions()]).encode())
    return digest.hexdigest()


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
        version: what `version` returned; rows of another are not known.
        schema: of the rows; has `path`, `bytes` and `image_id`.
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.
    """

    def __init__(self, name: str, version: str, schema: pa.Schema, folder: Path | None = None) -> None:
        self._file = MemoFile(name, version, NUM_KEPT, folder)
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
        places = self._unchanged(files)
        stamps = dict(files)
        unknown = [path for path in stamps if path not in places]
        by_id, by_size = self._contents({stamp.size for path in unknown if (stamp := stamps[path])})
        wanted = [Wanted(path, by_size.get(stamp.size, ()) if (stamp := stamps[path]) else ()) for path in unknown]
        computed = []
        for path, reading in zip(unknown, read(wanted), strict=True):
            stamps[path] = reading.stamp
            if reading.row is not None:
                computed.append(reading.row)
            elif reading.image_id is not None:
                places[path] = by_id[reading.image_id]
        rows = pa.concat_tables([self._take(places), pa.Table.from_pylist(computed, schema=self._schema)])
        if unknown or len(rows) != len(self._rows):
            self._write(rows, stamps, begun_ns)
        return rows

    def _unchanged(self, files: Iterable[tuple[str, Stamp | None]]) -> dict[str, int]:
        """Find the files whose path and stamp are those of a row: path to the row's place."""
        columns = (self._rows[field.name].to_pylist() for field in self._stamp_fields)
        known = zip(self._rows["path"].to_pylist(), zip(*columns, strict=True), strict=True)
        places: dict[tuple[str, tuple[int, ...] | None], int] = {file: place for place, file in enumerate(known)}
        return {path: places[path, stamp] for path, stamp in files if (path, stamp) in places}

    def _contents(self, sizes: set[int]) -> tuple[dict[str, int], dict[int, tuple[str, ...]]]:
        """Find the contents of these sizes: MD5 to a row's place, and size to the MD5s."""
        mask = pc.is_in(self._rows["bytes"], pa.array(sorted(sizes), pa.int64()))
        places = np.flatnonzero(mask.to_numpy())
        chosen = self._rows.take(pa.array(places))
        by_id: dict[str, int] = {}
        by_size: defaultdict[int, set[str]] = defaultdict(set)
        ids, sizes_of_ids = chosen["image_id"].to_pylist(), chosen["bytes"].to_pylist()
        for place, image_id, size in zip(places.tolist(), ids, sizes_of_ids, strict=True):
            by_id[image_id] = place
            by_size[size].add(image_id)
        return by_id, {size: tuple(sorted(image_ids)) for size, image_ids in by_size.items()}

    def _take(self, places: Mapping[str, int]) -> pa.Table:
        """Take rows by their place, under the paths that the files have now."""
        rows = self._rows.select(self._schema.names).take(pa.array(list(places.values()), pa.int64()))
        return rows.set_column(self._schema.get_field_index("path"), "path", pa.array(list(places), pa.string()))

    def _write(self, rows: pa.Table, stamps: Mapping[str, Stamp | None], begun_ns: int) -> None:
        settled = [
            stamp
            if stamp and max(stamp.mtime_ns, stamp.ctime_ns) < begun_ns - _RACY_NS
            else (None,) * len(Stamp._fields)
            for stamp in map(stamps.get, rows["path"].to_pylist())
        ]
        for place, field in enumerate(self._stamp_fields):
            rows = rows.append_column(field, pa.array([stamp[place] for stamp in settled], pa.int64()))
        rows = rows.filter(pc.is_valid(rows["image_id"]))
        try:
            self._file.write(rows)
        except OSError as error:
            log.warning(
                "The memo cannot be kept in %s (%s): the next run takes longer.", self._file.folder, error.strerror
            )
