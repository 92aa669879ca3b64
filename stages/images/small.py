"""Bytes to what a fingerprint is taken from: a picture as small as the hash allows, and a digest of all its pixels."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import xxhash
from numpy.typing import NDArray
from PIL import Image
from simplejpeg import decode_jpeg

from stages.images.decode import decode, open_picture
from stages.images.orientation import turn_pixels

# Fingerprints are taken from pictures whose shorter side is from this to twice this. Half of it would decode faster
# still, but then the hash is within 2 bits of the whole picture's in 98.9 % of the photographs only, now in 99.8 %
# (docs/measurements/fingerprints.md).
SIDE = 96
# The same for the longer side of a strip, which is shrunk along it alone.
_LONGEST = 1024
# Pixels that are digested at a time, so that no second copy of a large picture is made.
_BAND = 2**22
_JPEG = b"\xff\xd8"


class Small(NamedTuple):
    """A picture that was read to its end.

    Attributes:
        pixels: shape (height, width, 4), uint8: red, green, blue and 255, upright, the shorter side below 2 x SIDE.
        digest: 32 hex digits, equal for pictures that differ only as files; of a large JPEG, at the scale decoded.
        format: its name, such as "JPEG".
        width: of the upright picture as it was saved, in pixels.
        height: of the upright picture as it was saved, in pixels.
        is_damaged: libjpeg warned of data that is missing or corrupt, and filled in what it could.
    """

    pixels: NDArray[np.uint8]
    digest: str
    format: str
    width: int
    height: int
    is_damaged: bool = False


def decode_small(data: bytes, max_pixels: int) -> Small:
    """Decode the whole picture, as `decode` does, and shrink it.

    Args:
        data: the file's bytes.
        max_pixels: a picture with more is not decoded.

    Raises:
        UnreadableError: empty, cut short, of another format, too large, or broken.
    """
    is_jpeg = data.startswith(_JPEG)
    small = decode_plain_jpeg(data, max_pixels) if is_jpeg else None
    if small:
        return small
    image, name, width, height = decode(data, max_pixels, SIDE)
    digest = _digest(width, height, _bands(image))
    return Small(small_pixels(image), digest, name, width, height, is_jpeg and _is_warned_of(data))


def decode_plain_jpeg(data: bytes, max_pixels: int) -> Small | None:
    """Decode a JPEG to the pixels that Pillow gives, without its copies: in up to a third less time.

    Args:
        data: the file's bytes.
        max_pixels: a picture with more is not decoded.

    Returns:
        None for what is left to Pillow: a picture that is neither RGB nor grey, or has a fault that libjpeg warns of.

    Raises:
        UnreadableError: Pillow refuses the file's head.
    """
    opened = open_picture(data, max_pixels)
    with opened.image as image:
        if image.mode not in ("RGB", "L"):
            return None
        name, (width, height) = str(image.format), opened.size
    scale = next(scale for scale in (8, 4, 2, 1) if min(width, height) >= scale * SIDE or scale == 1)
    try:
        pixels = decode_jpeg(data, "RGBA", min_height=-(-height // scale), min_width=-(-width // scale))
    except ValueError:
        return None
    pixels = np.ascontiguousarray(turn_pixels(pixels, opened.orientation))
    width, height = opened.upright_size
    digest = _digest(width, height, [pixels])
    factors = _factors(pixels.shape[1], pixels.shape[0])
    if factors != (1, 1):
        whole = Image.frombuffer("RGBX", (pixels.shape[1], pixels.shape[0]), pixels, "raw", "RGBX", 0, 1)
        pixels = np.array(whole.reduce(factors))
    return Small(pixels, digest, name, width, height)


def _is_warned_of(data: bytes) -> bool:
    """Say whether libjpeg decodes a JPEG, and warns: at an eighth of its size, where it reads every byte too."""
    for colours in ("RGBA", "CMYK"):
        try:
            decode_jpeg(data, colours, min_height=1, min_width=1, strict=False)
        except ValueError:  # ink is not turned to light, nor light to ink
            continue
        try:
            decode_jpeg(data, colours, min_height=1, min_width=1)
        except ValueError:
            return True
        return False
    return False


def small_pixels(image: Image.Image) -> NDArray[np.uint8]:
    """Shrink a picture by whole numbers until its shorter side is below 2 x SIDE.

    Args:
        image: upright, in mode RGB.

    Returns:
        Shape (height, width, 4), uint8: red, green, blue and 255.
    """
    factors = _factors(image.width, image.height)
    return _opaque(image.reduce(factors) if factors != (1, 1) else image)


def _factors(width: int, height: int) -> tuple[int, int]:
    factor = max(1, min(width, height) // SIDE)
    return max(factor, width // _LONGEST), max(factor, height // _LONGEST)


def _bands(image: Image.Image) -> Iterator[NDArray[np.uint8]]:
    rows = max(1, _BAND // image.width)
    for top in range(0, image.height, rows):
        yield _opaque(image.crop((0, top, image.width, min(top + rows, image.height))))


def _digest(width: int, height: int, bands: Iterable[NDArray[np.uint8]]) -> str:
    digest = xxhash.xxh3_128(b"%d x %d " % (width, height))
    for band in bands:
        digest.update(band.data)
    return digest.hexdigest()


def _opaque(image: Image.Image) -> NDArray[np.uint8]:
    """Shape (height, width, 4): `image.convert("RGBA")`, five times as fast."""
    pixels = np.frombuffer(image.tobytes("raw", "RGBX"), "<u4") | np.uint32(0xFF000000)
    return pixels.view(np.uint8).reshape(image.height, image.width, 4)
