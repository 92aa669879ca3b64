"""Folders that a command works in, in the root of the clone; those of a command that was killed go with the next."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

# Held by the process that works in the folder, so that the folder of a dead one is known.
_LOCK = ".lock"
_OLD_SECONDS = 60  # a folder without a lock is not one that was made a moment ago


@contextmanager
def temporary_folder(name: str, is_needed: Callable[[Path], bool] = lambda _: False) -> Iterator[Path]:
    """Give a folder in the root of the clone, and remove those of this name that a killed process left.

    Args:
        name: what it is for; the folder's name begins with it and ends in `.partial`.
        is_needed: whether the folder must outlast the block, as that of a killed process does.
    """
    for dead in left_behind(name):
        remove(dead)
    folder = Path(mkdtemp(dir=".", prefix=f"{name}-", suffix=".partial"))
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield folder
    finally:
        if not is_needed(folder):
            remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder, its read-only folders too."""
    for each, _, _ in os.walk(folder):
        Path(each).chmod(0o700)
    shutil.rmtree(folder)


def left_behind(name: str) -> list[Path]:
    """List the folders of a name that no living process works in."""
    return [folder for folder in sorted(Path().glob(f"{name}-*.partial")) if folder.is_dir() and _is_dead(folder)]


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return time.time() - folder.stat().st_mtime > _OLD_SECONDS
    except BlockingIOError:
        return False
    return True
