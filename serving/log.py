"""The gateway's log: one SQLite database, one thread that has its only connection, and nothing lost once it is said.

What is asked for while a commit is under way shares the next one, so that many requests wait for one flush of the disk.
"""

import contextlib
import fcntl
import queue
import secrets
import socket
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from runtime.errors import InputError
from serving import late_feedback
from serving.transactions import ABORTED, CREATE, UNDER_WAY, add_columns, text_of

NAME = "log.db"
LOCK = "lock"
_MODE, _FOLDER_MODE = 0o600, 0o700
_LARGEST_BATCH = 256
_PROBE_BYTES = 2**14  # the scores of 8,000 classes
_REMEDY = "Choose another folder by RETRAIN_GATEWAY, or end what holds this one."
_PATIENCE = "busy_timeout = 5000"  # milliseconds, for another program that has the database's lock
Result = TypeVar("Result")
_TABLES = (
    CREATE,
    "CREATE INDEX IF NOT EXISTS by_picture ON transactions (image_id)",
    "CREATE INDEX IF NOT EXISTS by_time ON transactions (received_at)",
    # What identifies this log among those of other replicas, for as long as its folder lasts.
    "CREATE TABLE IF NOT EXISTS replica (name TEXT NOT NULL)",
    # Rows that are at the other place: in which file, and of which picture.
    "CREATE TABLE IF NOT EXISTS shipped (transaction_id TEXT PRIMARY KEY, image_id TEXT, place TEXT, file TEXT)",
    "CREATE TABLE IF NOT EXISTS batches (number INTEGER PRIMARY KEY, day TEXT, shipped_at TEXT, place TEXT)",
    late_feedback.CREATE,
    # Pictures of rows that were deleted: they are removed next, unless another row names them.
    "CREATE TABLE IF NOT EXISTS unnamed (image_id TEXT PRIMARY KEY)",
    # What is written to see whether the log can be, and emptied again.
    "CREATE TABLE IF NOT EXISTS probe (room BLOB)",
    "CREATE TABLE IF NOT EXISTS forgotten (transaction_id TEXT PRIMARY KEY, forgotten_at TEXT)",
)


class _Task(NamedTuple):
    work: Callable[[sqlite3.Connection], Any]
    future: "Future[Any]"
    erases: bool = False


class BusyError(InputError):
    """Another process has the log."""


class Log:
    """The log in a folder. No two processes have it at once: SQLite before 3.51.3 may lose rows of two connections.

    Args:
        folder: is made. `log.db` is in it.

    Raises:
        BusyError: another process has the log.
        InputError: it cannot be opened.
    """

    def __init__(self, folder: Path) -> None:
        _make_private(folder)
        self._lock = (folder / LOCK).open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise BusyError(f"{folder} is the log of a gateway that runs. {_REMEDY}") from None
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, args=(folder / NAME, opened), name="log", daemon=True)
        self._thread.start()
        try:
            opened.result()
        except sqlite3.Error as error:
            self._lock.close()
            raise InputError(f"{folder / NAME} cannot be opened as a log ({error}). {_REMEDY}") from None

    def do(self, work: Callable[[sqlite3.Connection], Result], erases: bool = False) -> "Future[Result]":
        """Do something in a transaction of the database, after all that was asked for before.

        Args:
            work: of the connection.
            erases: no byte of what it deletes may stay in the write-ahead log either.

        Returns:
            Its result, once it is on the disk; or what it raised, and then nothing of it is.
        """
        future: Future[Result] = Future()
        self._tasks.put(_Task(work, future, erases))
        return future

    def replica(self) -> str:
        """Name this log among those of other replicas."""
        return self.do(_replica).result()

    def close(self) -> None:
        """End, after all that was asked for."""
        self._tasks.put(None)
        self._thread.join()
        self._lock.close()

    def _work(self, path: Path, opened: "Future[None]") -> None:
        try:
            connection = _open(path)
        except sqlite3.Error as error:
            opened.set_exception(error)
            return
        opened.set_result(None)
        with contextlib.closing(connection):
            while tasks := self._next():
                _commit(connection, tasks)

    def _next(self) -> list[_Task]:
        """Wait for tasks; none where the log is to be closed."""
        tasks: list[_Task] = []
        task = self._tasks.get()
        while task is not None:
            tasks.append(task)
            if len(tasks) == _LARGEST_BATCH:
                return tasks
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                return tasks
        if tasks:
            self._tasks.put(None)
        return tasks


