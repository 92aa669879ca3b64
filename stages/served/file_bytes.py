"""Read numbers and marks in a file's bytes by TensorFlow operations."""

from collections.abc import Callable

import tensorflow as tf

from stages.images.limits import MAX_RUN, MAX_SEGMENTS

ABSENT = -1
# So that a number read near the end of a file that is cut short is zeros, not an error of slicing.
_PADDING = 64
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
    start = _within(data, start, length)
    digits = tf.cast(data[start : start + length], tf.int64)
    weights = [256**digit for digit in range(length)]
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
    start = _within(data, start, len(mark))
    return tf.reduce_all(data[start : start + len(mark)] == tf.constant(list(mark), tf.uint8))


def _within(data: tf.Tensor, start: tf.Tensor | int, length: int) -> tf.Tensor:
    return tf.clip_by_value(tf.cast(start, tf.int64), 0, tf.size(data, tf.int64) - length)


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


def length_of_run(data: tf.Tensor, position: tf.Tensor, stride: tf.Tensor, head: int) -> tf.Tensor:
    """Count blocks of one size that follow each other, and begin with the same bytes.

    Args:
        data: of `file_bytes`.
        position: of the first block.
        stride: bytes from one block to the next.
        head: bytes that must be the same.

    Returns:
        Scalar, int64, from 1 to MAX_RUN.
    """
    starts = position + stride * tf.range(MAX_RUN, dtype=tf.int64)
    indices = tf.minimum(starts[:, tf.newaxis] + tf.range(head, dtype=tf.int64), tf.size(data, tf.int64) - 1)
    heads = tf.gather(data, indices)
    same = tf.reduce_all(heads == heads[:1], axis=1) & (starts < tf.size(data, tf.int64))
    differs = tf.concat([~same, [True]], axis=0)
    return tf.maximum(tf.argmax(differs, output_type=tf.int64), 1)


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
    return tf.while_loop(is_unfinished, next_segment, first, maximum_iterations=MAX_SEGMENTS)[1]
