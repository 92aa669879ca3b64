"""The chunks of a PNG that its pixels need, in TensorFlow operations: as `stages/images/png.py` chooses them."""

import zlib
from typing import NamedTuple

import tensorflow as tf

from stages.images.limits import MAX_STEPS
from stages.images.png import GREY, HEADER_END, IEND, PALETTE, RGB
from stages.served.file_bytes import ABSENT, length_of_run, matches, number

_IDAT, _PLTE, _TRNS, _EXIF = (int.from_bytes(name) for name in (b"IDAT", b"PLTE", b"tRNS", b"eXIf"))
_ANCILLARY = 0x20000000  # in a name: its first letter is a small one
_CRC_TABLE = [zlib.crc32(bytes([byte])) ^ zlib.crc32(b"\0") for byte in range(256)]


class Png(NamedTuple):
    """A PNG without what its pixels do not need.

    Attributes:
        encoded: scalar, string: signature, IHDR, PLTE, tRNS, IDAT and IEND.
        exif: scalar, int64: where its EXIF block starts, or ABSENT.
        transparency: scalar, int64: where the content of tRNS starts; ABSENT where there is none, or a damaged one.
        is_whole: scalar, bool.
    """

    encoded: tf.Tensor
    exif: tf.Tensor
    transparency: tf.Tensor
    is_whole: tf.Tensor


class _Chunks(NamedTuple):
    """Where the chunks stand that are needed: start of the length, and end of the checksum; 0 for none."""

    palette: tf.Tensor
    palette_end: tf.Tensor
    transparency: tf.Tensor
    transparency_end: tf.Tensor
    pixels: tf.Tensor
    pixels_end: tf.Tensor
    exif: tf.Tensor


def needed(encoded: tf.Tensor, data: tf.Tensor) -> Png:
    """Choose the chunks that the pixels need.

    Args:
        encoded: scalar, string: the file's bytes.
        data: of `file_bytes`.
    """
    chunks, is_whole = _walk(encoded, data)
    is_transparent = _has_transparency(data, chunks)
    transparency_end = tf.where(is_transparent, chunks.transparency_end, chunks.transparency)
    is_palette = number(data, 25, 1, True) == PALETTE
    palette_end = tf.where(is_palette, chunks.palette_end, chunks.palette)
    parts = (
        (tf.constant(0, tf.int64), tf.constant(HEADER_END, tf.int64)),
        (chunks.palette, palette_end),
        (chunks.transparency, transparency_end),
        (chunks.pixels, chunks.pixels_end),
    )
    size = tf.cast(tf.strings.length(encoded), tf.int64)
    texts = [tf.strings.substr(encoded, tf.minimum(start, size), end - start) for start, end in parts]
    absent = tf.constant(ABSENT, tf.int64)
    exif = tf.where(chunks.exif > 0, chunks.exif, absent)
    transparency = tf.where(is_transparent, chunks.transparency + 8, absent)
    return Png(tf.strings.join([*texts, tf.constant(IEND)]), exif, transparency, is_whole)


def _walk(encoded: tf.Tensor, data: tf.Tensor) -> tuple[_Chunks, tf.Tensor]:
    size = tf.cast(tf.strings.length(encoded), tf.int64)

    def goes_on(position: tf.Tensor, is_good: tf.Tensor, chunks: _Chunks) -> tf.Tensor:
        del chunks
        return is_good & ~matches(data, position, IEND)

    def step(position: tf.Tensor, is_good: tf.Tensor, chunks: _Chunks) -> tuple[tf.Tensor, tf.Tensor, _Chunks]:
        stride, name = 12 + number(data, position, 4, True), number(data, position + 4, 4, True)
        end = position + stride * length_of_run(data, position, stride, 8)
        is_pixels, before = name == _IDAT, chunks.pixels == 0
        interrupted = is_pixels & (chunks.pixels_end > 0) & (chunks.pixels_end != position)
        unknown = (name // _ANCILLARY % 2 == 0) & ~is_pixels & (name != _PLTE)
        is_palette = (name == _PLTE) & before & (chunks.palette == 0)
        is_transparency = (name == _TRNS) & before & (chunks.transparency == 0)
        chunks = _Chunks(
            tf.where(is_palette, position, chunks.palette),
            tf.where(is_palette, position + stride, chunks.palette_end),
            tf.where(is_transparency, position, chunks.transparency),
            tf.where(is_transparency, position + stride, chunks.transparency_end),
            tf.where(is_pixels & before, position, chunks.pixels),
            tf.where(is_pixels, end, chunks.pixels_end),
            tf.where((name == _EXIF) & (chunks.exif == 0), position + 8, chunks.exif),
        )
        return end, is_good & ~interrupted & ~unknown & (end <= size), chunks

    none = _Chunks(*[tf.constant(0, tf.int64)] * 7)
    first = (tf.constant(HEADER_END, tf.int64), matches(data, 8, b"\0\0\0\rIHDR") & (size >= HEADER_END), none)
    end, is_good, chunks = tf.while_loop(goes_on, step, first, maximum_iterations=MAX_STEPS)
    return chunks, is_good & matches(data, end, IEND) & (chunks.pixels > 0)


def _has_transparency(data: tf.Tensor, chunks: _Chunks) -> tf.Tensor:
    """Say whether the decoder heeds tRNS: it has the right length, its place and a right checksum."""
    start, end = chunks.transparency, chunks.transparency_end
    length, colours = end - start - 12, number(data, 25, 1, True)
    in_place = (chunks.palette > 0) & (chunks.palette < start)
    fits_palette = in_place & (length >= 1) & (length <= (chunks.palette_end - chunks.palette - 12) // 3)
    fits = tf.where(
        colours == PALETTE, fits_palette, ((colours == GREY) & (length == 2)) | ((colours == RGB) & (length == 6))
    )
    intact = tf.cond(fits & (start > 0), lambda: _crc32(data, start + 4, end - 4), lambda: tf.constant(-1, tf.int64))
    return intact == number(data, end - 4, 4, True)


def _crc32(data: tf.Tensor, start: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    table = tf.constant(_CRC_TABLE, tf.int64)

    def add(position: tf.Tensor, crc: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        index = tf.bitwise.bitwise_and(tf.bitwise.bitwise_xor(crc, tf.cast(data[position], tf.int64)), 255)
        return position + 1, tf.bitwise.bitwise_xor(table[index], crc // 256)

    first = (start, tf.constant(2**32 - 1, tf.int64))
    crc = tf.while_loop(lambda position, _: position < end, add, first)[1]
    return 2**32 - 1 - crc
