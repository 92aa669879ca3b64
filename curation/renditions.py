"""Pictures as pages show them: upright, at most 1,024 or 256 pixels wide and high, JPEGs in a cache of limited size."""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Lock, get_ident

from PIL import Image

from stages.images.decode import decode

SIDES = (1024, 256)
FOLDER = ".dvc/tmp/retrain/renditions"
MAX_BYTES = 2 * 2**30  # 15,000 large renditions of photographs
_QUALITY = 90


class Renditions:
    """The cache. What was used least recently is dropped first; over restarts too: a file's time is its last use."""

    def __init__(self, folder: str | Path = FOLDER, max_bytes: int = MAX_BYTES):
        self._folder = Path(folder)
        self._max_bytes = max_bytes
        self._lock = Lock()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._total = 0
        for _, name, size in sorted(_listed(self._folder)):
            self._sizes[name] = size
            self._total += size

    def get(self, image_id: str, side: int, read: Callable[[], bytes], max_pixels: int) -> bytes:
        """Give a rendition.

        Args:
            image_id: 32 hex digits.
            side: one of SIDES.
            read: gives the bytes of the picture's file.
            max_pixels: a picture with more is not decoded.

        Raises:
            UnreadableError: the picture cannot be decoded.
            RetrainError: what `read` raises.
        """
        name = f"{side}/{image_id[:2]}/{image_id}.jpg"
        path = self._folder / name
        with suppress(OSError):
            data = path.read_bytes()
            os.utime(path)
            self._used(name, len(data))
            return data
        data = render(read(), side, max_pixels)
        with suppress(OSError):  # a full disk costs time, never a picture
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{image_id}.{os.getpid()}.{get_ident()}.partial")
            partial.write_bytes(data)
            partial.replace(path)
            self._used(name, len(data))
        return data

    def _used(self, name: str, size: int) -> None:
        with self._lock:
            self._total += size - self._sizes.pop(name, 0)
            self._sizes[name] = size
            while self._total > self._max_bytes and len(self._sizes) > 1:
                oldest, freed = self._sizes.popitem(last=False)
                self._total -= freed
                (self._folder / oldest).unlink(missing_ok=True)


def render(data: bytes, side: int, max_pixels: int) -> bytes:
    """Make a JPEG that fits into a square; a smaller picture keeps its size.

    Raises:
        UnreadableError: the picture cannot be decoded.
    """
    image = decode(data, max_pixels, side).image
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def _listed(folder: Path) -> list[tuple[float, str, int]]:
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                path = Path(parent, name)
                status = path.stat()
                found.append((status.st_mtime, path.relative_to(folder).as_posix(), status.st_size))
    return found
