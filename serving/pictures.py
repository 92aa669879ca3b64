"""Pictures by their content: `aa/<image_id>`, on the disk before anybody is told so."""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from runtime.digest import md5_of_bytes
from runtime.outputs import sync_folder

_MODE = 0o600  # people's photos
_PARTIAL = ".partial"
_PROBE_BYTES = 2**20  # a photo


class Pictures:
    """The folder of pictures of a log.

    Args:
        folder: is made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._in_use: Counter[str] = Counter()
        self._lock = threading.Lock()
        for number in range(256):
            (folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"*/*{_PARTIAL}"):
            _erase(leftover)
        for each in (folder, folder.parent):
            sync_folder(each)

    def path(self, image_id: str) -> Path:
        """Say where a picture is, or would be."""
        return self.place_of(self._folder, image_id)

    @staticmethod
    def place_of(folder: Path, image_id: str) -> Path:
        """Say where a picture is, or would be, in a folder of pictures."""
        return folder / image_id[:2] / image_id

    def all_ids(self) -> set[str]:
        """List the pictures that are there."""
        return {path.name for path in self._folder.glob("??/*") if path.suffix != _PARTIAL}

    def probe(self) -> None:
        """Write as much as a photo, and remove it, or raise why a photo cannot be written."""
        partial = self._folder / "00" / f"probe{_PARTIAL}"
        try:
            _write(partial, bytes(_PROBE_BYTES))
        finally:
            partial.unlink(missing_ok=True)

    @contextlib.contextmanager
    def in_use(self, image_id: str) -> Iterator[None]:
        """Keep a picture from being removed until a row names it."""
        with self._lock:
            self._in_use[image_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_use -= Counter([image_id])

    def store(self, data: bytes) -> str:
        """Write a picture, and wait until it is on the disk.

        Returns:
            Its image_id.
        """
        image_id = image_id_of(data)
        path = self.path(image_id)
        if not path.exists():
            # A name of its own for each thread: two may be sent the same picture.
            partial = path.with_name(f"{image_id}-{threading.get_ident()}{_PARTIAL}")
            try:
                _write(partial, data)
                partial.rename(path)
            finally:
                partial.unlink(missing_ok=True)
        # Also where it was there: whoever wrote it may not have come to this.
        sync_folder(path.parent)
        return image_id

    def remove(self, image_id: str) -> bool:
        """Remove a picture that no row names any more, overwriting it. One thread does so, the log's.

        Returns:
            Whether it is gone: it stays where it is in use.
        """
        path = self.path(image_id)
        # Under its own name it is whole or not there at all, wherever this ends.
        partial = path.with_name(f"{image_id}-removed{_PARTIAL}")
        with self._lock:  # not for longer: answers wait for it
            if self._in_use[image_id]:
                return False
            with contextlib.suppress(FileNotFoundError):
                path.rename(partial)
        with contextlib.suppress(FileNotFoundError):
            _erase(partial)
        sync_folder(path.parent)
        return True


def _write(path: Path, data: bytes) -> None:
    """Write a file that nobody else may read, and wait until it is on the disk."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _MODE), "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _erase(path: Path) -> None:
    """Overwrite a file, and remove its name."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
    path.unlink()


def image_id_of(data: bytes) -> str:
    """The MD5 of a picture's bytes, as everywhere in this repository."""
    return md5_of_bytes(data)
