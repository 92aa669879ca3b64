"""What happens to the log apart from answers: rows are shipped by the hour, old ones removed, some forgotten.

One thread does all of it, one thing after the other. A request to forget is a file in `forget/`, so that it outlives
a gateway that is killed; whoever has the log obeys it.
"""

import itertools
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from runtime.errors import InputError, RemoteError, RetrainError, is_storage_failure
from runtime.outputs import whole
from serving import late_feedback
from serving.archive import Archive
from serving.clock import MACHINE, Clock
from serving.log import Log
from serving.pictures import Pictures
from serving.transactions import ABORTED, UNDER_WAY, text_of, to_arrow

log = logging.getLogger(__name__)

FORGET = "forget"
OUTCOME = ".outcome"
FORGOTTEN, UNKNOWN = "forgotten", "there is no such transaction"
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 60.0
_HOUR = timedelta(hours=1)
_DAY_SHIPPED = "substr(file, 5, 10)"  # day=2026-11-27/...
_LARGEST_BATCH = 10_000  # rows of a file: the scores of a thousand classes make it 40 MB before compression


class _Batch(NamedTuple):
    number: int
    day: str
    place: str | None  # where it goes, whatever was asked for since; None: begun before this was noted


class Keeper:
    """What ships, removes and forgets.

    Args:
        folder: of the log.
        database: open in that folder.
        pictures: of the log.
        replica: name of this log among others.
        archive: where rows go; None keeps them here.
        retention_days: after which rows and pictures are removed, here and there; None never.
        clock: by which the hours pass.
    """

    def __init__(
        self,
        folder: Path,
        database: Log,
        pictures: Pictures,
        replica: str,
        archive: Archive | None = None,
        retention_days: int | None = None,
        clock: Clock = MACHINE,
    ) -> None:
        self._requests = folder / FORGET
        self._requests.mkdir(exist_ok=True)
        self._log, self._pictures, self._replica = database, pictures, replica
        self._archive, self._retention_days, self._clock = archive, retention_days, clock
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
        """Send what is at least an hour old, whole hours at a time. What was begun goes to where it was begun.

        It stops between two pictures or files where the keeper is to end, and goes on when it is started again.

        Returns:
            How many rows were sent, each exactly once, whatever ended before.

        Raises:
            InputError: it is not known where something was begun to be sent to.
            RemoteError: what arrived is not what was sent, or a place that had rows before is not there.
        """
        place = self._archive.url if self._archive else None
        before = text_of(now.replace(minute=0, second=0, microsecond=0) - _HOUR)
        num_rows = 0
        while not self._end.is_set() and (batch := self._log.do(partial(_take, before=before, place=place)).result()):
            num_rows += self._send(batch, self._place(batch.place), now)
        return num_rows

    def ship_feedback(self, _now: datetime) -> None:
        """Send what users said of rows that were shipped before, to where these are; all places are tried."""
        problems = []
        rows = self._log.do(late_feedback.waiting).result()
        for (url, day), group in itertools.groupby(rows, itemgetter("place", "day")):
            said = list(group)
            try:
                place = self._place(url)
                place.require_there()
                place.add_feedback(to_arrow(said, late_feedback.COLUMNS), day, self._replica)
                self._log.do(partial(late_feedback.delete_sent, rows=said)).result()
            except Exception as error:
                problems.append(error)
        if problems:
            raise problems[0]

    def unshipped(self) -> tuple[int, float]:
        """Count the rows that are here alone, and say how old the oldest of them is, in seconds; 0 of none.

        Raises:
            sqlite3.Error: the log cannot be read now.
        """
        num_rows, oldest = self._log.do(_here).result()
        age = self._clock.now() - datetime.fromisoformat(oldest) if oldest else timedelta()
        return num_rows, age.total_seconds()

    def remove_old(self, now: datetime) -> None:
        """Remove what was kept for as long as was agreed."""
        if self._retention_days is None:
            return
        day = (now - timedelta(days=self._retention_days)).date().isoformat()
        try:
            self._log.do(partial(_remove_before, day=day)).result()
            self._remove_unnamed()
        finally:  # neither waits until the other can be done
            self._remove_there(day)

    def end_lost(self, now: datetime) -> None:
        """Mark rows as aborted that have been under way for more than an hour: their end could not be logged."""
        self._log.do(partial(_abort, before=text_of(now - _HOUR))).result()

    def sweep(self, _now: datetime) -> None:
        """Remove pictures that no row names: a row could not be written, or the gateway ended before it was."""
        there = self._pictures.all_ids()
        for image_id in sorted(there - self._log.do(_named).result()):
            self._log.do(partial(_remove_if_unnamed, image_id=image_id, pictures=self._pictures)).result()

    def forget(self, transaction: str, now: datetime) -> bool:
        """Leave no byte of a transaction, and a note that it was forgotten.

        Returns:
            Whether there was one.

        Raises:
            RemoteError: the place that it was shipped to is not there, or could not be used.
        """
        find = partial(_find, transaction=transaction)
        row = self._log.do(find).result()
        if row and row["batch"] is not None:  # on its way
            self.ship(now)
            row = self._log.do(find).result()
            if row and row["batch"] is not None:
                raise RemoteError(
                    "the gateway ends before what was begun is shipped; it is forgotten after its next start"
                )
        if row:
            self._forget(row, transaction, now)
        self._remove_unnamed()  # also where what was begun ended before
        return self._log.do(partial(_is_forgotten, transaction=transaction)).result()

    def _forget(self, row: sqlite3.Row, transaction: str, now: datetime) -> None:
        if row["file"]:
            changed = self._place(row["place"]).forget(row["file"], transaction, self._replica, row["image_id"])
            self._log.do(partial(_renamed, old=row["file"], new=changed)).result()
        self._log.do(partial(_delete, transaction=transaction, moment=text_of(now))).result()

    def obey(self, now: datetime) -> None:
        """Forget what was asked for; what cannot be forgotten yet keeps nothing else waiting."""
        problems = []
        for request in sorted(self._requests.iterdir()):
            if request.suffix:
                continue
            try:
                found = self.forget(request.name, now)
            except Exception as error:
                problems.append(error)
                continue
            with whole(request.with_suffix(OUTCOME)) as outcome:
                outcome.write_text(FORGOTTEN if found else UNKNOWN)
            request.unlink()
        if problems:
            raise problems[0]

    def _place(self, url: str | None) -> Archive:
        if self._archive and url in (None, self._archive.url):
            return self._archive
        if url is None:
            raise InputError(
                "rows were begun to be shipped, and where to is not known. Start the gateway once with the --ship-to "
                "that it had then."
            )
        return Archive(url)

    def _remove_there(self, day: str) -> None:
        """Remove the rows and pictures of days before one, wherever they were shipped to; all places are tried."""
        noted = set(self._log.do(partial(_places_before, day=day)).result())
        problems = []
        for url in sorted(noted | ({self._archive.url} if self._archive else set())):
            try:
                place = self._place(url)
                if url in noted:
                    place.require_there()
                place.remove_before(day)
                self._log.do(partial(_remove_shipped_before, day=day, place=url), erases=True).result()
            except Exception as error:
                problems.append(error)
        if problems:
            raise problems[0]

    def _work(self) -> None:
        kept_hour = ""
        while not self._end.is_set():
            now = self._clock.now()
            hour = f"{now:%Y-%m-%d %H}"
            hourly = (self.ship, self.ship_feedback, self.remove_old, self.end_lost, self.sweep)
            steps = (self.obey, *hourly) if hour != kept_hour else (self.obey,)
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
            reason = str(error) or type(error).__name__
            log.warning("gateway: %s failed (%s); tried again in a minute", step.__name__, reason)
            return False
        return True

    def _send(self, batch: _Batch, archive: Archive, now: datetime) -> int:
        if self._log.do(partial(_has_rows_of_ours, place=archive.url)).result():
            archive.require_there()  # and not the empty folder that a disk is to be mounted at
        archive.mark()
        rows = self._log.do(partial(_rows_of, batch=batch.number)).result()
        for image_id in sorted({row["image_id"] for row in rows} - {None}):
            if self._end.is_set():
                return 0
            self._send_picture(batch.day, image_id, archive)
        files = archive.send_rows(to_arrow(rows), batch.day, self._replica, batch.number)
        done = partial(_shipped, batch=batch.number, place=archive.url, files=files, moment=text_of(now))
        self._log.do(done).result()
        self._remove_unnamed()
        names = ", ".join(sorted(set(files.values())))
        log.info("gateway: %d rows of %s are in %s: %s", len(rows), batch.day, archive.url, names)
        return len(rows)

    def _send_picture(self, day: str, image_id: str, archive: Archive) -> None:
        try:
            data = self._pictures.path(image_id).read_bytes()
        except FileNotFoundError:  # its row is shipped all the same, and so are all the others
            log.warning("gateway: the picture %s is gone; its row is shipped without it", image_id)
            return
        archive.send_picture(data, day, self._replica, image_id)

    def _remove_unnamed(self) -> None:
        """Remove the pictures of rows that are gone, and what the write-ahead log has of these rows.

        On the log's thread, so that none is written meanwhile. They stand in the log until they are removed.
        """
        for image_id in self._log.do(_unnamed).result():
            self._log.do(partial(_remove_if_unnamed, image_id=image_id, pictures=self._pictures)).result()
        self._log.do(lambda _: None, erases=True).result()


