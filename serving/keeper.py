"""What happens to the log apart from answers: rows are shipped by the hour, old ones removed, some forgotten.

One thread does all of it, one thing after the other. A request to forget is a file in `forget/`, so that it outlives
a gateway that is killed; whoever has the log obeys it.
"""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

from runtime.errors import RetrainError, is_storage_failure
from runtime.outputs import whole
from serving.archive import Archive
from serving.log import Log
from serving.pictures import Pictures
from serving.transactions import UNDER_WAY, text_of, to_arrow

log = logging.getLogger(__name__)

FORGET = "forget"
OUTCOME = ".outcome"
FORGOTTEN, UNKNOWN = "forgotten", "there is no such transaction"
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 60.0
_HOUR = timedelta(hours=1)
_LARGEST_BATCH = 10_000  # rows of a file: a thousand classes make it 2 MB before compression


class _Batch(NamedTuple):
    number: int
    day: str


class Keeper:
    """What ships, removes and forgets.

    Args:
        folder: of the log.
        database: open in that folder.
        pictures: of the log.
        replica: name of this log among others.
        archive: where rows go; None keeps them here.
        retention_days: after which rows and pictures are removed, here and there; None never.
    """

    def __init__(
        self,
        folder: Path,
        database: Log,
        pictures: Pictures,
        replica: str,
        archive: Archive | None = None,
        retention_days: int | None = None,
    ) -> None:
        self._requests = folder / FORGET
        self._requests.mkdir(exist_ok=True)
        self._log, self._pictures, self._replica = database, pictures, replica
        self._archive, self._retention_days = archive, retention_days
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Keep the log from now on, in a thread."""
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, after what is under way."""
        self._end.set()
        if self._thread:
            self._thread.join()

    def ship(self, now: datetime) -> int:
        """Send what is at least an hour old, whole hours at a time.

        Returns:
            How many rows were sent, each exactly once, whatever ended before.
        """
        if self._archive is None:
            return 0
        before = text_of(now.replace(minute=0, second=0, microsecond=0) - _HOUR)
        num_rows = 0
        while batch := self._log.do(partial(_take, before=before)).result():
            num_rows += self._send(batch, self._archive, now)
        return num_rows

    def remove_old(self, now: datetime) -> None:
        """Remove what was kept for as long as was agreed."""
        if self._retention_days is None:
            return
        day = (now - timedelta(days=self._retention_days)).date().isoformat()
        self._remove_unnamed(self._log.do(partial(_remove_before, day=day), erases=True).result())
        if self._archive:
            self._archive.remove_before(day)

    def forget(self, transaction: str, now: datetime) -> bool:
        """Leave no byte of a transaction, and a note that it was forgotten.

        Returns:
            Whether there was one.
        """
        find = partial(_find, transaction=transaction)
        row = self._log.do(find).result()
        if row and row["batch"] is not None:  # on its way
            self.ship(now)
            row = self._log.do(find).result()
        if row:
            self._forget(row, transaction, now)
        return self._log.do(partial(_is_forgotten, transaction=transaction), erases=True).result()

    def _forget(self, row: sqlite3.Row, transaction: str, now: datetime) -> None:
        if row["file"]:
            changed = Archive(row["place"]).forget(row["file"], transaction, row["image_id"])
            self._log.do(partial(_renamed, old=row["file"], new=changed)).result()
        self._log.do(partial(_delete, transaction=transaction, moment=text_of(now))).result()
        self._remove_unnamed([row["image_id"]])

    def obey(self, now: datetime) -> None:
        """Forget what was asked for."""
        for request in sorted(self._requests.iterdir()):
            if request.suffix:
                continue
            found = self.forget(request.name, now)
            with whole(request.with_suffix(OUTCOME)) as outcome:
                outcome.write_text(FORGOTTEN if found else UNKNOWN)
            request.unlink()

    def _work(self) -> None:
        kept_hour = ""
        while not self._end.is_set():
            now = datetime.now(UTC)
            hour = f"{now:%Y-%m-%d %H}"
            steps = (self.obey, self.ship, self.remove_old) if hour != kept_hour else (self.obey,)
            # All are tried, so that one that fails does not keep the others waiting.
            done = [self._try(step, now) for step in steps]
            if all(done):
                kept_hour = hour
            else:
                self._end.wait(_RETRY_SECONDS)
            self._end.wait(_POLL_SECONDS)

    def _try(self, step: Callable[[datetime], object], now: datetime) -> bool:
        try:
            step(now)
        except Exception as error:
            if not isinstance(error, RetrainError | sqlite3.Error) and not is_storage_failure(error):
                log.exception("gateway: a bug of ours; the rest goes on")
            log.warning("gateway: %s failed (%s); tried again in a minute", step.__name__, error)
            return False
        return True

    def _send(self, batch: _Batch, archive: Archive, now: datetime) -> int:
        rows = self._log.do(partial(_rows_of, batch=batch.number)).result()
        for image_id in sorted({row["image_id"] for row in rows} - {None}):
            archive.send_picture(self._pictures.path(image_id).read_bytes(), batch.day, image_id)
        file = archive.send_rows(to_arrow(rows), batch.day, f"{self._replica}-{batch.number:06d}")
        done = partial(_shipped, batch=batch.number, place=archive.url, file=file, moment=text_of(now))
        self._log.do(done).result()
        self._remove_unnamed(row["image_id"] for row in rows)
        log.info("gateway: %d rows of %s are %s/%s", len(rows), batch.day, archive.url, file)
        return len(rows)

    def _remove_unnamed(self, images: Iterable[str | None]) -> None:
        """Remove pictures that no row names: on the log's thread, so that none is written meanwhile."""
        for image_id in sorted(filter(None, {*images})):
            self._log.do(partial(_remove_if_unnamed, image_id=image_id, pictures=self._pictures)).result()


