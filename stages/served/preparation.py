"""Turn encoded pictures into the network's input by TensorFlow operations: the first part of the exported model.

It equals `letterbox(decode(data))` of `stages/images`, which made the pictures that the model was trained on; a test
holds the two together. JPEG (CMYK too), PNG, GIF (its first frame), BMP and WebP are prepared here. TIFF, AVIF,
animated WebP and BMP that is compressed or has 1, 4 or 16 bits per pixel are refused with a message: TensorFlow cannot
decode them, or not safely. A picture may cost here what it may cost there: `stages/images/limits.py`.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import tensorflow as tf

from stages.images.limits import MAX_PASSES, SCAN, allowed_pixels
from stages.images.orientation import UPRIGHT
from stages.images.png import GREY, RGB
from stages.served.file_bytes import file_bytes, jpeg_segment, matches, number
from stages.served.gif import first_frame
from stages.served.orientation import is_sideways, jpeg_orientation, orientation_at, turn_upright, webp_orientation
from stages.served.png import needed

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
_APP14 = 0xEE
_ADOBE_CMYK = b"\xff\xd8\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"  # start of a JPEG, and Adobe's segment
# Pixels that are changed at a time.
_BAND = 2**21
Stored = tuple[tf.Tensor, tf.Tensor]
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
    # One at a time: a batch then needs no more memory than its largest picture.
    return tf.map_fn(
        lambda data: prepare(data, size, max_pixels), encoded, fn_output_signature=one, parallel_iterations=1
    )


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
    return letterbox(*decode(encoded, max_pixels), size)


def decode(encoded: tf.Tensor, max_pixels: int) -> Stored:
    """Decode one picture, the first frame of an animation; transparent parts become black.

    Args:
        encoded: scalar, string: the file's bytes.
        max_pixels: a picture with more is refused before it is decoded.

    Returns:
        Tensor of shape (height, width, 3), uint8, as the file has it; and the value of its orientation tag.

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
    decoders: list[Callable[[], Stored]] = [
        lambda: _jpeg(encoded, data, max_pixels),
        lambda: _png(encoded, data, max_pixels),
        lambda: _gif(encoded, data, max_pixels),
        lambda: _bmp(encoded, data, max_pixels),
        lambda: _webp(encoded, data, max_pixels),
        _unknown,
    ]
    pixels, orientation = tf.switch_case(tf.argmax(tf.stack(marks), output_type=tf.int32), decoders)
    return pixels, orientation


