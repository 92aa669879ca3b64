"""When a picture was taken and with which camera, by EXIF, in the places where the orientation tag counts.

The block is read entry by entry and never parsed whole: thousands of entries that each claim the same megabyte would
cost gigabytes. What is absent, damaged or odd is null, never an error: a picture is judged by its pixels.
"""

import re
import warnings
from datetime import datetime
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from stages.images import png
from stages.images.orientation import (
    APP1,
    BIG_ENDIAN,
    ENTRY_BYTES,
    EXIF,
    LITTLE_ENDIAN,
    TYPE_LONG,
    jpeg_segments,
    number,
    webp_exif,
)

_MAKE, _MODEL, _EXIF_DIRECTORY = 0x010F, 0x0110, 0x8769
_ORIGINAL, _DIGITIZED, _SERIAL = 0x9003, 0x9004, 0xA431
_TYPE_TEXT = 2
_TYPES_OFFSET = (TYPE_LONG, 13)  # 13: a TIFF's own type for it
# Cameras write fewer than a hundred; a hostile file may have tens of thousands.
_MAX_ENTRIES = 500
_MAX_TEXT = 64
_TIME = re.compile(r"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)", re.ASCII)


class Taken(NamedTuple):
    """What EXIF says of the moment.

    Attributes:
        taken_at: by the camera's clock, which knows no time zone; None where it is not known.
        camera: maker, model and serial number, as far as they are known; None where none of them is.
    """

    taken_at: datetime | None
    camera: str | None


def taken(data: bytes) -> Taken:
    """Read when a picture was taken, and with which camera.

    Args:
        data: the bytes of a file that could be decoded.
    """
    block, start = _exif_block(data)
    start += len(EXIF) if block.startswith(EXIF, start) else 0
    big_endian = block.startswith(BIG_ENDIAN, start)
    if not big_endian and not block.startswith(LITTLE_ENDIAN, start):
        return Taken(None, None)
    main = _Directory(block, start, number(block, start + 4, 4, big_endian), big_endian)
    inner = _Directory(block, start, main.offset(_EXIF_DIRECTORY), big_endian)
    time = _time(inner.text(_ORIGINAL)) or _time(inner.text(_DIGITIZED))
    return Taken(time, _camera(main.text(_MAKE), main.text(_MODEL), inner.text(_SERIAL)))


def _exif_block(data: bytes) -> tuple[bytes, int]:
    """Find the EXIF block: bytes, and where in them it starts; none where there are none."""
    if data.startswith(b"\xff\xd8"):
        starts = (start for marker, start in jpeg_segments(data) if marker == APP1 and data.startswith(EXIF, start))
        return data, next(starts, len(data))
    if data.startswith(png.SIGNATURE):
        return data, png.exif_start(data) or len(data)
    if data.startswith(b"RIFF"):
        return data, webp_exif(data) or len(data)
    if data.startswith((LITTLE_ENDIAN, BIG_ENDIAN)):  # a TIFF is such a block
        return data, 0
    if data.startswith(b"ftyp", 4):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it was decoded, whatever there is to warn of
            with Image.open(BytesIO(data), formats=["AVIF"]) as image:
                return image.info.get("exif", b""), 0
    return b"", 0


class _Directory:
    """The entries of one directory of an EXIF block, the first of each tag."""

    def __init__(self, block: bytes, start: int, offset: int, big_endian: bool) -> None:
        self._block, self._start, self._big_endian = block, start, big_endian
        self._entries: dict[int, int] = {}
        first = start + offset
        count = min(self._number(first, 2), _MAX_ENTRIES) if offset else 0
        for entry in range(first + 2, min(first + 2 + count * ENTRY_BYTES, len(block)), ENTRY_BYTES):
            self._entries.setdefault(self._number(entry, 2), entry)

    def _number(self, position: int, length: int) -> int:
        return number(self._block, position, length, self._big_endian)

    def offset(self, tag: int) -> int:
        """Where another directory begins in the block; 0 where none does."""
        entry = self._entries.get(tag)
        return self._number(entry + 8, 4) if entry and self._number(entry + 2, 2) in _TYPES_OFFSET else 0

    def text(self, tag: int) -> str:
        """The tag's text, without what cannot be printed; empty where it has none."""
        entry = self._entries.get(tag)
        if entry is None or self._number(entry + 2, 2) != _TYPE_TEXT:
            return ""
        length = self._number(entry + 4, 4)
        position = entry + 8 if length <= 4 else self._start + self._number(entry + 8, 4)
        content = self._block[position : position + min(length, _MAX_TEXT)].partition(b"\0")[0]
        readable = "".join(letter for letter in content.decode(errors="replace") if letter.isprintable())
        return " ".join(readable.split())


def _time(text: str) -> datetime | None:
    match = _TIME.match(text)
    try:
        return datetime.fromisoformat("{}-{}-{}T{}:{}:{}".format(*match.groups())) if match else None
    except ValueError:  # such as a month of 0, which cameras write whose clock was never set
        return None


def _camera(make: str, model: str, serial: str) -> str | None:
    # Many cameras repeat the maker in the model: "Canon" and "Canon EOS 5D".
    name = model if make and model.lower().startswith(make.lower()) else f"{make} {model}"
    return f"{name} {serial}".strip() or None
