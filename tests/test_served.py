import tarfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pictures import draw
from PIL import Image

from stages.images import decode, letterbox
from stages.images.limits import allowed_pixels
from stages.served import preparation

pytestmark = pytest.mark.slow

SIZE = 48
MAX_PIXELS = 100_000
REAL = Path(__file__).parents[2] / "shared/data"
# Levels of 255 by which the two may differ: at any pixel, and on the mean of a picture's. Where a value lies halfway
# between two levels they round differently: from 18 to 16 pixels, an eighth of the values.
AT_MOST, ON_THE_MEAN = 2, 0.2
COLOUR = draw(1, (203, 121))
SEE_THROUGH = COLOUR.convert("RGBA")
SEE_THROUGH.putalpha(draw(2, (203, 121)).convert("L"))
PALETTE = COLOUR.quantize(50)
DEEP_GREY = Image.fromarray((np.arange(121 * 203, dtype=np.uint16) * 7919).reshape(121, 203))


def encoded(image, kind, **options):
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def without_adobe_mark(jpeg):
    start = jpeg.index(b"\xff\xee")
    return jpeg[:start] + jpeg[start + 2 + int.from_bytes(jpeg[start + 2 : start + 4]) :]


def exif(orientation, byte_order):
    tags = Image.Exif()
    tags.endian = byte_order
    tags[0x010F] = "Maker of cameras"
    tags[0x0112] = orientation
    return tags.tobytes()


@pytest.fixture(scope="module")
def prepare():
    spec = [tf.TensorSpec((), tf.string)]
    return tf.function(lambda data: preparation.prepare(data, SIZE, MAX_PIXELS), input_signature=spec, autograph=False)


def by_pillow(data, size=SIZE):
    return letterbox.letterbox(decode.decode(data, 100_000_000)[0], size)


def assert_equal(ours, theirs):
    difference = np.abs(np.asarray(ours, np.int16) - theirs)
    assert difference.max() <= AT_MOST
    assert difference.mean() <= ON_THE_MEAN


CASES = {
    "jpeg": encoded(COLOUR, "JPEG"),
    "jpeg, colour at full size": encoded(COLOUR, "JPEG", quality=95, subsampling=0),
    "jpeg, colour at half width": encoded(COLOUR, "JPEG", quality=40, subsampling=1),
    "jpeg, progressive": encoded(COLOUR, "JPEG", progressive=True),
    "jpeg, grey": encoded(COLOUR.convert("L"), "JPEG"),
    "jpeg, CMYK": encoded(COLOUR.convert("CMYK"), "JPEG"),
    "jpeg, CMYK without Adobe's mark": without_adobe_mark(encoded(COLOUR.convert("CMYK"), "JPEG")),
    "jpeg, several pictures": encoded(COLOUR, "MPO", save_all=True, append_images=[PALETTE.convert("RGB")]),
    "png": encoded(COLOUR, "PNG"),
    "png, 1 bit": encoded(COLOUR.convert("1"), "PNG"),
    "png, 1 bit, white transparent": encoded(COLOUR.convert("1"), "PNG", transparency=255),
    "png, grey": encoded(COLOUR.convert("L"), "PNG"),
    "png, grey, one level transparent": encoded(COLOUR.convert("L"), "PNG", transparency=100),
    "png, grey and alpha": encoded(SEE_THROUGH.convert("LA"), "PNG"),
    "png, grey of 16 bits": encoded(DEEP_GREY, "PNG"),
    "png, alpha": encoded(SEE_THROUGH, "PNG"),
    "png, one colour transparent": encoded(COLOUR, "PNG", transparency=COLOUR.getpixel((3, 3))),
    "png, palette": encoded(PALETTE, "PNG"),
    "png, palette of 4": encoded(COLOUR.quantize(4), "PNG"),
    "png, palette with alpha": encoded(PALETTE, "PNG", transparency=bytes(range(0, 250, 5))),
    "png, palette of 4 with alpha": encoded(COLOUR.quantize(4), "PNG", transparency=b"\x20\x80"),
    "png, animated": encoded(COLOUR, "PNG", save_all=True, append_images=[PALETTE.convert("RGB")]),
    "gif": encoded(PALETTE, "GIF"),
    "gif, transparent": encoded(PALETTE, "GIF", transparency=3),
    "gif, animated": encoded(PALETTE, "GIF", save_all=True, append_images=[COLOUR.quantize(7)]),
    "bmp": encoded(COLOUR, "BMP"),
    "bmp, grey": encoded(COLOUR.convert("L"), "BMP"),
    "bmp, palette": encoded(PALETTE, "BMP"),
    "bmp, 32 bits": encoded(SEE_THROUGH, "BMP"),
    "webp": encoded(COLOUR, "WEBP"),
    "webp, lossless": encoded(COLOUR, "WEBP", lossless=True),
    "webp, alpha": encoded(SEE_THROUGH, "WEBP"),
    "webp, alpha, lossless": encoded(SEE_THROUGH, "WEBP", lossless=True),
}


