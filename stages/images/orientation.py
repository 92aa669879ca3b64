"""How a camera was held, by the orientation tag of EXIF; `stages/served/orientation.py` reads it by the same rules.

The tag counts in the places where viewers read it: the first EXIF segment of a JPEG, the `eXIf` chunk of a PNG, the
EXIF chunk of a WebP whose header announces one. It does not count in XMP, nor in a PNG's text ("Raw profile type
exif"). It must be one number, in one of the types that writers use: SHORT or LONG.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.images.limits import MAX_SEGMENTS

UPRIGHT = 1
# Which of the tag's values ask for which of three moves, taken in this order: exchange width and height, exchange left
# and right, exchange top and bottom.
SIDEWAYS = (5, 6, 7, 8)
MIRRORED = (2, 3, 6, 7)
FLIPPED = (3, 4, 7, 8)
ORIENTATION_TAG = 0x0112
ENTRY_BYTES = 12
TYPE_SHORT, TYPE_LONG = 3, 4
EXIF = b"Exif\0\0"
LITTLE_ENDIAN, BIG_ENDIAN = b"II*\0", b"MM\0*"
APP1 = 0xE1
# Position and bit of the flag in a WebP's header that announces EXIF.
WEBP_FLAGS, WEBP_HAS_EXIF = 20, 8
_WAYS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Undo what the orientation tag says of how the camera was held.

    Args:
        image: as it is saved.
        orientation: 1 to 8; anything else leaves the picture as it is.
    """
    return image.transpose(_WAYS[orientation]) if orientation in _WAYS else image


def turn_pixels(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo what the orientation tag says of how the camera was held.

    Args:
        pixels: shape (height, width, colours).
        orientation: 1 to 8; anything else leaves the picture as it is.

    Returns:
        A view of the same pixels.
    """
    if orientation in SIDEWAYS:
        pixels = pixels.swapaxes(0, 1)
    if orientation in MIRRORED:
        pixels = pixels[:, ::-1]
    return pixels[::-1] if orientation in FLIPPED else pixels


def jpeg_orientation(data: bytes) -> int:
    """Read the orientation tag of a JPEG: its first EXIF segment before the picture's data.

    Args:
        data: the file's bytes.

    Returns:
        The tag's value; 1 where there is none.
    """
    for marker, content in jpeg_segments(data):
        if marker == APP1 and data.startswith(EXIF, content):
            return exif_orientation(data, content)
    return UPRIGHT


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Go through the segments of a JPEG before the picture's data.

    Args:
        data: the file's bytes.

    Yields:
        The second byte of each segment's marker, and where its content starts.
    """
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker = number(data, position + 1, 1, True)
        if number(data, position, 1, True) != 0xFF or marker in (0xDA, 0xD9):
            return
        if marker == 0xFF:  # a marker may be led by fill bytes
            position += 1
        elif marker == 0x01 or 0xD0 <= marker <= 0xD7:  # markers without a length
            position += 2
        else:
            yield marker, position + 4
            position += 2 + number(data, position + 2, 2, True)


def webp_orientation(data: bytes) -> int:
    """Read the orientation tag of a WebP.

    Args:
        data: the file's bytes.

    Returns:
        The tag's value; 1 where there is none.
    """
    start = webp_exif(data)
    return exif_orientation(data, start) if start else UPRIGHT


def webp_exif(data: bytes) -> int:
    """Say where the content of a WebP's EXIF chunk starts, if its header announces one; 0 where there is none."""
    if not (data.startswith(b"VP8X", 12) and number(data, WEBP_FLAGS, 1, False) & WEBP_HAS_EXIF):
        return 0
    position = 12
    for _ in range(MAX_SEGMENTS):
        if data.startswith(b"EXIF", position):
            return position + 8
        if position >= len(data):
            break
        length = number(data, position + 4, 4, False)
        position += 8 + length + length % 2
    return 0


def exif_orientation(data: bytes, start: int = 0) -> int:
    """Read the tag in the first directory of an EXIF block.

    Args:
        data: the file's bytes, or the block alone.
        start: of the block; with or without the mark "Exif".

    Returns:
        The tag's value; 1 where there is none.
    """
    start += len(EXIF) if data.startswith(EXIF, start) else 0
    big_endian = data.startswith(BIG_ENDIAN, start)
    if not big_endian and not data.startswith(LITTLE_ENDIAN, start):
        return UPRIGHT
    directory = start + number(data, start + 4, 4, big_endian)
    count = number(data, directory, 2, big_endian)
    for entry in range(directory + 2, min(directory + 2 + count * ENTRY_BYTES, len(data)), ENTRY_BYTES):
        kind = number(data, entry + 2, 2, big_endian)
        if number(data, entry, 2, big_endian) != ORIENTATION_TAG or kind not in (TYPE_SHORT, TYPE_LONG):
            continue
        if number(data, entry + 4, 4, big_endian) == 1:
            return number(data, entry + 8, 2 if kind == TYPE_SHORT else 4, big_endian)
    return UPRIGHT


def number(data: bytes, start: int, length: int, big_endian: bool) -> int:
    """Read an unsigned integer; what lies beyond the end reads as zeros."""
    return int.from_bytes(data[start : start + length].ljust(length, b"\0"), "big" if big_endian else "little")
