"""The chunks of a PNG that its pixels need; `stages/served/png.py` chooses them by the same rules.

Everything else is skipped without being inflated or checked: text, profiles, further frames. So neither megabytes of
text nor a wrong checksum in a comment costs a good picture, and no bomb in them is ever opened.
"""

import zlib
from typing import NamedTuple

from stages.images.errors import UnreadableError
from stages.images.limits import MAX_RUN, MAX_STEPS
from stages.images.orientation import UPRIGHT, exif_orientation

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER_END = 33  # the signature, and the chunk IHDR
IEND = b"\0\0\0\0IEND\xaeB`\x82"
GREY, RGB, PALETTE = 0, 2, 3
_CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, 4: 2, 6: 4}
_DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Left, top, step across and step down of the seven passes of an interlaced picture.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_INFLATED = 2**20  # bytes at a time


class Png(NamedTuple):
    """A PNG without what its pixels do not need.

    Attributes:
        data: signature, IHDR, PLTE, tRNS, IDAT and IEND.
        orientation: by its `eXIf` chunk; 1 where there is none.
        transparent_grey: of a picture of 16-bit grey, the value that is transparent.
    """

    data: bytes
    orientation: int
    transparent_grey: int | None


class _Chunks(NamedTuple):
    """Where the chunks stand that are needed: start of the length, and end of the checksum; (0, 0) for none."""

    palette: tuple[int, int]
    transparency: tuple[int, int]
    pixels: tuple[int, int]
    exif: int


def needed(data: bytes) -> Png:
    """Choose the chunks that the pixels need.

    Args:
        data: the file's bytes.

    Raises:
        UnreadableError: the file is cut short, or a chunk that is needed is damaged or absent.
    """
    _require_header(data)
    chunks = _walk(data)
    _require_checksums(data, 8, HEADER_END)
    _require_checksums(data, *chunks.pixels)
    depth, colours = data[24], data[25]
    parts = [data[:HEADER_END]]
    if colours == PALETTE:
        parts.append(_palette(data, *chunks.palette))
    value = _transparency(data, chunks)
    is_deep_grey = (depth, colours) == (16, GREY)
    if value and not is_deep_grey:
        parts.append(chunk(b"tRNS", value))
    _require_whole(data, chunks.pixels)
    parts += [data[slice(*chunks.pixels)], IEND]
    orientation = exif_orientation(data, chunks.exif) if chunks.exif else UPRIGHT
    return Png(b"".join(parts), orientation, int.from_bytes(value) if value and is_deep_grey else None)


def exif_start(data: bytes) -> int:
    """Say where the content of the first `eXIf` chunk of a whole PNG starts; 0 where there is none."""
    return _walk(data).exif


def chunk(name: bytes, content: bytes) -> bytes:
    """Write a chunk."""
    return len(content).to_bytes(4) + name + content + zlib.crc32(name + content).to_bytes(4)


def _require_header(data: bytes) -> None:
    if len(data) < HEADER_END or data[8:16] != b"\0\0\0\rIHDR":
        raise UnreadableError("a PNG that does not begin with its header, or is cut short in it")
    depth, colours, compression, filters, interlace = data[24:29]
    if depth not in _DEPTHS.get(colours, ()) or compression or filters or interlace > 1:
        raise UnreadableError(f"a PNG of an unknown kind: depth {depth}, colour type {colours}")


def _walk(data: bytes) -> _Chunks:
    palette = transparency = pixels = (0, 0)
    exif = steps = run = 0
    position, previous = HEADER_END, b""
    while not data.startswith(IEND, position):
        head = data[position : position + 8]
        run = run + 1 if head == previous and run < MAX_RUN else 0
        steps, previous = steps + (run == 0), head
        name, end = head[4:], position + 12 + int.from_bytes(head[:4])
        if end > len(data) or steps > MAX_STEPS:
            raise UnreadableError(
                "a PNG of too many chunks" if steps > MAX_STEPS else "a PNG that is cut short: no IEND"
            )
        if name == b"IDAT":
            if pixels[1] not in (0, position):
                raise UnreadableError("a PNG whose pixels (IDAT) are interrupted by another chunk")
            pixels = pixels[0] or position, end
        elif name == b"PLTE" and not palette[0] and not pixels[0]:
            palette = position, end
        elif name == b"tRNS" and not transparency[0] and not pixels[0]:
            transparency = position, end
        elif name == b"eXIf":
            exif = exif or position + 8
        elif not name[0] & 0x20 and name != b"PLTE":  # an upper-case letter: who does not know it cannot read on
            raise UnreadableError(f"a PNG with an unknown or misplaced chunk {name!r}, or damaged there")
        position = end
    if not pixels[0]:
        raise UnreadableError("a PNG without pixels (IDAT)")
    return _Chunks(palette, transparency, pixels, exif)


