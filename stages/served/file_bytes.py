"""Read numbers and marks in a file's bytes by TensorFlow operations."""

from collections.abc import Callable

import tensorflow as tf

ABSENT = -1
# So that a number read near the end of a file that is cut short is zeros, not an error of slicing.
_PADDING = 64
# Far more segments than a camera writes: a file of nothing but tiny segments must not keep a server busy.
_LONGEST_WALK = 10_000
Step = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


def file_bytes(encoded: tf.Tensor) -> tf.Tensor:
    """Turn a file's bytes into a vector, with zeros after the end.

    Args:
        encoded: scalar, string.

    Returns:
        Vector, uint8.
    """
    return tf.concat([tf.io.decode_raw(encoded, tf.uint8), tf.zeros(_PADDING, tf.uint8)], axis=0)


def number(data: tf.Tensor, start: tf.Tensor | int, length: int, big_endian: bool) -> tf.Tensor:
    """Read an unsigned integer.

    Args:
        data: of `file_bytes`.
        start: of the integer's first byte; beyond the end it reads as 0.
        length: 1 to 4 bytes.
        big_endian: the most significant byte comes first.

    Returns:
        Scalar, int64.
    """
    start = tf.minimum(tf.cast(start, tf.int64), tf.size(data, tf.int64) - length)
    digits = tf.cast(data[start : start + length], tf.int64)
    weights = [256**exponent for exponent in range(length)]
    return tf.reduce_sum(digits * tf.constant(weights[::-1] if big_endian else weights, tf.int64))


def matches(data: tf.Tensor, start: tf.Tensor | int, mark: bytes) -> tf.Tensor:
    """Say whether the bytes from `start` on are `mark`.

    Args:
        data: of `file_bytes`.
        start: of the first byte to compare.
        mark: the bytes to look for.

    Returns:
        Scalar, bool.
    """
    start = tf.minimum(tf.cast(start, tf.int64), tf.size(data, tf.int64) - len(mark))
    return tf.reduce_all(data[start : start + len(mark)] == tf.constant(list(mark), tf.uint8))


def jpeg_segment(data: tf.Tensor, marker: int, mark: bytes) -> tf.Tensor:
    """Find a segment of a JPEG before the picture's data.

    Args:
        data: of `file_bytes`.
        marker: second byte of the segment's marker.
        mark: what its content starts with.

    Returns:
        Scalar, int64: where its content starts, or ABSENT.
    """

    def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        kind = number(data, position + 1, 1, True)
        content = tf.where((kind == marker) & matches(data, position + 4, mark), position + 4, ABSENT)
        ended = (number(data, position, 1, True) != 0xFF) | (kind == 0xDA) | (kind == 0xD9)
        bare = (kind == 0x01) | ((kind >= 0xD0) & (kind <= 0xD7))  # markers without a length
        length = tf.where(bare, tf.constant(2, tf.int64), 2 + number(data, position + 2, 2, True))
        length = tf.where(kind == 0xFF, tf.constant(1, tf.int64), length)  # a marker may be led by fill bytes
        return content, ended, position + length

    return walk(data, 2, step)


def png_chunk(data: tf.Tensor, name: bytes) -> tf.Tensor:
    """Find a chunk of a PNG.

    Args:
        data: of `file_bytes`.
        name: four letters.

    Returns:
        Scalar, int64: where its content starts, or ABSENT.
    """

    def step(position: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        content = tf.where(matches(data, position + 4, name), position + 8, ABSENT)
        return content, matches(data, position + 4, b"IEND"), position + 12 + number(data, position, 4, True)

    return walk(data, 8, step)


def walk(data: tf.Tensor, start: int, step: Step) -> tf.Tensor:
    """Go from segment to segment of a file until one matches.

    Args:
        data: of `file_bytes`.
        start: of the first segment.
        step: takes a segment's start; gives where its content starts if it matches, else ABSENT; whether to stop; and
            the next segment's start.

    Returns:
        Scalar, int64: where the first match's content starts, or ABSENT.
    """

    def is_unfinished(position: tf.Tensor, content: tf.Tensor, ended: tf.Tensor) -> tf.Tensor:
        return (content < 0) & ~ended & (position < tf.size(data, tf.int64))

    def next_segment(
        position: tf.Tensor, content: tf.Tensor, ended: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        del content, ended
        content, ended, position = step(position)
        return position, tf.cast(content, tf.int64), ended

    first = (tf.constant(start, tf.int64), tf.constant(ABSENT, tf.int64), tf.constant(False))
    return tf.while_loop(is_unfinished, next_segment, first, maximum_iterations=_LONGEST_WALK)[1]
