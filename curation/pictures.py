"""Where the bytes of a picture are: in the file in data/, else in DVC's cache, else on its remote.

An image_id is the digest by which DVC names the same bytes, so every place can be asked, and what it gives is checked.
"""

import logging
import math
import time
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from remote.clone import Clone, opened
from remote.stores import Store
from runtime.digest import md5_of_bytes
from runtime.errors import InputError, RemoteError, RetrainError, is_storage_failure
from stages.labels.folders import DATA

AWAY_SECONDS = 10.0  # a page asks for dozens of pictures, and each would wait until the client gives up

log = logging.getLogger(__name__)


class Pictures:
    """Reads pictures by image_id; cache and remote are opened when the first picture is not in data/."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stack = ExitStack()
        self._clone: Clone | None = None
        self._away_until, self._why = -math.inf, ""  # of the remote

    def read(self, image_id: str, paths: list[str]) -> bytes:
        """Read a picture; several threads may, at once.

        Args:
            image_id: 32 hex digits.
            paths: of its files, relative to data/.

        Raises:
            RetrainError: it is nowhere, or cache or remote cannot be used. A remote that failed is not asked again
                before `AWAY_SECONDS` have passed.
        """
        for path in paths:
            data = _file(DATA / path)
            if data is not None and md5_of_bytes(data) == image_id:
                return data
        with self._lock:
            if self._clone is None:
                self._clone = self._stack.enter_context(opened())
            clone = self._clone
        for store in clone.stores:
            data = self._object(store, image_id, store is clone.remote)
            if data is not None and md5_of_bytes(data) == image_id:
                return data
        names = " or in ".join(store.name for store in clone.stores)
        raise InputError(f"picture {image_id} is neither in data/, nor in {names}.")

    def _object(self, store: Store, image_id: str, is_remote: bool) -> bytes | None:
        if is_remote and time.monotonic() < self._away_until:
            raise RemoteError(self._why)
        try:
            return store.read(image_id)
        except Exception as error:
            if not is_storage_failure(error):
                raise
            words = _words(error)
            if is_remote:
                self._away_until, self._why = time.monotonic() + AWAY_SECONDS, words
            raise RemoteError(words) from error

    def close(self) -> None:
        """Close cache and remote."""
        try:
            self._stack.close()
        except RetrainError as error:
            log.warning("%s", error)


def _words(error: Exception) -> str:
    """Put a storage's error in words as commands do, without the secrets of the configuration."""
    try:
        with opened():
            raise error
    except RetrainError as told:
        return str(told)


def _file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
