"""Read transactions and their pictures where they are: in a gateway's log, or where gateways ship them to."""

import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import fsspec
import pyarrow as pa

from runtime.errors import InputError
from serving.archive import Archive
from serving.log import NAME
from serving.pictures import Pictures
from serving.transactions import SCHEMA, columns_of, to_arrow

_KEPT = """
    SELECT transaction_id FROM transactions WHERE transaction_id IN (SELECT value FROM json_each(?1))
    UNION SELECT transaction_id FROM shipped WHERE transaction_id IN (SELECT value FROM json_each(?1))"""
_ROWS_AT_ONCE = 20_000
_ANYTHING = "SELECT 1 FROM transactions UNION ALL SELECT 1 FROM shipped UNION ALL SELECT 1 FROM forgotten LIMIT 1"


class Place(Protocol):
    """Where transactions are."""

    def rows(self, day: str, columns: Sequence[str]) -> pa.Table:
        """Read what was received on a day (ISO 8601, UTC) or after it."""

    def batches(self, day: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read the same, a part at a time: a year's transactions need not fit into memory."""

    def picture(self, day: str, replica: str, image_id: str) -> bytes | None:
        """Read a picture of a row; None where it is not there."""

    def forgotten(self, transactions: Collection[str], day: str) -> set[str]:
        """Say which of the transactions that were there, received on a day or after it, must not be kept any more.

        Raises:
            RetrainError: the place is not there, or holds nothing at all: then it is more likely another one.
        """


def open_place(place: str) -> Place:
    """Open a folder of a gateway's log, or a place that gateways ship to.

    Raises:
        InputError: fsspec knows no such place.
    """
    return LogPlace(Path(place)) if (Path(place) / NAME).is_file() else ArchivePlace(place)


def normal(place: str) -> str:
    """Write a place always in the same way: `az://logs` for `az://logs/` too, and of a folder its absolute path."""
    protocol, path = fsspec.core.split_protocol(place)
    return str(Path(path).resolve()) if protocol in (None, "file", "local") else place.rstrip("/")


class LogPlace:
    """The folder of a gateway's log. The gateway may run.

    Args:
        folder: of the log.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def rows(self, day: str, columns: Sequence[str]) -> pa.Table:
        """Read what was received on a day (ISO 8601, UTC) or after it."""
        return pa.concat_tables([SCHEMA.empty_table().select(columns), *self.batches(day, columns)])

    def batches(self, day: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read the same, a part at a time; all parts are of one moment, also while a gateway writes."""
        with self._opened() as connection:
            there = columns_of(connection)
            names = ", ".join(name if name in there else f"NULL AS {name}" for name in columns)
            query = f"SELECT {names} FROM transactions WHERE received_at >= ?"  # noqa: S608
            found = connection.execute(query, [day])
            while rows := found.fetchmany(_ROWS_AT_ONCE):
                yield to_arrow(rows, columns)

    def picture(self, day: str, replica: str, image_id: str) -> bytes | None:
        """Read a picture; None where it is not there."""
        try:
            return Pictures.place_of(self._folder / "pictures", image_id).read_bytes()
        except FileNotFoundError:
            return None

    def forgotten(self, transactions: Collection[str], day: str) -> set[str]:
        """Say which were forgotten, or kept for as long as was agreed. What was shipped is kept elsewhere."""
        if not self._ask(_ANYTHING, []):
            raise InputError(
                f"{self._folder / NAME} holds nothing at all, though answers were fetched from there. If they were "
                "removed there, delete what was fetched too; else name the log that they came from."
            )
        return set(transactions) - {row[0] for row in self._ask(_KEPT, [json.dumps(list(transactions))])}

    def _ask(self, query: str, values: list[str]) -> list[sqlite3.Row]:
        with self._opened() as connection:
            return connection.execute(query, values).fetchall()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        uri = f"{(self._folder / NAME).absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(uri, uri=True)) as connection:
                connection.row_factory = sqlite3.Row
                yield connection
        except sqlite3.Error as error:
            raise InputError(f"{self._folder / NAME} cannot be read as a gateway's log: {error}.") from None


class ArchivePlace:
    """Where gateways ship to.

    Args:
        url: that fsspec knows.
    """

    def __init__(self, url: str) -> None:
        self._archive = Archive(url)

    def rows(self, day: str, columns: Sequence[str]) -> pa.Table:
        """Read what was received on a day (ISO 8601, UTC) or after it."""
        return self._archive.read_rows(day, columns)

    def batches(self, day: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Read the same, a file at a time."""
        return self._archive.read_files(day, columns)

    def picture(self, day: str, replica: str, image_id: str) -> bytes | None:
        """Read a picture; None where it is not there."""
        return self._archive.read_picture(day, replica, image_id)

    def forgotten(self, transactions: Collection[str], day: str) -> set[str]:
        """Say which are not there any more: they were forgotten, or kept for as long as was agreed."""
        self._archive.require_there()
        return set(transactions) - set(self._archive.read_rows(day, ["transaction_id"])["transaction_id"].to_pylist())