def ask_to_forget(folder: Path, transaction: str, seconds: float) -> str | None:
    """Ask the gateway that has the log in a folder, and wait.

    Returns:
        What it says; None if it says nothing within these seconds.
    """
    request = folder / FORGET / transaction
    outcome, end = request.with_suffix(OUTCOME), time.monotonic() + seconds
    outcome.unlink(missing_ok=True)  # of somebody who did not wait
    request.touch()
    while time.monotonic() < end:
        if outcome.exists():
            words = outcome.read_text()
            outcome.unlink()
            return words
        time.sleep(0.1)
    return None


def _take(connection: sqlite3.Connection, before: str, place: str | None) -> _Batch | None:
    """Give the batch that was begun, or begin one: rows of one day. From then on they do not change."""
    begun = connection.execute("SELECT number, day, place FROM batches WHERE shipped_at IS NULL").fetchone()
    if begun:
        return _Batch(*begun)
    free = f"batch IS NULL AND status != '{UNDER_WAY}' AND received_at < ?"
    earliest = f"SELECT min(received_at) FROM transactions WHERE {free}"  # noqa: S608
    (first,) = connection.execute(earliest, [before]).fetchone()
    if first is None or place is None:
        return None
    number = 1 + (connection.execute("SELECT max(number) FROM batches").fetchone()[0] or 0)
    day = first[:10]
    connection.execute("INSERT INTO batches (number, day, place) VALUES (?, ?, ?)", [number, day, place])
    chosen = f"SELECT transaction_id FROM transactions WHERE {free} AND received_at < ? ORDER BY 1 LIMIT ?"  # noqa: S608
    connection.execute(
        f"UPDATE transactions SET batch = ? WHERE transaction_id IN ({chosen})",  # noqa: S608
        [number, before, f"{day}U", _LARGEST_BATCH],  # U: behind the T of any time of that day
    )
    return _Batch(number, day, place)


