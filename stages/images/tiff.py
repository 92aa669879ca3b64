"""Which TIFFs are read: those whose pixels Pillow's decoders give rightly."""

from typing import Any

from PIL.TiffImagePlugin import TiffImageFile

from stages.images.errors import UnreadableError

_BITS, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 262, 284, 339
_UNSIGNED = 1
_SAMPLE_FORMATS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "undefined", 5: "complex", 6: "complex"}
_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_PHOTOMETRICS = {_WHITE_IS_ZERO, _GREY, _RGB, _PALETTE, _CMYK, _YCBCR}
_REMEDY = "save it as PNG or JPEG"


def white_is_zero(image: TiffImageFile) -> bool:
    """Say whether a picture of 16-bit grey counts from white to black: Pillow does not turn these around."""
    return image.mode.startswith("I;16") and image.tag_v2.get(_PHOTOMETRIC, _WHITE_IS_ZERO) == _WHITE_IS_ZERO


def require_right_pixels(image: TiffImageFile) -> None:
    """Refuse what Pillow opens, and then clips, scrambles or misreads.

    Args:
        image: an open TIFF, not yet decoded.

    Raises:
        UnreadableError: with words that say what the file has.
    """
    tags = image.tag_v2
    bits, formats = _numbers(tags.get(_BITS, 1)), _numbers(tags.get(_SAMPLE_FORMAT, _UNSIGNED))
    photometric = tags.get(_PHOTOMETRIC, _WHITE_IS_ZERO)
    if formats - {_UNSIGNED}:
        names = " and ".join(_SAMPLE_FORMATS.get(number, "unknown") for number in sorted(formats))
        raise UnreadableError(f"a TIFF of {names} numbers (SampleFormat): {_REMEDY}")
    if not bits <= {1, 2, 4, 8, 16} or len(bits) > 1:
        raise UnreadableError(f"a TIFF of {', '.join(map(str, sorted(bits)))} bits (BitsPerSample): {_REMEDY}")
    if photometric not in _PHOTOMETRICS:
        raise UnreadableError(f"a TIFF in colours of its own (PhotometricInterpretation {photometric}): {_REMEDY}")
    if tags.get(_PLANES, 1) != 1 and (bits != {8} or photometric == _YCBCR):
        raise UnreadableError(
            f"a TIFF that holds each colour apart (PlanarConfiguration), in {max(bits)} bits: {_REMEDY}"
        )


def _numbers(value: Any) -> set[int]:
    return set(value) if isinstance(value, tuple) else {value}
