"""The first frame of a GIF, alone; `stages/served/gif.py` cuts it out by the same rules.

What follows the first frame is never read, so an animation costs no more than a still picture.
"""

from typing import NamedTuple

from stages.images.errors import UnreadableError
from stages.images.limits import MAX_RUN, MAX_STEPS
from stages.images.orientation import number

SCREEN_END = 13  # signature and screen
EXTENSION, FRAME = 0x21, 0x2C
CONTROL = b"\x21\xf9\x04"  # the extension that names the transparent colour
INTERLACED = 0x40
# Where a file has no colours, its numbers are taken for greys.
GREYS = bytes(value for value in range(256) for _ in range(3))


class FirstFrame(NamedTuple):
    """A GIF of one frame that fills its screen, and where that frame stands.

    Attributes:
        data: the GIF.
        left: of the frame, on the canvas.
        top: of the frame, on the canvas.
        width: of the canvas: the screen, or more where the frame exceeds it.
        height: of the canvas.
    """

    data: bytes
    left: int
    top: int
    width: int
    height: int


def first_frame(data: bytes) -> FirstFrame:
    """Cut the first frame out.

    Args:
        data: the file's bytes.

    Raises:
        UnreadableError: the file ends before its first frame does.
    """
    start, control = _find_frame(data)
    left, top, width, height = (number(data, start + offset, 2, False) for offset in (1, 3, 5, 7))
    flags = number(data, start + 9, 1, False)
    palette_start, palette_end = start + 10, start + 10 + _palette_bytes(flags)
    pixels_end = _blocks_end(data, palette_end + 1)
    if palette_start == palette_end:
        palette_start, palette_end = SCREEN_END, SCREEN_END + _palette_bytes(data[10])
    palette = data[palette_start:palette_end] or GREYS
    pixels = data[start + 10 + _palette_bytes(flags) : pixels_end]
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    frame = b",\0\0\0\0" + sides + bytes([flags & INTERLACED]) + pixels + b";"
    whole = b"GIF89a" + sides + b"\xf7\0\0" + palette.ljust(768, b"\0") + control + frame
    screen = number(data, 6, 2, False), number(data, 8, 2, False)
    return FirstFrame(whole, left, top, max(screen[0], left + width), max(screen[1], top + height))


def _palette_bytes(flags: int) -> int:
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _find_frame(data: bytes) -> tuple[int, bytes]:
    """Find the first frame, and the extension before it that makes a colour transparent; empty for none."""
    position, control = SCREEN_END + _palette_bytes(number(data, 10, 1, False)), b""
    for _ in range(MAX_STEPS):
        if number(data, position, 1, False) == FRAME:
            return position, control
        if number(data, position, 1, False) != EXTENSION:
            break
        if data.startswith(CONTROL, position):
            control = data[position : position + 8] if number(data, position + 3, 1, False) & 1 else b""
            control = control and CONTROL + b"\1\0\0" + control[6:7] + b"\0"
        position = _blocks_end(data, position + 2)
    raise UnreadableError("a GIF without a picture, or cut short before it")


def _blocks_end(data: bytes, position: int) -> int:
    """Find the end of a row of blocks, each of which begins with its length; the last one is empty."""
    steps = run = 0
    previous = -1
    while position < len(data):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
        run = run + 1 if length == previous and run < MAX_RUN else 0
        steps, previous = steps + (run == 0), length
        if steps > MAX_STEPS:
            raise UnreadableError("a GIF of too many blocks")
    raise UnreadableError("a GIF that is cut short in its first picture")
