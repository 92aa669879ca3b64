"""Where the bytes of a picture are: in the file in data/, else in DVC's cache, else on its remote.

An image_id is the digest by which DVC names the same bytes, so every place can be asked, and what it gives is checked.
"""

import logging
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from remote.clone import Clone, opened
from runtime.digest import md5_of_bytes
from runtime.errors import InputError, RetrainError
from stages.labels.folders import DATA

log = logging.getLogger(__name__)


class Pictures:
    """Reads pictures by image_id; cache and remote are opened when the first picture is not in data/."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stack = ExitStack()
        self._clone: Clone | None = None

    def read(self, image_id: str, paths: list[str]) -> bytes:
        """Read a picture.

        Args:
            image_id: 32 hex digits.
            paths: of its files, relative to data/.

        Raises:
            RetrainError: it is nowhere, or cache or remote cannot be used.
        """
        for path in paths:
            data = _file(DATA / path)
            if data is not None and md5_of_bytes(data) == image_id:
                return data
        with self._lock:
            if self._clone is None:
                self._clone = self._stack.enter_context(opened())
            stores = self._clone.stores
            for store in stores:
                data = store.read(image_id)
                if data is not None and md5_of_bytes(data) == image_id:
                    return data
        raise InputError(f"picture {image_id} is neither in data/, nor in {' or in '.join(s.name for s in stores)}.")

    def close(self) -> None:
        """Close cache and remote."""
        try:
            self._stack.close()
        except RetrainError as error:
            log.warning("%s", error)


def _file(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
