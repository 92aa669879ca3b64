"""A file that people, Git and several desks change: known by its signature, locked between desks, replaced whole."""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runtime.outputs import sync_folder

LOCKS = ".dvc/tmp/retrain/desk"
ABSENT = (0, 0, 0)  # the signature of a file that is not there
_TICK = timedelta(milliseconds=1)
# Two of a person's actions never share an instant, but a time that somebody typed wrongly is not followed this far.
_FOLLOWED = timedelta(hours=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Keep other desks away from a file.

    Args:
        lock: path of a file of its own, which is made.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def signature(path: Path) -> tuple[int, ...]:
    """Give what differs when a file was changed; ABSENT where there is none."""
    try:
        return signature_of(path.stat())
    except FileNotFoundError:
        return ABSENT


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """Give what `signature` gives, of a file's status."""
    return status.st_ino, status.st_size, status.st_mtime_ns


def replace(path: Path, content: bytes) -> tuple[int, ...]:
    """Replace a file, and wait until it is on the disk.

    Returns:
        Its signature as it was written, whatever became of it since.
    """
    # Hidden, so that a stage which reads the folder meanwhile passes over it.
    partial = partial_of(path)
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        written = signature_of(os.fstat(file.fileno()))
    partial.replace(path)
    sync_folder(path.parent)
    return written


def partial_of(path: Path) -> Path:
    """Name what a desk that was killed may have left of replacing a file."""
    return path.with_name(f".{path.name}.partial")


def next_instant(earlier: Iterable[datetime], now: datetime) -> datetime:
    """Give the present, or the millisecond after the last of the earlier times; one that is far ahead does not count.

    Args:
        earlier: times of a person's actions.
        now: the present, with a time zone.
    """
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    last = max((time for time in earlier if time - now < _FOLLOWED), default=_LONG_AGO)
    return max(now, last + _TICK)