@pytest.mark.parametrize("data", CASES.values(), ids=CASES)
def test_every_format_and_mode_is_prepared_as_the_pipeline_does(prepare, data):
    assert_equal(prepare(data), by_pillow(data))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("byte_order", "<>")
def test_a_picture_is_turned_upright_by_each_value_of_its_exif_tag(prepare, kind, byte_order):
    for orientation in range(10):
        data = encoded(COLOUR, kind, exif=exif(orientation, byte_order))
        assert_equal(prepare(data), by_pillow(data))


def test_the_exif_tag_is_found_behind_other_segments(prepare):
    data = encoded(COLOUR, "JPEG", exif=exif(6, ">"), icc_profile=b"profile" * 20_000, comment="on its side")
    assert_equal(prepare(data), by_pillow(data))


@pytest.mark.parametrize("cut", [8, 14, 20, 30])
def test_a_damaged_exif_tag_leaves_the_picture_as_it_is(prepare, cut):
    data = encoded(COLOUR, "JPEG", exif=exif(6, "<")[:cut])
    assert_equal(prepare(data), by_pillow(encoded(COLOUR, "JPEG")))


@settings(max_examples=25)
@example(width=18, height=18, size=16)
@given(width=st.integers(1, 150), height=st.integers(1, 150), size=st.integers(16, 64))
def test_pictures_of_any_shape_are_letterboxed_alike(width, height, size):
    picture = draw(width, (width, height))
    upright = tf.constant(1, tf.int64)
    ours = preparation.letterbox(tf.constant(np.asarray(picture)), upright, size)
    assert_equal(ours, letterbox.letterbox(picture, size))


def test_a_batch_is_its_pictures_one_by_one(prepare):
    data = list(CASES.values())[::8]
    batch = preparation.prepare_batch(tf.constant(data), SIZE, MAX_PIXELS)
    assert batch.shape == (len(data), SIZE, SIZE, 3)
    np.testing.assert_array_equal(batch, np.stack([prepare(picture) for picture in data]))


def test_an_empty_batch_has_no_pictures():
    assert preparation.prepare_batch(tf.constant([], tf.string), SIZE, MAX_PIXELS).shape == (0, SIZE, SIZE, 3)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a picture in one of the formats JPEG, PNG, GIF, BMP, WEBP"),
        (b"\xff", "not a picture in one of the formats"),
        (b"a text file named .jpg", "not a picture in one of the formats"),
        (encoded(COLOUR, "TIFF"), "not a picture in one of the formats"),
        (encoded(COLOUR, "AVIF"), "not a picture in one of the formats"),
        (encoded(COLOUR.convert("1"), "BMP"), "a BMP that is compressed or has other than 8, 24 or 32 bits"),
        (encoded(COLOUR, "WEBP", save_all=True, append_images=[SEE_THROUGH]), "an animated WebP"),
        (b"\x89PNG\r\n\x1a\n", "more than the 50000 pixels that are decoded of a PNG, or none"),
        (b"RIFF1234WEBP", "more than the 25000 pixels that are decoded of a WEBP, or none"),
        (b"GIF89a", "invalid GIF: cut short in its first picture, or without one"),
    ],
)
def test_what_cannot_be_prepared_is_refused_in_words(prepare, data, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        prepare(data)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {}), ("GIF", {}), ("BMP", {}), ("WEBP", {}), ("WEBP", {"lossless": True})],
)
def test_a_picture_of_too_many_pixels_is_refused_before_it_is_decoded(prepare, kind, options):
    message = f"more than the {allowed_pixels(kind, MAX_PIXELS)} pixels that are decoded of a {kind}"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        prepare(encoded(Image.new("RGB", (500, 201)), kind, **options))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
def test_a_picture_cut_in_half_is_refused(prepare, kind):
    data = encoded(COLOUR, kind)
    with pytest.raises(tf.errors.InvalidArgumentError, match="(?i)invalid|fail|match"):
        prepare(data[: len(data) // 2])


@pytest.mark.skipif(not REAL.is_dir(), reason=f"the photos in {REAL.name} are not part of the repository")
@pytest.mark.parametrize("name", ["clothing", "out_of_scope"])
def test_real_photos_are_prepared_as_the_pipeline_does(name):
    large = tf.function(lambda data: preparation.prepare(data, 299, 100_000_000), autograph=False)
    with tarfile.open(REAL / f"{name}.tar") as tar:
        for member in [member for member in tar.getmembers() if member.isfile()][::25]:
            data = tar.extractfile(member).read()
            assert_equal(large(tf.constant(data)), by_pillow(data, 299))