def _here(connection: sqlite3.Connection) -> tuple[int, str | None]:
    num_rows, oldest = connection.execute("SELECT count(*), min(received_at) FROM transactions").fetchone()
    return num_rows, oldest


def _rows_of(connection: sqlite3.Connection, batch: int) -> list[sqlite3.Row]:
    return connection.execute("SELECT * FROM transactions WHERE batch = ? ORDER BY transaction_id", [batch]).fetchall()


def _has_rows_of_ours(connection: sqlite3.Connection, place: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM shipped WHERE place = ? LIMIT 1", [place]).fetchone())


def _shipped(connection: sqlite3.Connection, batch: int, place: str, files: Mapping[str, str], moment: str) -> None:
    connection.executemany(
        "INSERT INTO shipped SELECT transaction_id, image_id, ?, ? FROM transactions WHERE transaction_id = ?",
        [(place, file, transaction) for transaction, file in files.items()],
    )
    _delete_rows(connection, "batch = ?", batch)
    connection.execute("UPDATE batches SET shipped_at = ? WHERE number = ?", [moment, batch])


def _remove_before(connection: sqlite3.Connection, day: str) -> None:
    _delete_rows(connection, "received_at < ? AND batch IS NULL", day)


def _delete_rows(connection: sqlite3.Connection, where: str, value: object) -> None:
    """Delete rows, and note their pictures, which are removed after that."""
    named = f"SELECT DISTINCT image_id FROM transactions WHERE {where} AND image_id IS NOT NULL"  # noqa: S608
    connection.execute(f"INSERT OR IGNORE INTO unnamed {named}", [value])
    connection.execute(f"DELETE FROM transactions WHERE {where}", [value])  # noqa: S608


def _places_before(connection: sqlite3.Connection, day: str) -> list[str]:
    found = connection.execute(f"SELECT DISTINCT place FROM shipped WHERE {_DAY_SHIPPED} < ?", [day])  # noqa: S608
    return [row[0] for row in found]


def _remove_shipped_before(connection: sqlite3.Connection, day: str, place: str) -> None:
    old = f"FROM shipped WHERE {_DAY_SHIPPED} < ? AND place = ?"
    of_old = f"transaction_id IN (SELECT transaction_id {old})"
    connection.execute(f"DELETE FROM late_feedback WHERE {of_old}", [day, place])  # noqa: S608
    connection.execute(f"DELETE {old}", [day, place])


def _abort(connection: sqlite3.Connection, before: str) -> None:
    connection.execute(
        "UPDATE transactions SET status = ?, error = ? WHERE status = ? AND received_at < ?",
        [ABORTED, "its end could not be logged", UNDER_WAY, before],
    )


def _find(connection: sqlite3.Connection, transaction: str) -> sqlite3.Row | None:
    for select in (
        "SELECT image_id, batch, NULL AS place, NULL AS file FROM transactions WHERE transaction_id = ?",
        "SELECT image_id, NULL AS batch, place, file FROM shipped WHERE transaction_id = ?",
    ):
        found: sqlite3.Row | None = connection.execute(select, [transaction]).fetchone()
        if found:
            return found
    return None


def _renamed(connection: sqlite3.Connection, old: str, new: str | None) -> None:
    connection.execute("UPDATE shipped SET file = ? WHERE file = ?", [new or old, old])


def _delete(connection: sqlite3.Connection, transaction: str, moment: str) -> None:
    _delete_rows(connection, "transaction_id = ?", transaction)
    for table in ("shipped", "late_feedback"):
        connection.execute(f"DELETE FROM {table} WHERE transaction_id = ?", [transaction])  # noqa: S608
    connection.execute("INSERT OR REPLACE INTO forgotten VALUES (?, ?)", [transaction, moment])


def _is_forgotten(connection: sqlite3.Connection, transaction: str) -> bool:
    found = connection.execute("SELECT 1 FROM forgotten WHERE transaction_id = ?", [transaction]).fetchone()
    return found is not None


def _named(connection: sqlite3.Connection) -> set[str]:
    return {row[0] for row in connection.execute("SELECT DISTINCT image_id FROM transactions")}


def _unnamed(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT image_id FROM unnamed ORDER BY 1")]


def _remove_if_unnamed(connection: sqlite3.Connection, image_id: str, pictures: Pictures) -> None:
    """Remove a picture that no row names, or find that one names it again. One that a row will name stays noted."""
    named = connection.execute("SELECT 1 FROM transactions WHERE image_id = ?", [image_id]).fetchone()
    if named or pictures.remove(image_id):
        connection.execute("DELETE FROM unnamed WHERE image_id = ?", [image_id])
