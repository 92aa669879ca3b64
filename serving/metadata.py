"""Take everything off a picture that its pixels do not need: places, times, cameras, comments, further pictures.

Only the orientation stays. JPEG, PNG and still WebP keep their compressed pixels bit for bit. Any other picture
becomes a PNG of the pixels that the model sees, turned upright.
"""

import re
from collections.abc import Iterator
from io import BytesIO

from stages.images.decode import decode
from stages.images.limits import MAX_SEGMENTS
from stages.images.orientation import (
    EXIF,
    MIRRORED,
    ORIENTATION_TAG,
    SIDEWAYS,
    WEBP_FLAGS,
    WEBP_HAS_EXIF,
    jpeg_orientation,
    webp_orientation,
)
from stages.images.png import HEADER_END, IEND, SIGNATURE, chunk, needed

_SOI, _EOI, _SOS = b"\xff\xd8", b"\xff\xd9", 0xDA
_APP0, _APP1, _APP14, _LAST_APP, _COMMENT = 0xE0, 0xE1, 0xEE, 0xEF, 0xFE
# How colours are stored: without these two, decoders may take inks for light. Thumbnails behind them are cut off.
_COLOURS = {_APP0: (b"JFIF\0", 12), _APP14: (b"Adobe", 12)}
# Among compressed pixels, 0xFF is followed by 0 or by the number of a restart; anything else begins a segment.
_SEGMENT = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
_OF_PNG = (b"PLTE", b"tRNS", b"IDAT")
_OF_WEBP = (b"VP8X", b"ALPH", b"VP8 ", b"VP8L")
_WEBP_ANIMATED, _WEBP_HAS_ALPHA = 0x02, 0x10
_TURNED = {*SIDEWAYS, *MIRRORED, 4}


def without_metadata(data: bytes, max_pixels: int) -> bytes:
    """Give the bytes of the same picture without what its pixels do not need.

    Args:
        data: of a file that `open_picture` opens.
        max_pixels: a picture with more is not decoded.

    Returns:
        A file that decodes to the same upright pixels.

    Raises:
        UnreadableError: the pixels had to be decoded, and are damaged.
    """
    if data.startswith(_SOI):
        return _jpeg(data)
    if data.startswith(SIGNATURE):
        return _png(data)
    if data.startswith(b"RIFF") and not (data.startswith(b"VP8X", 12) and data[WEBP_FLAGS] & _WEBP_ANIMATED):
        return _webp(data)
    buffer = BytesIO()
    decode(data, max_pixels).image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def num_scans(data: bytes) -> int:
    """Count the scans of a JPEG, not those of its thumbnail or of what is behind it."""
    return sum(marker == _SOS for marker, _ in _segments(data))


def _exif(orientation: int) -> bytes:
    """An EXIF block with the orientation tag and nothing else."""
    entry = ORIENTATION_TAG.to_bytes(2) + b"\0\3\0\0\0\1" + orientation.to_bytes(2) + b"\0\0"
    return b"MM\0*\0\0\0\x08\0\1" + entry + bytes(4)


def _jpeg(data: bytes) -> bytes:
    parts, orientation = [_SOI], jpeg_orientation(data)
    if orientation in _TURNED:
        parts.append(_segment(_APP1, EXIF + _exif(orientation)))
    parts += (_kept(marker, segment) for marker, segment in _segments(data))
    return b"".join(parts)


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through a JPEG: markers, and segments with the pixels behind them. Its end comes too, where it is there."""
    position, num_segments = 2, 0
    while (start := data.find(b"\xff", position)) >= 0 and start + 1 < len(data) and num_segments < MAX_SEGMENTS:
        marker = data[start + 1]
        if marker == _EOI[1]:
            yield marker, _EOI
            return
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # fill bytes, and markers without a length
            position = start + (1 if marker == 0xFF else 2)
            continue
        end = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if marker == _SOS:
            found = _SEGMENT.search(data, end)
            end = found.start() if found else len(data)
        yield marker, data[start:end]
        position, num_segments = end, num_segments + (marker != _SOS)


def _segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2) + content


def _kept(marker: int, segment: bytes) -> bytes:
    """Give what is kept of a segment."""
    if marker in _COLOURS:
        name, length = _COLOURS[marker]
        content = segment[4 : 4 + length]
        if not content.startswith(name):
            return b""
        return _segment(marker, content + b"\0\0" if marker == _APP0 else content)
    return b"" if _APP0 <= marker <= _LAST_APP or marker == _COMMENT else segment


def _png(data: bytes) -> bytes:
    orientation = needed(data).orientation
    parts = [data[:HEADER_END]]
    if orientation in _TURNED:
        parts.append(chunk(b"eXIf", _exif(orientation)))
    position = HEADER_END
    while not data.startswith(IEND, position):
        end = position + 12 + int.from_bytes(data[position : position + 4])
        if data[position + 4 : position + 8] in _OF_PNG:
            parts.append(data[position:end])
        position = end
    return b"".join([*parts, IEND])


def _webp(data: bytes) -> bytes:
    orientation = webp_orientation(data)
    parts, position, seen = [], 12, set()
    while position + 8 <= len(data):
        name, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        end = position + 8 + length + length % 2
        if name in _OF_WEBP and name not in seen:
            parts.append(data[position:end])
        seen.add(name)
        position = end
    if parts and parts[0].startswith(b"VP8X"):
        turned = orientation in _TURNED
        flags = data[WEBP_FLAGS] & _WEBP_HAS_ALPHA | (WEBP_HAS_EXIF if turned else 0)
        parts[0] = parts[0][:8] + bytes([flags]) + parts[0][9:]
        if turned:
            block = _exif(orientation)
            parts.append(b"EXIF" + len(block).to_bytes(4, "little") + block)
    content = b"WEBP" + b"".join(parts)
    return b"RIFF" + len(content).to_bytes(4, "little") + content