def ask_to_forget(folder: Path, transaction: str, seconds: float) -> str | None:
    """Ask the gateway that has the log in a folder, and wait.

    Returns:
        What it says; None if it says nothing within these seconds.
    """
    request = folder / FORGET / transaction
    request.touch()
    outcome, end = request.with_suffix(OUTCOME), time.monotonic() + seconds
    while time.monotonic() < end:
        if outcome.exists():
            words = outcome.read_text()
            outcome.unlink()
            return words
        time.sleep(0.1)
    return None


def _take(connection: sqlite3.Connection, before: str) -> _Batch | None:
    """Give the batch that was begun, or begin one: rows of one day. From then on they do not change."""
    begun = connection.execute("SELECT number, day FROM batches WHERE shipped_at IS NULL").fetchone()
    if begun:
        return _Batch(begun["number"], begun["day"])
    free = f"batch IS NULL AND status != '{UNDER_WAY}' AND received_at < ?"
    earliest = f"SELECT min(received_at) FROM transactions WHERE {free}"  # noqa: S608
    (first,) = connection.execute(earliest, [before]).fetchone()
    if first is None:
        return None
    number = 1 + (connection.execute("SELECT max(number) FROM batches").fetchone()[0] or 0)
    day = first[:10]
    connection.execute("INSERT INTO batches VALUES (?, ?, NULL)", [number, day])
    chosen = f"SELECT transaction_id FROM transactions WHERE {free} AND received_at < ? ORDER BY 1 LIMIT ?"  # noqa: S608
    connection.execute(
        f"UPDATE transactions SET batch = ? WHERE transaction_id IN ({chosen})",  # noqa: S608
        [number, before, f"{day}U", _LARGEST_BATCH],  # U: behind the T of any time of that day
    )
    return _Batch(number, day)


def _rows_of(connection: sqlite3.Connection, batch: int) -> list[sqlite3.Row]:
    return connection.execute("SELECT * FROM transactions WHERE batch = ? ORDER BY transaction_id", [batch]).fetchall()


def _shipped(connection: sqlite3.Connection, batch: int, place: str, file: str, moment: str) -> None:
    connection.execute(
        "INSERT INTO shipped SELECT transaction_id, image_id, ?, ? FROM transactions WHERE batch = ?",
        [place, file, batch],
    )
    connection.execute("DELETE FROM transactions WHERE batch = ?", [batch])
    connection.execute("UPDATE batches SET shipped_at = ? WHERE number = ?", [moment, batch])


def _remove_before(connection: sqlite3.Connection, day: str) -> list[str]:
    """Delete what was received before a day; give the pictures that these rows named."""
    old = "FROM transactions WHERE received_at < ? AND batch IS NULL"
    images = [row[0] for row in connection.execute(f"SELECT DISTINCT image_id {old}", [day])]
    connection.execute(f"DELETE {old}", [day])
    connection.execute("DELETE FROM shipped WHERE substr(file, 5, 10) < ?", [day])  # day=2026-11-27/...
    return images


def _find(connection: sqlite3.Connection, transaction: str) -> sqlite3.Row | None:
    for select in (
        "SELECT image_id, batch, NULL AS place, NULL AS file FROM transactions WHERE transaction_id = ?",
        "SELECT image_id, NULL AS batch, place, file FROM shipped WHERE transaction_id = ?",
    ):
        found: sqlite3.Row | None = connection.execute(select, [transaction]).fetchone()
        if found:
            return found
    return None


def _renamed(connection: sqlite3.Connection, old: str, new: str) -> None:
    connection.execute("UPDATE shipped SET file = ? WHERE file = ?", [new, old])


def _delete(connection: sqlite3.Connection, transaction: str, moment: str) -> None:
    for table in ("transactions", "shipped"):
        connection.execute(f"DELETE FROM {table} WHERE transaction_id = ?", [transaction])  # noqa: S608
    connection.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", [transaction, moment])


def _is_forgotten(connection: sqlite3.Connection, transaction: str) -> bool:
    found = connection.execute("SELECT 1 FROM forgotten WHERE transaction_id = ?", [transaction]).fetchone()
    return found is not None


def _remove_if_unnamed(connection: sqlite3.Connection, image_id: str, pictures: Pictures) -> None:
    if not connection.execute("SELECT 1 FROM transactions WHERE image_id = ?", [image_id]).fetchone():
        pictures.remove(image_id)