def letterbox(pixels: tf.Tensor, orientation: tf.Tensor, size: int) -> tf.Tensor:
    """Scale a picture so that its longer side is `size`, turn it upright, and centre it on a black square.

    Args:
        pixels: shape (height, width, 3), uint8, as the file has it.
        orientation: scalar, int64: the value of its orientation tag.
        size: side of the square in pixels.

    Returns:
        Tensor of shape (size, size, 3), uint8.
    """
    width, height = fitted(tf.shape(pixels)[1], tf.shape(pixels)[0], size)
    # First across and then down, rounded to 8 bits in between, as Pillow scales the upright picture. It is turned when
    # it is small: that takes no time, and no second copy.
    scaled = tf.cond(
        is_sideways(orientation),
        lambda: _across(_down(pixels, height), width),
        lambda: _down(_across(pixels, width), height),
    )
    upright = turn_upright(scaled, orientation)
    height, width = tf.shape(upright)[0], tf.shape(upright)[1]
    square = tf.image.pad_to_bounding_box(upright, (size - height) // 2, (size - width) // 2, size, size)
    return tf.ensure_shape(square, (size, size, 3))


def fitted(width: tf.Tensor, height: tf.Tensor, size: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Scale a picture's sides so that the longer one is `size`; the shorter one is rounded down, and at least 1."""
    longer = tf.maximum(width, height)
    return tf.maximum(1, width * size // longer), tf.maximum(1, height * size // longer)


def _across(pixels: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    return _in_bands(pixels, lambda band: _scale(band, tf.stack([tf.shape(band)[0], width])))


def _down(pixels: tf.Tensor, height: tf.Tensor) -> tf.Tensor:
    return _scale(pixels, tf.stack([height, tf.shape(pixels)[1]]))


def _scale(pixels: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    scaled = tf.image.resize(pixels, shape, method="bilinear", antialias=True)
    return tf.cast(tf.floor(scaled + 0.5), tf.uint8)


def _in_bands(pixels: tf.Tensor, function: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """Change some rows at a time, so that what is computed in wider numbers never holds the whole picture.

    Args:
        pixels: shape (height, width, channels).
        function: from rows to as many rows of three colours, uint8.
    """
    rows = tf.maximum(1, _BAND // tf.shape(pixels)[1])
    count = -(-tf.shape(pixels)[0] // rows)

    def step(number: tf.Tensor, bands: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        return number + 1, bands.write(number, function(pixels[number * rows : (number + 1) * rows]))

    none = tf.TensorArray(tf.uint8, count, infer_shape=False, element_shape=(None, None, 3))
    bands = tf.while_loop(lambda number, _: number < count, step, (0, none), parallel_iterations=1)[1]
    return bands.concat()


def _jpeg(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> Stored:
    shape = tf.cast(tf.image.extract_jpeg_shape(encoded), tf.int64)
    # Pillow takes the inks of every CMYK file for inverted as Adobe's are, TensorFlow only of those that say so.
    unmarked = (shape[2] == 4) & (jpeg_segment(data, _APP14, b"Adobe") < 0)
    marked = tf.strings.join([_ADOBE_CMYK, tf.strings.substr(encoded, 2, tf.strings.length(encoded) - 2)])
    encoded = tf.where(unmarked, marked, encoded)
    num_scans = tf.size(tf.where((data[:-1] == SCAN[0]) & (data[1:] == SCAN[1])), tf.int64)
    message = "the picture has too many scans to decode"
    few_scans = tf.debugging.Assert(num_scans * shape[0] * shape[1] <= MAX_PASSES * max_pixels, [message])
    with tf.control_dependencies([few_scans]), _limit("JPEG", shape[1], shape[0], max_pixels):
        # The same libjpeg settings as Pillow's; TensorFlow's own defaults are faster and less exact.
        pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE", fancy_upscaling=True)
    return pixels, jpeg_orientation(data)


def _png(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> Stored:
    with _limit("PNG", number(data, 16, 4, True), number(data, 20, 4, True), max_pixels):
        encoded, exif, transparency, is_whole = needed(encoded, data)
    message = "invalid PNG: cut short, or a chunk that its pixels need is damaged or absent"
    depth, colours = number(data, 24, 1, True), number(data, 25, 1, True)
    has_transparency = transparency >= 0
    with tf.control_dependencies([tf.debugging.Assert(is_whole, [message])]):
        is_deep_grey, is_deep_rgb = (depth == 16) & (colours == GREY), (depth == 16) & (colours == RGB)
        # Four channels only where there is alpha: for fewer than 8 bits per pixel TensorFlow fills in an alpha of 1.
        pixels = tf.case(
            [
                (is_deep_grey, lambda: _grey_16(encoded, data, transparency)),
                (is_deep_rgb & has_transparency, lambda: _rgb_16(encoded, data, transparency)),
                (
                    (colours >= _PNG_ALPHA) | has_transparency,
                    lambda: _on_black(tf.io.decode_png(encoded, channels=4)),
                ),
            ],
            default=lambda: tf.io.decode_png(encoded, channels=3),
        )
    return pixels, orientation_at(data, exif)


def _grey_16(encoded: tf.Tensor, data: tf.Tensor, transparency: tf.Tensor) -> tf.Tensor:
    grey = tf.io.decode_png(encoded, channels=1, dtype=tf.uint16)
    value = tf.cast(number(data, transparency, 2, True), tf.uint16)
    grey = tf.cond(transparency >= 0, lambda: tf.where(grey == value, tf.zeros_like(grey), grey), lambda: grey)
    return _in_bands(grey, lambda band: tf.repeat(tf.cast(_over_256(band - _over_256(band)), tf.uint8), 3, axis=2))


def _rgb_16(encoded: tf.Tensor, data: tf.Tensor, transparency: tf.Tensor) -> tf.Tensor:
    """Compare with the transparent colour by the upper eight bits, which are all that is decoded."""
    pixels = tf.io.decode_png(encoded, channels=3)
    value = tf.stack([data[transparency + offset] for offset in (0, 2, 4)])
    return tf.where(tf.reduce_all(pixels == value, axis=2, keepdims=True), tf.zeros_like(pixels), pixels)


def _gif(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> Stored:
    frame = first_frame(encoded, data)
    message = "invalid GIF: cut short in its first picture, or without one"
    whole = tf.debugging.Assert(frame.is_whole, [message])
    with _limit("GIF", frame.width, frame.height, max_pixels), tf.control_dependencies([whole]):
        pixels = tf.io.decode_image(frame.encoded, channels=3, expand_animations=False)
    places = (tf.cast(value, tf.int32) for value in (frame.top, frame.left, frame.height, frame.width))
    return tf.image.pad_to_bounding_box(tf.ensure_shape(pixels, (None, None, 3)), *places), _upright()


def _bmp(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> Stored:
    height = number(data, 22, 4, False)
    height = tf.minimum(height, 2**32 - height)  # negative where the rows run from the top
    depth, plain = number(data, 28, 2, False), number(data, 30, 4, False) == 0
    message = "a BMP that is compressed or has other than 8, 24 or 32 bits per pixel: save it as PNG or JPEG"
    known = tf.debugging.Assert(
        plain & ((depth == 8) | (depth == 24) | (depth == 32)) & (number(data, 14, 4, False) >= 40), [message]
    )
    with tf.control_dependencies([known]), _limit("BMP", number(data, 18, 4, False), height, max_pixels):
        pixels = tf.io.decode_bmp(encoded)
    palette = _bmp_palette(data)
    coloured = tf.cond(
        depth == 8,
        lambda: _in_bands(pixels, lambda band: tf.gather(palette, tf.cast(band[..., 0], tf.int32))),
        lambda: pixels[..., :3],
    )
    return coloured, _upright()


def _bmp_palette(data: tf.Tensor) -> tf.Tensor:
    """The 256 colours of an 8-bit BMP, of which a file may hold fewer: blue, green, red and a spare byte each."""
    start, colours = 14 + number(data, 14, 4, False), number(data, 46, 4, False)
    colours = tf.where((colours > 0) & (colours < 256), colours, 256)
    entries = data[start : start + 4 * colours]
    entries = tf.pad(entries, [[0, 4 * 256 - tf.size(entries)]])
    return tf.reshape(entries, (256, 4))[:, 2::-1]


def _webp(encoded: tf.Tensor, data: tf.Tensor, max_pixels: int) -> Stored:
    extended = matches(data, 12, b"VP8X")
    # TensorFlow 2.21 writes past its buffer on an animation without alpha, and decodes every frame of others.
    animated = extended & (number(data, 20, 1, False) // 2 % 2 == 1)
    still = tf.debugging.Assert(~animated, ["an animated WebP: save one picture of it as WebP, PNG or JPEG"])
    with tf.control_dependencies([still]), _limit("WEBP", *_webp_sides(data), max_pixels):
        pixels = tf.io.decode_webp(encoded)[0]
    has_alpha = tf.shape(pixels)[2] == 4
    pixels = tf.cond(has_alpha, lambda: _on_black(pixels), lambda: pixels[..., :3])
    return pixels, webp_orientation(data)


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


def _unknown() -> Stored:
    refused = tf.debugging.Assert(tf.constant(False), [f"not a picture in one of the formats {', '.join(FORMATS)}"])
    with tf.control_dependencies([refused]):
        return tf.zeros((1, 1, 3), tf.uint8), _upright()


def _upright() -> tf.Tensor:
    return tf.constant(UPRIGHT, tf.int64)


def _limit(name: str, width: tf.Tensor, height: tf.Tensor, max_pixels: int) -> AbstractContextManager[None]:
    """Hold what is decoded in the context back until the picture is known not to be a decompression bomb."""
    allowed = allowed_pixels(name, max_pixels)
    message = f"the picture has more than the {allowed} pixels that are decoded of a {name}, or none"
    pixels = width * height
    checked: AbstractContextManager[None] = tf.control_dependencies(
        [tf.debugging.Assert((pixels > 0) & (pixels <= allowed), [message])]
    )
    return checked


def _over_256(values: tf.Tensor) -> tf.Tensor:
    """Divide by 256 and drop the rest: a shift takes a fraction of the time of TensorFlow's division."""
    return tf.bitwise.right_shift(values, tf.constant(8, values.dtype))


def _on_black(pixels: tf.Tensor) -> tf.Tensor:
    """Colour times alpha over 255, rounded in whole numbers as Pillow's `alpha_composite` does."""

    def composed(band: tf.Tensor) -> tf.Tensor:
        band = tf.cast(band, tf.uint16)
        product = band[..., :3] * band[..., 3:] + 128
        return tf.cast(_over_256(product + _over_256(product)), tf.uint8)

    return _in_bands(pixels, composed)
