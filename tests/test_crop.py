"""The copy of a picture holds the very pixels that the stages read, whatever the file was."""

from datetime import datetime
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from curation.crop import Crop, cropped
from runtime.errors import InputError
from stages.images.decode import decode
from stages.images.taken import Taken, taken

WIDTH, HEIGHT = 60, 40
MOST = 10**6
FORMS = [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("WEBP", "RGB")]
CAMERAS = [
    ("Canon",),
    ("Canon", "Canon EOS 5D"),
    ("NIKON CORPORATION", "D90", "0042"),
    ("Müller", "Größe 1"),
    ("x" * 60, "y z" * 15, "s" * 64),
]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def file_of(form: str, mode: str = "RGB", orientation: int = 1, camera=(), taken_at="", **options) -> bytes:
    """A noisy picture of a form, lying as its orientation tag says."""
    size = (HEIGHT, WIDTH) if orientation > 4 else (WIDTH, HEIGHT)
    noise = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for tag, text in zip((0x010F, 0x0110), camera, strict=False):
        exif[tag] = text
    if taken_at:
        exif.get_ifd(0x8769)[0x9003] = taken_at
    if camera[2:]:
        exif.get_ifd(0x8769)[0xA431] = camera[2].decode()
    out = BytesIO()
    Image.fromarray(noise).convert(mode).save(out, form, exif=exif, **options)
    return out.getvalue()


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode(data, MOST).image)


@given(st.data())
def test_a_crop_holds_the_pixels_that_the_stages_read_turned(data):
    form, mode = data.draw(st.sampled_from(FORMS))
    file = file_of(form, mode, data.draw(st.integers(1, 8)))
    left, top = data.draw(st.integers(0, WIDTH - 16)), data.draw(st.integers(0, HEIGHT - 16))
    right, bottom = data.draw(st.integers(left + 16, WIDTH)), data.draw(st.integers(top + 16, HEIGHT))
    crop = Crop(left, top, right, bottom, data.draw(st.integers(0, 3)))
    if crop == (0, 0, WIDTH, HEIGHT, 0):
        return
    copy = cropped(file, crop, MOST)
    assert np.array_equal(pixels(copy), np.rot90(pixels(file)[top:bottom, left:right], -crop.turns))
    assert copy == cropped(file, crop, MOST)


@pytest.mark.parametrize("camera", CAMERAS)
def test_moment_and_camera_stay_and_all_else_of_exif_goes(camera):
    written = [each.encode() for each in camera]
    file = file_of("JPEG", camera=written, taken_at="2026:05:04 03:02:01", orientation=6)
    before = taken(file)
    assert before.taken_at == datetime(2026, 5, 4, 3, 2, 1)
    copy = cropped(file, Crop(0, 0, 30, 30, 0), MOST)
    assert taken(copy) == before
    assert 0x0112 not in Image.open(BytesIO(copy)).getexif()


def test_without_a_moment_there_is_none():
    assert taken(cropped(file_of("PNG"), Crop(0, 0, 30, 30, 0), MOST)) == Taken(None, None)


def test_a_colour_profile_stays_unless_it_is_of_other_colours():
    crop = Crop(0, 0, 30, 30, 1)
    kept = Image.open(BytesIO(cropped(file_of("JPEG", icc_profile=SRGB), crop, MOST)))
    assert kept.info["icc_profile"] == SRGB
    odd = Image.open(BytesIO(cropped(file_of("JPEG", "CMYK", icc_profile=SRGB[:16] + b"CMYK" + SRGB[20:]), crop, MOST)))
    assert "icc_profile" not in odd.info


@pytest.mark.parametrize(
    ("crop", "words"),
    [
        (Crop(0, 0, WIDTH + 1, HEIGHT, 0), "lies outside of the picture, which has 60 by 40 pixels"),
        (Crop(30, 0, 20, HEIGHT, 0), "lies outside"),
        (Crop(0, 0, WIDTH, HEIGHT, 4), "4 quarter turns are not 0 to 3"),
        (Crop(0, 0, 15, HEIGHT, 0), "at least 16 pixels each way"),
        (Crop(0, 0, WIDTH, HEIGHT, 0), "would be no copy of its own"),
    ],
)
def test_what_is_no_crop_is_refused(crop, words):
    with pytest.raises(InputError, match=words):
        cropped(file_of("PNG"), crop, MOST)
