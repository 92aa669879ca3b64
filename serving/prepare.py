"""What somebody sent, made into what is kept and what models take; done in a process of its own.

A picture is refused in words before it is decoded where it is beyond the limits, and after where it is broken.
"""

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.parameters import Quality
from serving.metadata import num_scans, without_metadata
from serving.processes import Work
from stages.images.decode import decode, open_picture
from stages.images.errors import TooLargeError, UnreadableError
from stages.images.faults import faults_of
from stages.images.fingerprint import grey_of, quality
from stages.images.letterbox import letterbox
from stages.images.limits import SCAN, allowed_pixels
from stages.images.small import decode_small

BAD_REQUEST, TOO_LARGE, NO_FORMAT_OF_OURS, BROKEN = 400, 413, 415, 422
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"II*\0", b"MM\0*")
# Encoders write 10 scans, 18 for four inks; Chromium and Android show no JPEG of more than 99 (ProgressMonitor in
# Chromium's jpeg_image_decoder.cc). Time follows the pixels of all scans: 12 times those of the largest picture took
# 2.3 s.
_MAX_SCANS, _MAX_SCANS_OF_LARGEST = 99, 10
_TAKEN = "JPEG, PNG, WebP, GIF, BMP, TIFF and AVIF are taken."


class Refused(NamedTuple):
    """What is answered where a picture is not taken."""

    status: int  # of HTTP
    words: str


class Prepared(NamedTuple):
    """A picture that is taken."""

    kept: bytes  # the same picture without metadata
    format: str  # as it was sent
    width: int  # upright
    height: int
    faults: list[str]
    pixels: dict[int, NDArray[np.uint8]]  # by the side of the square that it was letterboxed to


class Limits(NamedTuple):
    """What is taken, and what is a fault."""

    max_pixels: int
    quality: Quality
    least_sharpness: float


def preparing(limits: Limits) -> Work:
    """Give the function that prepares a picture, of its bytes and the sides of the squares that models take."""
    quality(np.zeros((8, 8), np.uint8))  # Numba compiles, or reads what it compiled
    grey_of(np.zeros((8, 8, 4), np.uint8))
    return lambda task: prepare(task[0], task[1], limits)


def prepare(data: bytes, sides: Collection[int], limits: Limits) -> Prepared | Refused:
    """Prepare one picture.

    Args:
        data: as it was sent.
        sides: of the squares that models take.
        limits: of pictures.
    """
    if not _is_of_a_format(data):
        return Refused(NO_FORMAT_OF_OURS, f"This is no picture in a format that can be read. {_TAKEN}")
    try:
        with open_picture(data, limits.max_pixels).image as opened:
            name, num_pixels = str(opened.format), opened.width * opened.height
        if name in ("JPEG", "MPO"):
            _require_few_scans(data, min(_MAX_SCANS, _MAX_SCANS_OF_LARGEST * limits.max_pixels // num_pixels))
        kept = without_metadata(data, limits.max_pixels)
        small = decode_small(kept, limits.max_pixels)
        image = decode(kept, limits.max_pixels).image if sides else None
    except TooLargeError:
        return Refused(TOO_LARGE, _too_many_pixels(limits.max_pixels))
    except UnreadableError as error:
        return Refused(BROKEN, f"This picture cannot be read: {error}. Send another one.")
    measured = {"width": small.width, "height": small.height, "is_damaged": small.is_damaged}
    faults = faults_of(measured | quality(grey_of(small.pixels)), limits.quality, limits.least_sharpness)
    pixels = {side: letterbox(image, side) for side in sides} if image else {}
    return Prepared(kept, name, small.width, small.height, faults, pixels)


def _is_of_a_format(data: bytes) -> bool:
    return data.startswith(_STARTS) or data[8:12] in (b"WEBP", b"avif", b"avis")


def _require_few_scans(data: bytes, allowed: int) -> None:
    if data.count(SCAN) > allowed and (number := num_scans(data)) > allowed:  # most never have so many such bytes
        raise UnreadableError(f"it has {number} scans, and at most {allowed} are taken in a JPEG of its size")


def _too_many_pixels(max_pixels: int) -> str:
    most, fewest = (allowed_pixels(name, max_pixels) / 1e6 for name in ("JPEG", "WEBP"))
    return (
        f"This picture has too many pixels. At most {most:g} million are taken in a JPEG, {fewest:g} million in a WebP "
        f"or AVIF, {allowed_pixels('PNG', max_pixels) / 1e6:g} million in any other format. Send a smaller one."
    )
