"""Bytes to an upright RGB picture, under limits, in named formats only."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

# What Pillow may try: each decodes pictures and nothing else. EPS, PDF and the like run programs or hide formats.
# A JPEG of several pictures, as phones make, is opened as JPEG and then named MPO; it is its first picture.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# How many times fewer pixels are allowed than in a JPEG: what is decoded whole, and by WebP's and AVIF's decoders into
# several copies, would take more than 1 GB or 2 s.
_COSTLIER = {"JPEG": 1, "MPO": 1, "WEBP": 4, "AVIF": 4}
_COSTLIER_OTHERS = 2
# A progressive JPEG passes over all its pixels once a scan. Encoders write about ten scans; a file of some kilobytes
# may have thousands.
_SCAN = b"\xff\xda"
_MAX_PASSES = 12
# Values of the orientation tag that ask for a turn; those from the fourth on exchange width and height.
_TURNED = (2, 3, 4, 5, 6, 7, 8)


class UnreadableError(ValueError):
    """The bytes are no picture that may be decoded; the message says why."""


class Decoded(NamedTuple):
    """A picture that was read to its end.

    Attributes:
        image: upright, in mode RGB.
        format: its name, such as "JPEG".
        width: of the upright picture as it was saved, in pixels.
        height: of the upright picture as it was saved, in pixels.
    """

    image: Image.Image
    format: str
    width: int
    height: int


def decode(data: bytes, max_pixels: int, side: int | None = None) -> Decoded:
    """Decode the whole picture, the first frame of an animation, and turn it upright by its EXIF tag.

    Transparent parts become black, as the letterbox is. 16-bit greys are scaled to 8 bits.

    Args:
        data: the file's bytes.
        max_pixels: a picture with more is not decoded.
        side: where given, a JPEG is decoded at the smallest of its scales (1/8, 1/4, 1/2) at which its shorter side is
            at least this many pixels. It is read to its end all the same.

    Raises:
        UnreadableError: empty, cut short, of another format, too large, or broken.
    """
    with open_picture(data, max_pixels) as image:
        width, height = image.size
        _load(image, side)
        orientation = _orientation(image)
        if orientation in _TURNED:
            _turn_upright(image)
        if orientation in _TURNED[3:]:
            width, height = height, width
        return Decoded(_rgb(image), str(image.format), width, height)


def open_picture(data: bytes, max_pixels: int) -> Image.Image:
    """Open a picture in one of the FORMATS without decoding it yet.

    Args:
        data: the file's bytes.
        max_pixels: a picture with more is refused.

    Raises:
        UnreadableError: empty, of another format, too large, or broken.
    """
    if not data:
        raise UnreadableError("the file is empty")
    with _reading():
        image = Image.open(BytesIO(data), formats=FORMATS)
    _refuse_bombs(image, data, max_pixels)
    return image


@contextmanager
def _reading() -> Iterator[None]:
    """Turn whatever Pillow raises about a file into an UnreadableError. Wrap it around calls of Pillow alone.

    Around code of ours it would hide our bugs: they would look like broken pictures.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd EXIF and the like: the picture is judged by its pixels
            yield
    except UnidentifiedImageError:
        raise UnreadableError(f"not a picture in one of the formats {', '.join(FORMATS)}") from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(str(error)) from None
    # Pillow's plugins raise whatever their parsers met; for one file of a library that is an answer, not a crash.
    except Exception as error:
        raise UnreadableError(f"{type(error).__name__}: {error}") from None


def _load(image: Image.Image, side: int | None) -> None:
    with _reading():
        if side is not None:
            image.draft(None, (side, side))
        image.load()


def is_turned(image: Image.Image) -> bool:
    """Say whether a picture's EXIF tag asks to turn it."""
    return _orientation(image) in _TURNED


def _orientation(image: Image.Image) -> int:
    with _reading():
        orientation: int = image.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation


def _turn_upright(image: Image.Image) -> None:
    with _reading():
        ImageOps.exif_transpose(image, in_place=True)


def _refuse_bombs(image: Image.Image, data: bytes, max_pixels: int) -> None:
    """Refuse what would take too long, or too much memory, to decode."""
    allowed = max_pixels // _COSTLIER.get(str(image.format), _COSTLIER_OTHERS)
    if image.width * image.height > allowed:
        raise UnreadableError(
            f"{image.width} x {image.height} pixels are more than fingerprint.max_pixels ({max_pixels}) allows"
            + (f" in a {image.format}: {allowed}" if allowed < max_pixels else "")
        )
    if image.info.get("progressive"):
        num_scans = data.count(_SCAN)
        if num_scans * image.width * image.height > _MAX_PASSES * max_pixels:
            raise UnreadableError(f"{num_scans} scans of {image.width} x {image.height} pixels are too many to decode")


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode == "I":
        # Pillow clips when it converts 16 bits to 8; a photograph would turn white.
        image = _converted(image, "I").point(lambda value: value / 257).convert("L")
    if image.has_transparency_data:
        image = _converted(image, "RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image if image.mode == "RGB" else _converted(image, "RGB")


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """Convert to another mode; the palette and the transparency that take part come from the file."""
    with _reading():
        return image.convert(mode)
