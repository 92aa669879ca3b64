"""Turn encoded pictures into the network's input by TensorFlow operations: the first part of the exported model.

It equals `letterbox(decode(data))` of this folder, which made the pictures that the model was trained on; a test holds
the two together. JPEG (CMYK too), PNG, GIF (its first frame), BMP and WebP are prepared here. TIFF, AVIF, animated WebP
and BMP that is compressed or has 1, 4 or 16 bits a pixel are refused with a message: TensorFlow cannot decode them, or
not safely. An orientation that stands in XMP alone, without EXIF, is not seen here.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import tensorflow as tf

from stages.served.file_bytes import file_bytes, jpeg_segment, matches, number, png_chunk
from stages.served.orientation import jpeg_orientation, png_orientation, turn_upright, webp_orientation

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_PNG_GREY_16 = b"\x10\x00"  # depth 16 and colour type 0, as they follow each other in the header
_APP14 = 0xEE
_ADOBE_CMYK = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # start of a JPEG, and Adobe's segment
_PNG_ALPHA = 4  # the lowest colour type with an alpha channel


def prepare_batch(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Prepare encoded pictures, one after the other.

    Args:
        encoded: shape (pictures,), string: the files' bytes.
        size: side of the square in pixels.
        max_pixels: a picture with more is refused before it is decoded.

    Returns:
        Tensor of shape (pictures, size, size, 3), uint8.

    Raises:
        tf.errors.InvalidArgumentError: when run on bytes that are no whole picture in one of FORMATS.
    """
    one = tf.TensorSpec((size, size, 3), tf.uint8)
    return tf.map_fn(lambda data: prepare(data, size, max_pixels), encoded, fn_output_signature=one)


def prepare(encoded: tf.Tensor, size: int, max_pixels: int) -> tf.Tensor:
    """Prepare one encoded picture.

    Args:
        encoded: scalar, string: the file's bytes.
        size: side of the square in pixels.
        max_pixels: a picture with more is refused before it is decoded.

    Returns:
        Tensor of shape (size, size, 3), uint8.

    Raises:
        tf.errors.InvalidArgumentError: when run on bytes that are no whole picture in one of FORMATS.
    """
    return letterbox(decode(encoded, max_pixels), size)


