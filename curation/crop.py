"""Crop a picture and turn it by quarters: a PNG of the very pixels that the stages read of it.

A JPEG could be cropped without loss only at the borders of its blocks, by a library that we do not have. What EXIF said
of the moment and the camera stays, and so does a colour profile; all else of the file is left behind.
"""

import warnings
from contextlib import suppress
from io import BytesIO
from typing import NamedTuple

from PIL import Image

from runtime.errors import InputError
from stages.images.decode import FORMATS, decode
from stages.images.taken import Taken, taken

LEAST_SIDE = 16  # pixels of a crop
_MAKE, _MODEL, _SERIAL, _EXIF_DIRECTORY, _ORIGINAL = 0x010F, 0x0110, 0xA431, 0x8769, 0x9003
_MOST_TEXT = 64  # bytes of a tag that `stages/images/taken.py` reads
_RGB = b"RGB "  # in a colour profile: what it is about
_TURNS = {1: Image.Transpose.ROTATE_270, 2: Image.Transpose.ROTATE_180, 3: Image.Transpose.ROTATE_90}
TURNED = ("not turned", "turned to the right", "turned upside down", "turned to the left")


class Crop(NamedTuple):
    """What is kept of a picture, and how it is turned then.

    Attributes:
        left: in pixels of the upright picture, from its left side; the first that stays.
        top: likewise, from above.
        right: the first that does not stay.
        bottom: likewise.
        turns: quarter turns to the right, 0 to 3.
    """

    left: int
    top: int
    right: int
    bottom: int
    turns: int

    @property
    def words(self) -> str:
        """Say it in words, as `why` does."""
        return f"{self.left},{self.top} to {self.right},{self.bottom}, {TURNED[self.turns]}"


def cropped(data: bytes, crop: Crop, max_pixels: int) -> bytes:
    """Make the copy of a picture.

    Args:
        data: of its file.
        crop: what is kept.
        max_pixels: a picture with more is not decoded.

    Returns:
        A PNG; the same for the same file and crop.

    Raises:
        InputError: the crop lies outside of the picture, is smaller than `LEAST_SIDE`, or changes nothing.
        UnreadableError: the picture cannot be decoded.
    """
    image = decode(data, max_pixels).image
    _require_within(crop, image.width, image.height)
    image = image.crop(crop[:4])
    if crop.turns:
        image = image.transpose(_TURNS[crop.turns])
    out = BytesIO()
    image.save(out, "PNG", exif=_exif(taken(data)), icc_profile=_profile(data))
    return out.getvalue()


def _require_within(crop: Crop, width: int, height: int) -> None:
    if crop.turns not in range(len(TURNED)):
        raise InputError(f"{crop.turns} quarter turns are not 0 to 3.")
    if not (0 <= crop.left < crop.right <= width and 0 <= crop.top < crop.bottom <= height):
        raise InputError(f"{crop.words} lies outside of the picture, which has {width} by {height} pixels.")
    if min(crop.right - crop.left, crop.bottom - crop.top) < LEAST_SIDE:
        raise InputError(f"a crop has at least {LEAST_SIDE} pixels each way. Choose a larger part.")
    if crop == (0, 0, width, height, 0):
        raise InputError("the whole picture as it is would be no copy of its own. Crop it, or turn it.")


def _exif(moment: Taken) -> Image.Exif:
    """Write what the stages read of EXIF, so that a copy is of the burst that its original is of."""
    exif = Image.Exif()
    inner = exif.get_ifd(_EXIF_DIRECTORY)
    parts = dict(zip((_MAKE, _MODEL, _SERIAL), _parts(moment.camera or ""), strict=False))
    if _SERIAL in parts:  # of a directory whose tags Pillow takes for texts only where they are `str`
        inner[_SERIAL] = parts.pop(_SERIAL).decode(errors="replace")
    if moment.taken_at is not None:
        inner[_ORIGINAL] = f"{moment.taken_at:%Y:%m:%d %H:%M:%S}"
    for tag, text in parts.items():
        exif[tag] = text
    return exif


def _parts(camera: str) -> list[bytes]:
    """Part a camera's name, which joins three tags, into texts that a tag can hold."""
    parts: list[bytes] = []
    for word in camera.split():
        longer = b" ".join([*parts[-1:], word.encode()])
        if parts and len(longer) <= _MOST_TEXT:
            parts[-1] = longer
        else:
            parts.append(word.encode()[:_MOST_TEXT])
    return parts


def _profile(data: bytes) -> bytes | None:
    """Give the colour profile of a file; None where it has none, or one of other colours than those that are copied."""
    # An odd profile, or an odd chunk before it, costs the profile and not the copy: the pixels were read already.
    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(BytesIO(data), formats=FORMATS) as image:
            profile = image.info.get("icc_profile")
            return profile if isinstance(profile, bytes) and profile[16:20] == _RGB else None
    return None
