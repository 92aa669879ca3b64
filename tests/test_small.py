from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, exif_of, saved
from PIL import Image

from stages.images.decode import decode
from stages.images.errors import UnreadableError
from stages.images.small import SIDE, _bands, _digest, decode_plain_jpeg, decode_small, small_pixels

LIMIT = 10**8


def assert_as_pillow_decodes(data: bytes) -> None:
    image, kind, width, height = decode(data, LIMIT, SIDE)
    small = decode_small(data, LIMIT)
    assert np.array_equal(small.pixels, small_pixels(image))
    assert small.digest == _digest(width, height, _bands(image))
    assert (small.format, small.width, small.height) == (kind, width, height)


@given(
    st.integers(0, 50),
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.sampled_from(["RGB", "L", "CMYK"]),
    st.integers(10, 95),
    st.integers(0, 2),
    st.booleans(),
    st.sampled_from([1, 1, 1, 3, 6]),
)
def test_a_jpeg_is_decoded_to_the_pixels_that_pillow_gives(seed, size, mode, quality, subsampling, progressive, turn):
    options = {"quality": quality, "subsampling": subsampling, "progressive": progressive, "exif": exif_of(turn)}
    data = saved(draw(seed, size).convert(mode), "JPEG", **options)
    assert_as_pillow_decodes(data)
    assert (decode_plain_jpeg(data, LIMIT) is None) == (mode == "CMYK")


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "AVIF"])
def test_what_is_no_jpeg_is_decoded_as_pillow_does(kind):
    assert_as_pillow_decodes(saved(draw(1, (300, 500)), kind))


def test_what_libjpeg_warns_of_is_left_to_pillow():
    data = saved(draw(1, (600, 400)), "JPEG")
    odd = data.replace(b"\xff\xda", b"\0\0\0\xff\xda", 1)  # extraneous bytes, which Pillow takes no offence at
    assert decode_plain_jpeg(odd, LIMIT) is None
    assert_as_pillow_decodes(odd)
    with pytest.raises(UnreadableError, match="truncated"):
        decode_small(data[:-99], LIMIT)
    with pytest.raises(UnreadableError, match="600 x 400 pixels are more than"):
        decode_small(data, 1000)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("turn", [1, 6])
def test_a_jpeg_that_was_cut_and_closed_is_read_and_called_damaged(mode, turn):
    data = saved(draw(1, (600, 400)).convert(mode), "JPEG", exif=exif_of(turn))
    assert not decode_small(data, LIMIT).is_damaged
    assert decode_small(data[: len(data) * 6 // 10] + b"\xff\xd9", LIMIT).is_damaged


def test_a_large_picture_is_shrunk_and_digested_whole():
    image = Image.new("RGB", (900, 700), "white")
    one = decode_small(saved(image, "PNG"), LIMIT)
    image.putpixel((899, 699), (255, 255, 254))
    other = decode_small(saved(image, "PNG"), LIMIT)
    assert one.pixels.shape == (100, 129, 4)
    assert one.digest != other.digest
    assert decode_small(saved(Image.new("RGB", (5000, 3)), "PNG"), LIMIT).pixels.shape == (3, 1250, 4)


@given(st.integers(0, 50), st.tuples(st.integers(1, 300), st.integers(1, SIDE)))
def test_the_digest_is_of_the_pixels_whatever_holds_them(seed, size):
    data = saved(draw(seed, size), "JPEG")
    again = Image.open(BytesIO(data)).convert("RGB")
    digests = {decode_small(saved(again, kind), LIMIT).digest for kind in ("PNG", "BMP", "TIFF")}
    assert digests == {decode_small(data, LIMIT).digest}


def test_the_digest_tells_sizes_apart():
    sizes = [(2, 8), (8, 2), (4, 4)]
    assert len({decode_small(saved(Image.new("RGB", size), "PNG"), LIMIT).digest for size in sizes}) == len(sizes)
