import re

import numpy as np
import odd_files
import pytest
from pictures import draw, exif_of, saved
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from stages.images import decode as module
from stages.images import small
from stages.images.decode import decode
from stages.images.errors import UnreadableError

LIMIT = 10**8


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_every_named_format_is_read_and_its_name_given(kind):
    image, name, *_ = decode(saved(draw(1), kind), LIMIT)
    assert (image.mode, image.size, name) == ("RGB", (40, 30), kind)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_is_turned_upright_by_its_exif_tag(orientation):
    upright = draw(1)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    image, _, width, height = decode(saved(stored, "PNG", exif=exif_of(orientation)), LIMIT)
    assert np.array_equal(np.asarray(image), np.asarray(upright))
    assert (width, height) == upright.size


def test_a_large_jpeg_is_decoded_smaller_and_keeps_its_size_in_words():
    decoded = decode(saved(draw(1, (1280, 960)), "JPEG", exif=exif_of(6)), LIMIT, 128)
    assert decoded.image.size == (240, 320)
    assert (decoded.width, decoded.height) == (960, 1280)
    with pytest.raises(UnreadableError, match="truncated"):
        decode(saved(draw(1, (1280, 960)), "JPEG")[:-99], LIMIT, 128)


def test_cmyk_grey_palette_and_16_bits_become_rgb():
    assert decode(saved(draw(1).convert("CMYK"), "JPEG"), LIMIT)[0].mode == "RGB"
    assert decode(saved(draw(1).convert("L"), "PNG"), LIMIT)[0].mode == "RGB"
    assert decode(saved(draw(1).convert("P"), "PNG"), LIMIT)[0].mode == "RGB"
    deep = Image.fromarray(np.full((4, 4), 32896, dtype=np.uint16))
    assert decode(saved(deep, "PNG"), LIMIT)[0].getpixel((0, 0)) == (128, 128, 128)


def test_what_is_transparent_becomes_black():
    image = Image.new("RGBA", (4, 4), (255, 255, 255, 0))
    assert decode(saved(image, "PNG"), LIMIT)[0].getpixel((0, 0)) == (0, 0, 0)
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 255, 255, 255])
    assert decode(saved(palette, "PNG", transparency=1), LIMIT)[0].getpixel((0, 0)) == (0, 0, 0)


def test_an_animation_gives_its_first_frame():
    data = saved(draw(1), "GIF", save_all=True, append_images=[draw(2), draw(3)])
    still = decode(saved(draw(1), "GIF"), LIMIT)[0]
    assert np.abs(np.asarray(decode(data, LIMIT)[0], int) - np.asarray(still, int)).mean() < 3


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"plain text, not a picture", "not a picture in one of the formats JPEG"),
        (saved(draw(1), "JPEG")[:-100], "OSError: image file is truncated"),
        (saved(draw(1), "PNG")[:700], "a PNG that is cut short"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture in one of the formats"),
        (saved(Image.new("1", (30_000, 30_000)), "PNG"), "900000000 pixels|30000 x 30000 pixels are more than"),
    ],
)
def test_what_is_no_whole_picture_is_refused_with_the_reason(data, message):
    with pytest.raises(UnreadableError, match=message):
        decode(data, LIMIT)


def test_a_picture_over_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(UnreadableError, match="40 x 30 pixels are more than fingerprint.max_pixels \\(1000\\) allows"):
        decode(saved(draw(1), "PNG"), 1000)


@pytest.mark.parametrize(("data", "words"), odd_files.tiffs_misread().values(), ids=odd_files.tiffs_misread())
def test_a_tiff_whose_pixels_would_be_misread_is_refused_in_words(data, words):
    with pytest.raises(UnreadableError, match=f"a TIFF .*{re.escape(words)}.*save it as PNG or JPEG"):
        decode(data, LIMIT)


def test_a_tiff_of_16_bit_grey_is_read_whichever_end_is_white():
    assert np.array_equal(np.asarray(decode(odd_files.grey_16_white_is_zero(), LIMIT).image)[..., 0], odd_files.GREY)


def test_a_tiff_is_not_turned_by_its_xmp():
    assert np.array_equal(np.asarray(decode(odd_files.with_xmp_tiff(), LIMIT).image), odd_files.COLOUR)


def test_heic_is_named_in_its_refusal():
    with pytest.raises(UnreadableError, match="a HEIC picture.*save it as JPEG or PNG"):
        decode(odd_files.heic(), LIMIT)


def buggy(*_):
    raise TypeError("a bug of ours")


@pytest.mark.parametrize("function", ["_refuse_bombs", "_rgb"])
def test_a_bug_of_ours_is_not_taken_for_a_broken_picture(monkeypatch, function):
    monkeypatch.setattr(module, function, buggy)
    with pytest.raises(TypeError, match="a bug of ours"):
        decode(saved(draw(1), "PNG"), LIMIT)


def test_a_bug_while_a_plain_jpeg_is_decoded_is_not_taken_for_a_broken_picture(monkeypatch):
    monkeypatch.setattr(small, "turn_pixels", buggy)
    with pytest.raises(TypeError, match="a bug of ours"):
        small.decode_small(saved(draw(1), "JPEG"), LIMIT)


def raise_as_a_parser_does(*_):
    raise KeyError("of a parser")


@pytest.mark.parametrize("function", ["draft", "load", "convert"])
def test_whatever_pillow_raises_about_a_file_is_its_error(monkeypatch, function):
    data = saved(draw(1).convert("CMYK"), "JPEG")
    owner = Image.Image if function == "convert" else JpegImageFile
    monkeypatch.setattr(owner, function, raise_as_a_parser_does)
    with pytest.raises(UnreadableError, match="KeyError: 'of a parser'"):
        decode(data, LIMIT, 128)
