"""The first frame of a GIF, alone, in TensorFlow operations: as `stages/images/gif.py` cuts it out."""

from typing import NamedTuple

import tensorflow as tf

from stages.images.gif import CONTROL, EXTENSION, FRAME, GREYS, INTERLACED, SCREEN_END
from stages.images.limits import MAX_STEPS
from stages.served.file_bytes import ABSENT, length_of_run, matches, number


class FirstFrame(NamedTuple):
    """A GIF of one frame that fills its screen, and where that frame stands.

    Attributes:
        encoded: scalar, string: the GIF.
        left: scalar, int64: of the frame, on the canvas.
        top: of the frame, on the canvas.
        width: of the canvas: the screen, or more where the frame exceeds it.
        height: of the canvas.
        is_whole: scalar, bool.
    """

    encoded: tf.Tensor
    left: tf.Tensor
    top: tf.Tensor
    width: tf.Tensor
    height: tf.Tensor
    is_whole: tf.Tensor


def first_frame(encoded: tf.Tensor, data: tf.Tensor) -> FirstFrame:
    """Cut the first frame out.

    Args:
        encoded: scalar, string: the file's bytes.
        data: of `file_bytes`.
    """
    start, control = _find_frame(encoded, data)
    is_frame = matches(data, start, bytes([FRAME]))
    left, top, width, height = (number(data, start + offset, 2, False) for offset in (1, 3, 5, 7))
    flags = number(data, start + 9, 1, False)
    pixels_start = start + 10 + _palette_bytes(flags)
    pixels_end = _blocks_end(encoded, data, pixels_start + 1)
    has_own = pixels_start > start + 10
    palette = tf.where(has_own, start + 10, SCREEN_END)
    palette_bytes = _palette_bytes(tf.where(has_own, flags, number(data, 10, 1, False)))
    size = tf.cast(tf.strings.length(encoded), tf.int64)

    def text(start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return tf.strings.substr(encoded, tf.minimum(start, size), tf.maximum(length, 0))

    colours = tf.where(palette_bytes > 0, text(palette, palette_bytes), tf.constant(GREYS))
    missing = 768 - tf.strings.length(colours)
    colours = tf.strings.join([colours, tf.strings.substr(tf.constant(bytes(768)), 0, missing)])
    removed = tf.where(control < 0, tf.constant(b""), _control(text(control + 6, tf.constant(1, tf.int64))))
    interlaced = tf.where(flags // INTERLACED % 2 == 1, tf.constant(bytes([INTERLACED])), tf.constant(b"\0"))
    sides, pixels = text(start + 5, tf.constant(4, tf.int64)), text(pixels_start, pixels_end - pixels_start)
    head = [b"GIF89a", sides, b"\xf7\0\0", colours, removed]
    whole = tf.strings.join([*head, b",\0\0\0\0", sides, interlaced, pixels, b";"])
    right, bottom = left + width, top + height
    screen = number(data, 6, 2, False), number(data, 8, 2, False)
    is_whole = is_frame & (pixels_end >= 0) & (width * height > 0)
    return FirstFrame(whole, left, top, tf.maximum(screen[0], right), tf.maximum(screen[1], bottom), is_whole)


def _control(colour: tf.Tensor) -> tf.Tensor:
    return tf.strings.join([CONTROL + b"\1\0\0", colour, b"\0"])


def _palette_bytes(flags: tf.Tensor) -> tf.Tensor:
    return tf.where(flags >= 0x80, 3 * 2 ** (flags % 8 + 1), tf.constant(0, tf.int64))


def _find_frame(encoded: tf.Tensor, data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Find the first frame, and the extension before it that makes a colour transparent, or ABSENT."""

    def goes_on(position: tf.Tensor, control: tf.Tensor) -> tf.Tensor:
        del control
        return (position >= 0) & matches(data, position, bytes([EXTENSION]))

    def step(position: tf.Tensor, control: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        has_colour = number(data, position + 3, 1, False) % 2 == 1
        latest = tf.where(has_colour, position, tf.constant(ABSENT, tf.int64))
        control = tf.where(matches(data, position, CONTROL), latest, control)
        return _blocks_end(encoded, data, position + 2), control

    first = SCREEN_END + _palette_bytes(number(data, 10, 1, False)), tf.constant(ABSENT, tf.int64)
    position, control = tf.while_loop(goes_on, step, first, maximum_iterations=MAX_STEPS)
    return tf.maximum(position, 0), control


def _blocks_end(encoded: tf.Tensor, data: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Find the end of a row of blocks, each of which begins with its length; ABSENT where the last one is missing."""
    size = tf.cast(tf.strings.length(encoded), tf.int64)

    def goes_on(position: tf.Tensor) -> tf.Tensor:
        return (position < size) & (number(data, position, 1, False) > 0)

    def step(position: tf.Tensor) -> tuple[tf.Tensor]:
        stride = 1 + number(data, position, 1, False)
        return (position + stride * length_of_run(data, position, stride, 1),)

    (position,) = tf.while_loop(goes_on, step, (position,), maximum_iterations=MAX_STEPS)
    ended = (position < size) & (number(data, position, 1, False) == 0)
    return tf.where(ended, position + 1, tf.constant(ABSENT, tf.int64))