def _require_checksums(data: bytes, start: int, end: int) -> None:
    while start < end:
        length = int.from_bytes(data[start : start + 4])
        if not _is_intact(data, start, start + 12 + length):
            raise UnreadableError(
                f"a PNG whose chunk {data[start + 4 : start + 8]!r} is damaged: its checksum is wrong"
            )
        start += 12 + length


def _is_intact(data: bytes, start: int, end: int) -> bool:
    return zlib.crc32(memoryview(data)[start + 4 : end - 4]) == int.from_bytes(data[end - 4 : end])


def _palette(data: bytes, start: int, end: int) -> bytes:
    colours = end - start - 12
    if not 3 <= colours <= 3 * 256 or colours % 3:
        raise UnreadableError("a PNG of palette colours without a palette (PLTE), or with one of a wrong length")
    _require_checksums(data, start, end)
    return data[start:end]


def _transparency(data: bytes, chunks: _Chunks) -> bytes | None:
    """Give the content of tRNS as Pillow understands it; None where there is none, or a damaged one."""
    start, end = chunks.transparency
    depth, colours = data[24], data[25]
    content, palette = data[start + 8 : end - 4], chunks.palette
    if not start or not _is_intact(data, start, end):
        return None
    if colours == PALETTE:
        fits = palette[0] < start and 1 <= len(content) <= (palette[1] - palette[0] - 12) // 3
        return content if fits else None
    if len(content) != {GREY: 2, RGB: 6}.get(colours):
        return None
    values = [int.from_bytes(content[index : index + 2]) for index in range(0, len(content), 2)]
    return b"".join(_scaled(value, depth, colours).to_bytes(2) for value in values)


def _scaled(value: int, depth: int, colours: int) -> int:
    """Scale a transparent value as the decoder scales the pixels that it is compared with."""
    if depth == 16:
        return value if colours == GREY else value >> 8
    value &= 2**depth - 1
    return value * (255 // (2**depth - 1)) if depth in (2, 4) else value


def _require_whole(data: bytes, pixels: tuple[int, int]) -> None:
    """Refuse pixels that end too soon: Pillow would leave the rest of the picture black."""
    inflater, num_bytes = zlib.decompressobj(), 0
    position, end = pixels
    try:
        while position < end and not inflater.eof:
            length = int.from_bytes(data[position : position + 4])
            part: bytes = data[position + 8 : position + 8 + length]
            while part:
                num_bytes += len(inflater.decompress(part, _INFLATED))
                part = inflater.unconsumed_tail
                if num_bytes > _num_bytes(data) + _INFLATED:
                    return  # more than the pixels: the decoder leaves it, and so do we
            position += 12 + length
    except zlib.error as error:
        raise UnreadableError(f"a PNG whose pixels are damaged: {error}") from None
    if not inflater.eof or num_bytes < _num_bytes(data):
        raise UnreadableError("a PNG whose pixels end too soon")


def _num_bytes(data: bytes) -> int:
    """Count the bytes of all rows, each with the byte that names its filter."""
    width, height = int.from_bytes(data[16:20]), int.from_bytes(data[20:24])
    bits = data[24] * _CHANNELS[data[25]]
    passes = _PASSES if data[28] else ((0, 0, 1, 1),)
    sides = [(-(-(width - left) // across), -(-(height - top) // down)) for left, top, across, down in passes]
    return sum(rows * (1 + (columns * bits + 7) // 8) for columns, rows in sides if columns > 0 and rows > 0)
