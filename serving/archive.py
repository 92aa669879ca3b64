"""A place where rows and pictures of all replicas go: any that fsspec knows, such as az://logs or a mounted folder.

    TO/day=2026-11-27/<replica>-<number>-<digest>.parquet     rows of `transactions`
    TO/pictures/day=2026-11-27/<replica>/<image_id>           their pictures
    TO/feedback/day=2026-11-27/<replica>.parquet              what users said of rows after these were shipped
    TO/gateway.txt                                            says that this is such a place

A file is there whole or not at all. The name of one of rows has its digest, so that sending it again changes nothing.
No replica changes what another sent, but for what is older than agreed, which any of them removes.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from fsspec.implementations.local import LocalFileSystem

from runtime.digest import md5_of_bytes
from runtime.errors import InputError, RemoteError
from runtime.outputs import sync_folder
from serving import late_feedback
from serving.transactions import SCHEMA

_PICTURES, _FEEDBACK = "pictures", "feedback"
_MARK = "gateway.txt"
_MARK_TEXT = (
    b"Gateways ship their logs to this place. Leave this file here: it shows that the place is not another one.\n"
)
_READ_AT_ONCE = 8  # files of rows: a place far away takes its time for each
_REMEDY = "Nothing was deleted here; it is sent again within the hour."


class Archive:
    """The place at a URL.

    Args:
        url: that fsspec knows.

    Attributes:
        url: without a slash at its end; of a folder its absolute path, since who reads it may work in another folder.

    Raises:
        InputError: fsspec knows no such place.
    """

    def __init__(self, url: str) -> None:
        try:
            self._storage, folder = fsspec.core.url_to_fs(url.rstrip("/"), use_listings_cache=False)
        except (ValueError, ImportError) as error:
            raise InputError(f"{url} is no place to ship to: {error}. Try az://container, or a folder.") from None
        self._folder = folder.rstrip("/")
        self.url = self._folder if isinstance(self._storage, LocalFileSystem) else url.rstrip("/")

    def mark(self) -> None:
        """Leave a file that shows that this is such a place."""
        if not self._storage.exists(f"{self._folder}/{_MARK}"):
            self._put(f"{self._folder}/{_MARK}", _MARK_TEXT)

    def require_there(self) -> None:
        """Refuse a place that nothing was ever shipped to: that a row is not there means nothing then.

        Raises:
            RemoteError: neither the mark nor the rows of any day are there.
        """
        names = self._list("")
        if _MARK not in names and not any(name.startswith("day=") for name in names):
            raise RemoteError(
                f"{self.url} is not there, or holds nothing that a gateway shipped: a disk may not be mounted, or the "
                f"path begins in another folder. Bring it back. If everything was removed, make an empty {_MARK} there."
            )

    def send_rows(self, rows: pa.Table, day: str, replica: str, number: int) -> dict[str, str]:
        """Send rows, but for those that are there, sent by a gateway that ended before it noted so, or by a copy of it.

        Args:
            rows: of one day.
            day: in ISO 8601.
            replica: that sends them.
            number: of the sending; the next free one is taken where other rows have it, as after a log was restored.

        Returns:
            For each transaction the path, below the place, of the file that has it.

        Raises:
            RemoteError: what arrived is not what was sent.
        """
        there = self._there(rows, day, replica)
        transactions = rows["transaction_id"].to_pylist()
        rest = rows.filter(pa.array([each not in there for each in transactions], pa.bool_()))
        file = self._send_rows(rest, day, replica, number) if len(rest) else ""
        return {each: there.get(each, file) for each in transactions}

    def send_picture(self, data: bytes, day: str, replica: str, image_id: str) -> None:
        """Send a picture, unless it is there.

        Raises:
            RemoteError: what arrived is not what was sent.
        """
        path = self._picture(day, replica, image_id)
        if not self._storage.exists(path) or md5_of_bytes(self._storage.cat_file(path)) != image_id:
            self._put(path, data)

    def add_feedback(self, rows: pa.Table, day: str, replica: str) -> None:
        """Add what users said of rows that a replica sent of a day; of what was said twice of one, the later counts.

        Args:
            rows: columns of serving.late_feedback, each transaction once.
            day: in ISO 8601.
            replica: that sent the rows.

        Raises:
            RemoteError: what arrived is not what was sent, or what is there is damaged.
        """
        file = _feedback(day, replica)
        others = self._feedback_without(file, rows["transaction_id"].to_pylist())
        self._put(f"{self._folder}/{file}", _encoded(pa.concat_tables([others, rows]).sort_by("transaction_id")))

    def forget(self, file: str, transaction: str, replica: str, image_id: str | None) -> str | None:
        """Take a row out of a file, and its picture away where no other row of this replica and day names it.

        It may be done again wherever it was ended before: then the rows are there under another name, or under two.

        Returns:
            The path of the file that has these rows now; None where they are gone, as after a retention.

        Raises:
            RemoteError: what arrived is not what was sent, what is there is damaged, or the place is not there.
        """
        self.require_there()
        folder, _, name = file.rpartition("/")
        day, stem = folder.removeprefix("day="), name.rpartition("-")[0]
        files = self._sent(folder, stem)
        changed = self._without(files, transaction, day, stem) if files else None
        for each in self._sent(folder, stem, with_partial=True):
            if each != changed:
                self._remove(f"{self._folder}/{each}")
        self._forget_feedback(_feedback(day, replica), transaction)
        others = (self._rows(each)["image_id"].to_pylist() for each in self._sent(folder, replica))
        if image_id and not any(image_id in images for images in others):
            path = self._picture(day, replica, image_id)
            for each in (path, _partial(path)):
                self._remove(each)
        return changed

    def read_rows(self, day: str, columns: Sequence[str]) -> pa.Table:
        """Read columns of all replicas' rows that were received on a day or after it, each row once.

        Raises:
            RemoteError: a file cannot be read as such rows. A column that a file lacks is null.
        """
        return pa.concat_tables([SCHEMA.empty_table().select(columns), *self.read_files(day, columns)])

    def read_files(self, day: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read the same, a file at a time; gateways may forget and remove meanwhile."""
        late = self._read_feedback(day) if set(columns) & set(late_feedback.SAID) else None
        wanted = list(dict.fromkeys([*columns, "transaction_id"])) if late else columns
        with ThreadPoolExecutor(_READ_AT_ONCE) as pool:
            for each in self._list(""):
                if each.startswith("day=") and each.removeprefix("day=") >= day:
                    for rows in self._read_day(each, wanted, pool):
                        yield late_feedback.join(rows, late).select(columns) if late else rows

    def read_picture(self, day: str, replica: str, image_id: str) -> bytes | None:
        """Read a picture; None where it is not there."""
        try:
            data: bytes = self._storage.cat_file(self._picture(day, replica, image_id))
        except FileNotFoundError:
            return None
        return data

    def remove_before(self, day: str) -> list[str]:
        """Remove the rows and pictures of all days before one.

        Returns:
            These days.
        """
        kinds = (f"{_PICTURES}/", f"{_FEEDBACK}/", "")
        names = {name for kind in kinds for name in self._list(kind) if name.startswith("day=")}
        old = sorted(name.removeprefix("day=") for name in names if name < f"day={day}")
        for each in old:
            for kind in kinds:
                with suppress(FileNotFoundError):  # or another replica removes it too
                    self._storage.rm(f"{self._folder}/{kind}day={each}", recursive=True)
        return old

    def _without(self, files: list[str], transaction: str, day: str, stem: str) -> str:
        """Write rows again without one of them. Of several files, the one with the fewest is the last."""
        whole = {file: self._rows(file) for file in files if self._is_whole(file)}
        if not whole:
            raise RemoteError(
                f"{self.url}/{files[0]} is damaged: its name has another digest than its content, so that nothing can "
                "be forgotten in it. Bring it back from a backup, or delete it."
            )
        file, rows = min(whole.items(), key=lambda item: len(item[1]))
        kept = rows.filter(pc.not_equal(rows["transaction_id"], transaction))
        if len(kept) == len(rows):
            return file
        data = _encoded(kept)
        changed = f"day={day}/{stem}-{md5_of_bytes(data)}.parquet"
        self._put(f"{self._folder}/{changed}", data)
        return changed

    def _there(self, rows: pa.Table, day: str, replica: str) -> dict[str, str]:
        """Say which of the rows are in a file that this replica, or a copy of it, sent of the day, and in which."""
        wanted, there = set(rows["transaction_id"].to_pylist()), dict[str, str]()
        for file in self._sent(f"day={day}", replica):
            found = wanted & self._transactions(file)
            if found and self._is_whole(file):
                there |= dict.fromkeys(found, file)
        return there

    def _transactions(self, file: str) -> set[str]:
        """Read which rows a file has, and as little else of it as can be; none where it is damaged."""
        try:
            with self._storage.open(f"{self._folder}/{file}") as opened:
                return set(pq.read_table(opened, columns=["transaction_id"])["transaction_id"].to_pylist())
        except (pa.ArrowException, OSError):
            if self._is_whole(file):
                raise
            return set()

    def _send_rows(self, rows: pa.Table, day: str, replica: str, number: int) -> str:
        data = _encoded(rows)
        names, digest = self._list(f"day={day}"), md5_of_bytes(data)
        while True:
            sending = f"{replica}-{number:06d}-"
            name = f"{sending}{digest}.parquet"
            if not any(each.startswith(sending) and each != name for each in names):
                self._put(f"{self._folder}/day={day}/{name}", data)
                return f"day={day}/{name}"
            number += 1

    def _read_feedback(self, day: str) -> pa.Table | None:
        """Read what was said late of rows of a day or after it; None where nothing was."""
        days = [each for each in self._list(_FEEDBACK) if each >= f"day={day}"]
        files = [f"{_FEEDBACK}/{each}/{name}" for each in days for name in self._list(f"{_FEEDBACK}/{each}")]
        tables = [self._feedback_without(file) for file in files if file.endswith(".parquet")]
        return pa.concat_tables(tables) if tables else None

    def _feedback_without(self, file: str, transactions: Sequence[str] = ()) -> pa.Table:
        """Read what was said late, but of some transactions; nothing where the file is not there."""
        try:
            rows = self._checked_rows(file, late_feedback.COLUMNS)
        except FileNotFoundError:
            return SCHEMA.empty_table().select(late_feedback.COLUMNS)
        return rows.filter(pc.invert(pc.is_in(rows["transaction_id"], pa.array(transactions, pa.string()))))

    def _forget_feedback(self, file: str, transaction: str) -> None:
        path = f"{self._folder}/{file}"
        if self._storage.exists(path):
            kept = self._feedback_without(file, [transaction])
            if len(kept):
                self._put(path, _encoded(kept))
            else:
                self._remove(path)
        self._remove(_partial(path))

    def _rows(self, file: str) -> pa.Table:
        return pq.read_table(pa.BufferReader(self._storage.cat_file(f"{self._folder}/{file}")))

    def _read_day(self, folder: str, columns: Sequence[str], pool: ThreadPoolExecutor) -> Iterator[pa.Table]:
        """Read the rows of each sending once, under the name that it has by then: forgetting writes them anew."""
        read: set[str] = set()
        gone: set[str] = set()
        while True:
            files = [name for name in self._list(folder) if name.endswith(".parquet") and name not in gone]
            unread = {file.rpartition("-")[0]: file for file in files if file.rpartition("-")[0] not in read}
            if not unread:
                return
            sendings = list(unread)
            for start in range(0, len(sendings), _READ_AT_ONCE):
                some = sendings[start : start + _READ_AT_ONCE]
                tables = [pool.submit(self._checked_rows, f"{folder}/{unread[each]}", columns) for each in some]
                for sending, table in zip(some, tables, strict=True):
                    try:
                        rows = table.result()
                    except FileNotFoundError:
                        gone.add(unread[sending])
                        continue
                    read.add(sending)
                    yield rows

    def _checked_rows(self, file: str, columns: Sequence[str]) -> pa.Table:
        """Read columns as SCHEMA has them, whatever version of a gateway sent them."""
        data = self._storage.cat_file(f"{self._folder}/{file}")
        schema = pa.schema([SCHEMA.field(column) for column in columns])
        try:
            opened = pq.ParquetFile(pa.BufferReader(data))  # pq.read_table takes longer for a file of an hour
            absent = [field for field in schema if field.name not in opened.schema_arrow.names]
            rows = opened.read([name for name in columns if schema.field(name) not in absent], use_threads=False)
            for field in absent:
                rows = rows.append_column(field, pa.nulls(len(rows), field.type))
            rows = rows.select(columns).cast(schema)
            rows.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            raise RemoteError(
                f"{self.url}/{file} cannot be read as rows of a gateway: {str(error).partition(chr(10))[0]}. "
                "Bring it back from a backup, or delete it."
            ) from None
        return rows

    def _is_whole(self, file: str) -> bool:
        return md5_of_bytes(self._storage.cat_file(f"{self._folder}/{file}")) in file

    def _picture(self, day: str, replica: str, image_id: str) -> str:
        return f"{self._folder}/{_PICTURES}/day={day}/{replica}/{image_id}"

    def _sent(self, folder: str, name: str, with_partial: bool = False) -> list[str]:
        """List the files of rows that were sent by a name, or all of a replica's by its name."""
        begins = (f"{name}-", f".{name}-") if with_partial else f"{name}-"
        return [f"{folder}/{each}" for each in self._list(folder) if each.startswith(begins)]

    def _remove(self, path: str) -> None:
        with suppress(FileNotFoundError):
            self._storage.rm_file(path)

    def _list(self, folder: str) -> list[str]:
        try:
            paths = self._storage.ls(f"{self._folder}/{folder}".rstrip("/"), detail=False)
        except FileNotFoundError:
            return []
        return sorted(path.rstrip("/").rpartition("/")[2] for path in paths)

    def _put(self, path: str, data: bytes) -> None:
        if isinstance(self._storage, LocalFileSystem):
            _write(Path(path), data)
        else:
            self._storage.pipe_file(path, data)
        arrived = self._storage.cat_file(path)
        if len(arrived) != len(data) or md5_of_bytes(arrived) != md5_of_bytes(data):
            raise RemoteError(f"{path} did not receive what was sent ({len(arrived)} of {len(data)} bytes). {_REMEDY}")


def _feedback(day: str, replica: str) -> str:
    return f"{_FEEDBACK}/day={day}/{replica}.parquet"


def _encoded(rows: pa.Table) -> bytes:
    buffer = pa.BufferOutputStream()
    pq.write_table(rows, buffer, compression="zstd")
    data: bytes = buffer.getvalue().to_pybytes()
    return data


def _partial(path: str) -> str:
    """Name what a file is written to before it is renamed."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/.{name}.partial"


def _write(path: Path, data: bytes) -> None:
    """Write a file whole, and wait until it is on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(_partial(str(path)))
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    for folder in (path.parent, path.parent.parent):
        sync_folder(folder)
