"""Folders that a command works in, in the root of the clone; those of a command that was killed go with the next."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

# Held by the process that works in the folder, so that the folder of a dead one is known.
_LOCK = ".lock"
_OLD_SECONDS = 60  # a folder without a lock is not one that was made a moment ago


@contextmanager
def temporary_folder(name: str) -> Iterator[Path]:
    """Give a folder in the root of the clone, and remove those of this name that a killed process left.

    Args:
        name: what it is for; the folder's name begins with it and ends in `.partial`.
    """
    for dead in left_behind(name):
        shutil.rmtree(dead)
    with (
        TemporaryDirectory(dir=".", prefix=f"{name}-", suffix=".partial") as folder,
        Path(folder, _LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


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
