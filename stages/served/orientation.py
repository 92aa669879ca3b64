"""Turn a picture upright by its EXIF tag, in TensorFlow operations: what `ImageOps.exif_transpose` does in Python."""

import tensorflow as tf

from stages.served.file_bytes import ABSENT, jpeg_segment, matches, number, png_chunk, walk

UPRIGHT = 1
_ORIENTATION_TAG = 0x0112
_ENTRY_BYTES = 12
_TYPE_SHORT, _TYPE_LONG = 3, 4
_EXIF = b"Exif\0\0"
_APP1 = 0xE1
# Which values of the tag need which of three moves, made in this order.
_TRANSPOSED = (5, 6, 7, 8)
_MIRRORED = (2, 3, 6, 7)
_FLIPPED = (3, 4, 7, 8)


def turn_upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn pixels as the orientation tag says, so that the picture is upright.

    Args:
        pixels: shape (height, width, 3).
        orientation: scalar, int64, 1 to 8; anything else leaves the picture as it is.

    Returns:
        The same pixels, moved; height and width are exchanged where the tag is 5 or more.
    """
    pixels = tf.cond(_is_in(orientation, _TRANSPOSED), lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    pixels = tf.cond(_is_in(orientation, _MIRRORED), lambda: tf.reverse(pixels, [1]), lambda: pixels)
    return tf.cond(_is_in(orientation, _FLIPPED), lambda: tf.reverse(pixels, [0]), lambda: pixels)


def jpeg_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the orientation tag of a JPEG: its first EXIF segment before the picture's data.

    Args:
        data: of `file_bytes`.

    Returns:
        Scalar, int64; 1 where there is none.
    """
    return _orientation_at(data, jpeg_segment(data, _APP1, _EXIF))


def png_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the orientation tag of a PNG: its eXIf chunk.

    Args:
        data: of `file_bytes`.

    Returns:
        Scalar, int64; 1 where there is none.
    """
    return _orientation_at(data, png_chunk(data, b"eXIf"))


def webp_orientation(data: tf.Tensor) -> tf.Tensor:
    """Read the orientation tag of a WebP: its EXIF chunk.

    Args:
        data: of `file_bytes`.

    Returns:
        Scalar, int64; 1 where there is none.
    """

    def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        content = tf.where(matches(data, position, b"EXIF"), position + 8, ABSENT)
        length = number(data, position + 4, 4, False)
        return content, tf.constant(False), position + 8 + length + length % 2

    return _orientation_at(data, walk(data, 12, step))


def _orientation_at(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    return tf.cond(start < 0, lambda: tf.constant(UPRIGHT, tf.int64), lambda: _tiff_orientation(data, start))


def _tiff_orientation(data: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """Read the tag in the first directory of a TIFF header, of either byte order, as EXIF has it."""
    start = tf.where(matches(data, start, _EXIF), start + len(_EXIF), start)
    return tf.cond(
        matches(data, start, b"MM"),
        lambda: _directory_orientation(data, start, True),
        lambda: _directory_orientation(data, start, False),
    )


def _directory_orientation(data: tf.Tensor, start: tf.Tensor, big_endian: bool) -> tf.Tensor:
    directory = start + number(data, start + 4, 4, big_endian)
    count = number(data, directory, 2, big_endian)
    entries = data[directory + 2 : directory + 2 + count * _ENTRY_BYTES]
    entries = tf.reshape(entries[: tf.size(entries) // _ENTRY_BYTES * _ENTRY_BYTES], (-1, _ENTRY_BYTES))
    entries = tf.cast(entries, tf.int64)
    high, low = (0, 1) if big_endian else (1, 0)
    tags, types = (entries[:, at + high] * 256 + entries[:, at + low] for at in (0, 2))
    value = tf.where(types == _TYPE_LONG, entries[:, 11 if big_endian else 8], entries[:, 8 + low])
    wanted = (tags == _ORIENTATION_TAG) & ((types == _TYPE_SHORT) | (types == _TYPE_LONG))
    return tf.concat([value[wanted], [UPRIGHT]], axis=0)[0]


def _is_in(orientation: tf.Tensor, values: tuple[int, ...]) -> tf.Tensor:
    return tf.reduce_any(orientation == tf.constant(values, tf.int64))
