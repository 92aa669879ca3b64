"""Turn a picture upright by its EXIF tag, in TensorFlow operations, by the rules of `stages/images/orientation.py`."""

import tensorflow as tf

from stages.images.orientation import (
    APP1,
    BIG_ENDIAN,
    ENTRY_BYTES,
    EXIF,
    FLIPPED,
    LITTLE_ENDIAN,
    MIRRORED,
    ORIENTATION_TAG,
    SIDEWAYS,
    TYPE_LONG,
    TYPE_SHORT,
    UPRIGHT,
    WEBP_FLAGS,
    WEBP_HAS_EXIF,
)
from stages.served.file_bytes import ABSENT, jpeg_segment, matches, number, walk


def turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn pixels as the orientation tag says, so that the picture is upright.

    Args:
        pixels: shape (height, width, 3).
        orientation: scalar, int64, 1 to 8; anything else leaves the picture as it is.

    Returns:
        The same pixels, moved; height and width are exchanged where the tag is 5 or more.
    """
    pixels = tf.cond(_is_in(orientation, SIDEWAYS), lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    pixels = tf.cond(_is_in(orientation, MIRRORED), lambda: tf.reverse(pixels, [1]), lambda: pixels)
    return tf.cond(_is_in(orientation, FLIPPED), lambda: tf.reverse(pixels, [0]), lambda: pixels)


def is_sideways(orientation: tf.Tensor) -> tf.Tensor:
    """Say whether turning a picture upright exchanges its height and width."""
    return _is_in(orientation, SIDEWAYS)


def jpeg_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the orientation tag of a JPEG: its first EXIF segment before the picture's data.

    Args:
        data: of `file_bytes`.

    Returns:
        Scalar, int64; 1 where there is none.
    """
    return orientation_at(data, jpeg_segment(data, APP1, EXIF))


def webp_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the orientation tag of a WebP: its EXIF chunk, if its header announces one.

    Args:
        data: of `file_bytes`.

    Returns:
        Scalar, int64; 1 where there is none.
    """

    def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        content = tf.where(matches(data, position, b"EXIF"), position + 8, ABSENT)
        length = number(data, position + 4, 4, False)
        return content, tf.constant(False), position + 8 + length + length % 2

    flags = number(data, WEBP_FLAGS, 1, False)
    announced = matches(data, 12, b"VP8X") & (flags // WEBP_HAS_EXIF % 2 == 1)
    absent = tf.constant(ABSENT, tf.int64)
    return orientation_at(data, tf.cond(announced, lambda: walk(data, 12, step), lambda: absent))


def orientation_at(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Read the tag in the first directory of an EXIF block.

    Args:
        data: of `file_bytes`.
        start: of the block, with or without the mark "Exif"; or ABSENT.

    Returns:
        Scalar, int64; 1 where there is none.
    """
    start = tf.where(matches(data, start, EXIF), start + len(EXIF), start)
    upright = tf.constant(UPRIGHT, tf.int64)
    return tf.case(
        [
            (start < 0, lambda: upright),
            (matches(data, start, BIG_ENDIAN), lambda: _directory_orientation(data, start, True)),
            (matches(data, start, LITTLE_ENDIAN), lambda: _directory_orientation(data, start, False)),
        ],
        default=lambda: upright,
    )


def _directory_orientation(data: tf.Tensor, start: tf.Tensor, big_endian: bool) -> tf.Tensor:
    directory = start + number(data, start + 4, 4, big_endian)
    count = number(data, directory, 2, big_endian)
    entries = data[directory + 2 : directory + 2 + count * ENTRY_BYTES]
    entries = tf.reshape(entries[: tf.size(entries) // ENTRY_BYTES * ENTRY_BYTES], (-1, ENTRY_BYTES))
    entries = tf.cast(entries, tf.int64)

    def field(start: int, length: int) -> tf.Tensor:
        weights = [256**digit for digit in range(length)]
        weights = weights[::-1] if big_endian else weights
        return tf.reduce_sum(entries[:, start : start + length] * tf.constant(weights, tf.int64), axis=1)

    kinds = field(2, 2)
    known = (kinds == TYPE_SHORT) | (kinds == TYPE_LONG)
    wanted = (field(0, 2) == ORIENTATION_TAG) & known & (field(4, 4) == 1)
    values = tf.where(kinds == TYPE_LONG, field(8, 4), field(8, 2))
    return tf.concat([values[wanted], [UPRIGHT]], axis=0)[0]


def _is_in(orientation: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(orientation == tf.constant(values, tf.int64))
