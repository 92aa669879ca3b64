"""Bytes to an upright RGB picture, under limits, in named formats only."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from stages.images import gif, png, tiff
from stages.images.errors import TooLargeError, UnreadableError
from stages.images.limits import MAX_PASSES, SCAN, allowed_pixels
from stages.images.orientation import (
    SIDEWAYS,
    UPRIGHT,
    exif_orientation,
    jpeg_orientation,
    jpeg_segments,
    turn_upright,
    webp_orientation,
)

# What Pillow may try: each decodes pictures and nothing else. Formats such as EPS and PDF run programs or hide others.
# A JPEG of several pictures, as phones make, is opened as JPEG and then named MPO; it is its first picture.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
# The segment that begins a lossless JPEG: browsers and the served graph cannot decode those.
_LOSSLESS = 0xC3
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


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
    opened = open_picture(data, max_pixels)
    with opened.image as image:
        _load(image, side)
        upright = turn_upright(_pixels(opened), opened.orientation)
        return Decoded(upright, str(image.format), *opened.upright_size)


class Opened(NamedTuple):
    """A picture whose head was read.

    Attributes:
        image: as Pillow opened it; of a GIF, the first frame.
        orientation: the value of the orientation tag; 1 where the picture is to be left as it is.
        size: width and height as saved; of a GIF, the canvas's.
        corner: where a GIF's first frame is on the canvas: left and top.
        transparent_grey: of 16-bit grey, the value that is transparent.
    """

    image: Image.Image
    orientation: int
    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    transparent_grey: int | None = None

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return self.size[::-1] if self.orientation in SIDEWAYS else self.size


def open_picture(data: bytes, max_pixels: int) -> Opened:
    """Open a picture in one of the FORMATS without decoding it yet.

    Args:
        data: the file's bytes.
        max_pixels: a picture with more is refused.

    Raises:
        UnreadableError: empty, of another format, too large, or broken.
    """
    if not data:
        raise UnreadableError("the file is empty")
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC and b"avif" not in data[:64]:
        raise UnreadableError("a HEIC picture, which only Apple's programs read everywhere: save it as JPEG or PNG")
    opened = _opened(data, max_pixels)
    _refuse_bombs(opened, data, max_pixels)
    return opened


def _opened(data: bytes, max_pixels: int) -> Opened:
    if data.startswith(png.SIGNATURE):
        return _opened_png(data, max_pixels)
    if data.startswith(b"GIF8"):
        frame = gif.first_frame(data)
        _require_few_pixels("GIF", frame.width, frame.height, max_pixels)
        return Opened(_open(frame.data), UPRIGHT, (frame.width, frame.height), (frame.left, frame.top))
    image = _open(data)
    if isinstance(image, TiffImageFile):
        tiff.require_right_pixels(image)
    # Pillow, and its decoder of TIFF, would turn a picture by what XMP says of it; viewers do not.
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)
    return Opened(image, _orientation(image, data), image.size)


def _opened_png(data: bytes, max_pixels: int) -> Opened:
    _require_few_pixels("PNG", int.from_bytes(data[16:20]), int.from_bytes(data[20:24]), max_pixels)
    needed = png.needed(data)
    image = _open(needed.data)
    return Opened(image, needed.orientation, image.size, transparent_grey=needed.transparent_grey)


def _open(data: bytes) -> Image.Image:
    with _reading():
        return Image.open(BytesIO(data), formats=FORMATS)


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


def _orientation(image: Image.Image, data: bytes) -> int:
    if image.format in ("JPEG", "MPO"):
        return jpeg_orientation(data)
    if image.format == "WEBP":
        return webp_orientation(data)
    # A TIFF is turned by its decoder; a BMP and a GIF have no tag.
    return exif_orientation(image.info.get("exif", b"")) if image.format == "AVIF" else UPRIGHT


def _refuse_bombs(opened: Opened, data: bytes, max_pixels: int) -> None:
    """Refuse what would take too long, or too much memory, to decode."""
    name, (width, height) = str(opened.image.format), opened.size
    _require_few_pixels(name, width, height, max_pixels)
    if name in ("JPEG", "MPO"):
        num_scans = data.count(SCAN)
        if num_scans * width * height > MAX_PASSES * max_pixels:
            raise UnreadableError(f"{num_scans} scans of {width} x {height} pixels are too many to decode")
        if any(marker == _LOSSLESS for marker, _ in jpeg_segments(data)):
            raise UnreadableError("a lossless JPEG, which browsers cannot show: save it as PNG")


def _require_few_pixels(name: str, width: int, height: int, max_pixels: int) -> None:
    allowed = allowed_pixels(name, max_pixels)
    if width * height > allowed:
        raise TooLargeError(
            f"{width} x {height} pixels are more than fingerprint.max_pixels ({max_pixels}) allows"
            + (f" in a {name}: {allowed}" if allowed < max_pixels else "")
        )


def _pixels(opened: Opened) -> Image.Image:
    """Give a loaded picture in RGB, as it lies in the file; what is transparent becomes black."""
    image = opened.image
    if isinstance(image, TiffImageFile) and tiff.white_is_zero(image):
        return _rgb(Image.fromarray(65535 - np.asarray(image)))
    if opened.transparent_grey is not None:
        greys = np.asarray(image)
        return _rgb(Image.fromarray(np.where(greys == opened.transparent_grey, 0, greys).astype(np.uint16)))
    if opened.size == image.size or image.format != "GIF":
        return _rgb(image)
    canvas = Image.new("RGB", opened.size)  # of a GIF; what its first frame leaves is as black as what is transparent
    canvas.paste(_rgb(image), opened.corner)
    return canvas


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