def decode(encoded: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Decode one picture, the first frame of an animation, and turn it upright; transparent parts become black.

    Args:
        encoded: scalar, string: the file's bytes.
        max_pixels: a picture with more is refused before it is decoded.

    Returns:
        Tensor of shape (height, width, 3), uint8.

    Raises:
        tf.errors.InvalidArgumentError: when run on bytes that are no whole picture in one of FORMATS.
    """
    data = file_bytes(encoded)
    marks = (
        matches(data, 0, b"\xff\xd8\xff"),
        matches(data, 0, b"\x89PNG\r\n\x1a\n"),
        matches(data, 0, b"GIF8"),
        matches(data, 0, b"BM"),
        matches(data, 0, b"RIFF") & matches(data, 8, b"WEBP"),
        tf.constant(True),
    )
    decoders: list[Callable[[], tf.Tensor]] = [
        lambda: _jpeg(encoded, data, max_pixels),
        lambda: _png(encoded, data, max_pixels),
        lambda: _gif(encoded, data, max_pixels),
        lambda: _bmp(encoded, data, max_pixels),
        lambda: _webp(encoded, data, max_pixels),
        _unknown,
    ]
    return tf.switch_case(tf.argmax(tf.stack(marks), output_type=tf.int32), decoders)


def letterbox(pixels: tf.Tensor, size: int) -> tf.Tensor:
    """Scale a picture so that its longer side is `size` and centre it on a black square.

    Args:
        pixels: shape (height, width, 3), uint8, upright.
        size: side of the square in pixels.

    Returns:
        Tensor of shape (size, size, 3), uint8.
    """
    shape = tf.shape(pixels)
    width, height = fitted(shape[1], shape[0], size)
    # First across and then down, rounded to 8 bits in between, as Pillow does it.
    across = _scale(pixels, tf.stack([shape[0], width]))
    down = _scale(across, tf.stack([height, width]))
    square = tf.image.pad_to_bounding_box(down, (size - height) // 2, (size - width) // 2, size, size)
    return tf.ensure_shape(square, (size, size, 3))


def fitted(width: tf.Tensor, height: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale a picture's sides so that the longer one is `size`; the shorter one is rounded down, and at least 1."""
    longer = tf.maximum(width, height)
    return tf.maximum(1, width * size // longer), tf.maximum(1, height * size // longer)


def _scale(pixels: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    scaled = tf.image.resize(pixels, shape, method="bilinear", antialias=True)
    return tf.cast(tf.floor(scaled + 0.5), tf.uint8)


def _jpeg(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    shape = tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64)
    # Pillow takes the inks of every CMYK file for inverted as Adobe's are, TensorFlow only of those that say so.
    unmarked = (shape[2] == 4) & (jpeg_segment(data, _APP14, b"Adobe") < 0)
    marked = tf.strings.join([_ADOBE_CMYK, tf.strings.substr(encoded, 2, tf.strings.length(encoded) - 2)])
    encoded = tf.where(unmarked, marked, encoded)
    with _limit(shape[1], shape[0], max_pixels):
        # The same libjpeg settings as Pillow's; TensorFlow's own defaults are faster and less exact.
        pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
    return turn_upright(pixels, jpeg_orientation(data))


def _png(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    with _limit(number(data, 16, 4, True), number(data, 20, 4, True), max_pixels):
        # Four channels only where there is alpha: for fewer than 8 bits a pixel TensorFlow fills in an alpha of 1.
        has_alpha = (number(data, 25, 1, True) >= _PNG_ALPHA) | (png_chunk(data, b"tRNS") >= 0)
        decoders: list[Callable[[], tf.Tensor]] = [
            lambda: tf.io.decode_png(encoded, channels=3),
            lambda: _on_black(tf.io.decode_png(encoded, channels=4)),
            lambda: _grey_16(tf.io.decode_png(encoded, channels=1, dtype=tf.uint16)),
        ]
        kind = tf.where(matches(data, 24, _PNG_GREY_16), 2, tf.cast(has_alpha, tf.int32))
        pixels = tf.switch_case(kind, decoders)
    return turn_upright(pixels, png_orientation(data))


def _gif(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    with _limit(number(data, 6, 2, False), number(data, 8, 2, False), max_pixels):
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)


def _bmp(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    height = number(data, 22, 4, False)
    height = tf.minimum(height, 2**32 - height)  # negative where the rows run from the top
    depth, plain = number(data, 28, 2, False), number(data, 30, 4, False) == 0
    message = "a BMP that is compressed or has other than 8, 24 or 32 bits a pixel: save it as PNG or JPEG"
    known = tf.debugging.Assert(plain & ((depth == 8) | (depth == 24) | (depth == 32)), [message])
    with tf.control_dependencies([known]), _limit(number(data, 18, 4, False), height, max_pixels):
        pixels = tf.io.decode_bmp(encoded)
    palette = _bmp_palette(data)
    return tf.cond(depth == 8, lambda: tf.gather(palette, tf.cast(pixels[..., 0], tf.int32)), lambda: pixels[..., :3])


def _bmp_palette(data: tf.Tensor) -> tf.Tensor:
    """The 256 colours of an 8-bit BMP, of which a file may hold fewer: blue, green, red and a spare byte each."""
    start = 14 + number(data, 14, 4, False)
    entries = data[start : start + 4 * 256]
    entries = tf.pad(entries, [[0, 4 * 256 - tf.size(entries)]])
    return tf.reshape(entries, (256, 4))[:, 2::-1]


def _webp(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    extended = matches(data, 12, b"VP8X")
    # TensorFlow 2.21 writes past its buffer on an animation without alpha, and decodes every frame of others.
    animated = extended & (number(data, 20, 1, False) // 2 % 2 == 1)
    still = tf.debugging.Assert(~animated, ["an animated WebP: save one picture of it as WebP, PNG or JPEG"])
    with tf.control_dependencies([still]), _limit(*_webp_sides(data), max_pixels):
        pixels = tf.io.decode_webp(encoded)[0]
    has_alpha = tf.shape(pixels)[2] == 4
    pixels = tf.cond(has_alpha, lambda: _on_black(pixels), lambda: pixels[..., :3])
    return turn_upright(pixels, webp_orientation(data))


def _webp_sides(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Width and height by the header of an extended, a lossless or a lossy file."""
    lossless = number(data, 21, 4, False)
    sides = (
        (1 + number(data, 24, 3, False), 1 + number(data, 27, 3, False)),
        (1 + lossless % 2**14, 1 + lossless // 2**14 % 2**14),
        (number(data, 26, 2, False) % 2**14, number(data, 28, 2, False) % 2**14),
    )
    kind = tf.where(matches(data, 12, b"VP8X"), 0, tf.where(matches(data, 12, b"VP8L"), 1, 2))
    return tf.gather(tf.stack(sides), kind)[0], tf.gather(tf.stack(sides), kind)[1]


def _unknown() -> tf.Tensor:
    refused = tf.debugging.Assert(tf.constant(False), [f"not a picture in one of the formats {', '.join(FORMATS)}"])
    with tf.control_dependencies([refused]):
        return tf.zeros((1, 1, 3), tf.uint8)


def _limit(width: tf.Tensor, height: tf.Tensor, max_pixels: int) -> AbstractContextManager[None]:
    """Hold what is decoded in the context back until the picture is known not to be a decompression bomb."""
    message = f"the picture has more than the {max_pixels} pixels that are decoded, or none"
    pixels = width * height
    checked: AbstractContextManager[None] = tf.control_dependencies(
        [tf.debugging.Assert((pixels > 0) & (pixels <= max_pixels), [message])]
    )
    return checked


def _grey_16(grey: tf.Tensor) -> tf.Tensor:
    return tf.repeat(tf.cast(grey // 257, tf.uint8), 3, axis=2)


def _on_black(pixels: tf.Tensor) -> tf.Tensor:
    """Colour times alpha over 255, rounded in whole numbers as Pillow's `alpha_composite` does."""
    pixels = tf.cast(pixels, tf.uint16)
    product = pixels[..., :3] * pixels[..., 3:] + 128
    return tf.cast((product + product // 256) // 256, tf.uint8)
