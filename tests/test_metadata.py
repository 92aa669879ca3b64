"""What the gateway keeps of a picture: its pixels and its orientation, and nothing that says where or by whom."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from mutations import WHOLE, mutated
from pictures import draw, saved
from PIL import Image

from serving.metadata import without_metadata
from stages.images.decode import decode
from stages.images.errors import UnreadableError

MAX_PIXELS = 10**6
SECRET = b"48.8584 N 2.2945 E"
FORMATS = ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"]


def pixels_of(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, MAX_PIXELS).image)


def photo(kind: str, orientation: int) -> bytes:
    """A picture that says in every way it has where it was taken."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = orientation, SECRET.decode()
    exif.get_ifd(0x8825)[29] = SECRET.decode()
    options = {"exif": exif, "xmp": b"<x>" + SECRET + b"</x>"} if kind not in ("GIF", "BMP") else {}
    return saved(draw(1, (40, 30)), kind, **options, **({"comment": SECRET} if kind in ("JPEG", "GIF") else {}))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", FORMATS)
def test_pixels_and_orientation_stay_and_no_other_byte_of_metadata_does(kind, orientation):
    data = photo(kind, orientation)
    assert (SECRET in data) == (kind != "BMP")
    kept = without_metadata(data + SECRET, MAX_PIXELS)  # what phones hang on: a film, a second picture
    assert SECRET not in kept
    np.testing.assert_array_equal(pixels_of(kept), pixels_of(data))
    with Image.open(BytesIO(kept)) as image:
        assert set(image.getexif()) <= {0x0112}
        assert not {"xmp", "comment", "icc_profile", "photoshop"} & image.info.keys()


def test_compressed_pixels_stay_bit_for_bit_and_taking_off_twice_changes_nothing():
    for kind in ("JPEG", "PNG", "WEBP"):
        plain = saved(draw(2), kind)
        assert without_metadata(photo(kind, 6), MAX_PIXELS) != plain
        once = without_metadata(plain, MAX_PIXELS)
        assert without_metadata(once, MAX_PIXELS) == once
        assert max(len(once), len(plain)) - min(len(once), len(plain)) < 64


@pytest.mark.parametrize("name", WHOLE)
def test_every_odd_kind_of_file_keeps_its_pixels(name):
    np.testing.assert_array_equal(pixels_of(without_metadata(WHOLE[name], MAX_PIXELS)), pixels_of(WHOLE[name]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_picture_that_is_cut_short_stays_so(kind):
    data = saved(draw(1, (400, 300)), kind)
    with pytest.raises(UnreadableError):
        decode(without_metadata(data[: len(data) // 2], MAX_PIXELS), MAX_PIXELS)


@settings(max_examples=300)
@given(mutated())
def test_a_damaged_file_that_is_read_keeps_its_pixels(case):
    _, data = case
    try:
        expected = pixels_of(data)
    except UnreadableError:
        return
    np.testing.assert_array_equal(pixels_of(without_metadata(data, MAX_PIXELS)), expected)