def probe(connection: sqlite3.Connection) -> None:
    """Write as much as a large row, and remove it, to see whether a row can be written."""
    connection.execute("INSERT INTO probe VALUES (zeroblob(?))", [_PROBE_BYTES])
    connection.execute("DELETE FROM probe")


def _make_private(folder: Path) -> None:
    """Make a folder, and let nobody else look into it, or into the log: they hold what people sent."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(PermissionError):  # a volume that belongs to somebody else, and was given to us
        folder.chmod(_FOLDER_MODE)
    # SQLite gives its other files the mode of the database.
    for name in (LOCK, NAME, f"{NAME}-wal", f"{NAME}-shm"):
        if name in (LOCK, NAME):
            (folder / name).touch(_MODE)
        with contextlib.suppress(FileNotFoundError):
            (folder / name).chmod(_MODE)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for setting in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON", _PATIENCE):
        connection.execute(f"PRAGMA {setting}")
    connection.execute("BEGIN IMMEDIATE")
    for table in _TABLES:
        connection.execute(table)
    if "place" not in {row["name"] for row in connection.execute("PRAGMA table_info(batches)")}:
        connection.execute("ALTER TABLE batches ADD COLUMN place TEXT")  # of before it was noted
    add_columns(connection)
    connection.execute(
        "UPDATE transactions SET status = ?, answered_at = ?, error = 'the gateway ended' WHERE status = ?",
        (ABORTED, text_of(datetime.now(UTC)), UNDER_WAY),
    )
    connection.execute("COMMIT")
    return connection


def _commit(connection: sqlite3.Connection, tasks: list[_Task]) -> None:
    """Do tasks in one transaction; what one of them raises undoes that one alone."""
    outcomes: list[tuple[Any, BaseException | None]] = []
    try:
        connection.execute("BEGIN IMMEDIATE")
        for task in tasks:
            outcomes.append(_do(connection, task.work))
        connection.execute("COMMIT")
    except Exception as error:  # whatever it is, those who wait are told, and the thread goes on
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        outcomes = [(None, error)] * len(tasks)
    for number, task in enumerate(tasks):
        if task.erases and outcomes[number][1] is None:
            outcomes[number] = _erase(connection, outcomes[number][0])
    for task, (result, problem) in zip(tasks, outcomes, strict=True):
        if not task.future.set_running_or_notify_cancel():
            continue  # whoever asked is gone
        if problem is not None:
            task.future.set_exception(problem)
        else:
            task.future.set_result(result)


def _erase(connection: sqlite3.Connection, result: Any) -> tuple[Any, BaseException | None]:
    """Empty the write-ahead log; deleted rows are overwritten in the database (secure_delete)."""
    try:
        connection.execute("PRAGMA busy_timeout = 0")  # all answers would wait for whoever reads
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        return None, error
    finally:
        connection.execute(f"PRAGMA {_PATIENCE}")
    words = "another program reads the log, so that its old pages cannot be erased yet"
    return (None, sqlite3.OperationalError(words)) if busy else (result, None)


def _do(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], Any]) -> tuple[Any, BaseException | None]:
    connection.execute("SAVEPOINT task")
    try:
        result = work(connection)
    except Exception as error:  # belongs to whoever asked
        if not connection.in_transaction:  # such as a full disk, for which SQLite undoes all of it
            raise
        connection.execute("ROLLBACK TO task")
        connection.execute("RELEASE task")
        return None, error
    connection.execute("RELEASE task")
    return result, None


def _replica(connection: sqlite3.Connection) -> str:
    """Name this log among those of other replicas: by the host, and something that no other log has."""
    found = connection.execute("SELECT name FROM replica").fetchone()
    if found:
        return str(found[0])
    name = f"{socket.gethostname()[:40]}_{secrets.token_hex(4)}".replace("-", "_").replace("/", "_")
    connection.execute("INSERT INTO replica VALUES (?)", [name])
    return name
