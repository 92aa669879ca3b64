"""Pictures to files and to other files of the same picture, the same bytes on any machine."""

from io import BytesIO

from PIL import Image

_ORIENTATION = 0x0112
_TURN_RIGHT = 6  # shown upright when turned right by a quarter


def to_jpeg(image: Image.Image, quality: int = 90, exif: Image.Exif | None = None) -> bytes:
    """Encode as JPEG.

    libjpeg-turbo's integer transform gives the same bytes with every instruction set.
    """
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, subsampling=0, exif=exif or Image.Exif())
    return buffer.getvalue()


def to_png(image: Image.Image) -> bytes:
    """Encode as PNG, stored: what zlib-ng compresses differs between instruction sets."""
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=0)
    return buffer.getvalue()


def resave(data: bytes) -> bytes:
    """Store the same pixels in another file."""
    return to_png(_decode(data)) + b"\0"  # what follows a PNG's end is no part of the picture


def recompress(data: bytes) -> bytes:
    """Encode again, at a lower quality."""
    return to_jpeg(_decode(data), quality=70)


def brighten(data: bytes) -> bytes:
    """Make every pixel brighter."""
    return to_jpeg(_decode(data).point([min(255, 12 + value * 112 // 100) for value in range(256)] * 3))


def shrink(data: bytes) -> bytes:
    """Scale to seven eighths."""
    image = _decode(data)
    return to_jpeg(image.resize((image.width * 7 // 8, image.height * 7 // 8), Image.Resampling.BICUBIC))


def lay_on_side(data: bytes) -> bytes:
    """Store the picture lying on its left side, with the EXIF tag that turns it upright."""
    exif = Image.Exif()
    exif[_ORIENTATION] = _TURN_RIGHT
    return to_jpeg(_decode(data).transpose(Image.Transpose.ROTATE_90), exif=exif)


def cut_in_half(data: bytes) -> bytes:
    """Leave the second half out, as a broken upload does."""
    return data[: len(data) // 2]


def degrade(image: Image.Image, kind: int) -> Image.Image:
    """Make a picture hard to read.

    Args:
        image: in mode RGB.
        kind: even: out of focus; odd: taken in the dark.
    """
    if kind % 2:
        return image.point([value * 72 // 100 for value in range(256)] * 3)
    small = image.resize((image.width * 2 // 5, image.height * 2 // 5), Image.Resampling.BILINEAR)
    return small.resize(image.size, Image.Resampling.BICUBIC)


def _decode(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        return image.convert("RGB")
