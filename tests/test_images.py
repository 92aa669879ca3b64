from functools import partial
from io import BytesIO

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, hash_of, thumbnail_of
from PIL import Image, ImageFilter

from stages.duplicates.thumbnail import CHROMA_SIDE, DETAIL_SIDE
from stages.duplicates.thumbnail import SIDE as THUMBNAIL_SIDE
from stages.duplicates.thumbnail import _weights as shrinking
from stages.images.fingerprint import _shrunk_cosines as cosines
from stages.images.fingerprint import chroma, grey_of, perceptual_hash, quality
from stages.images.letterbox import fitted, letterbox
from stages.images.small import SIDE, small_pixels
from stages.shards.codec import encode
from stages.shards.prepared import decode

pytestmark = pytest.mark.slow


@given(st.integers(1, 5000), st.integers(1, 5000), st.integers(16, 512))
def test_a_fitted_picture_fills_the_square_one_way_and_keeps_its_shape(width, height, size):
    fitted_width, fitted_height = fitted(width, height, size)
    assert max(fitted_width, fitted_height) == size
    assert min(fitted_width, fitted_height) >= 1
    assert abs(fitted_width / fitted_height - width / height) <= max(width / height, 1) * 2 / min(
        fitted_width, fitted_height
    )


def test_a_letterboxed_picture_is_centred_on_black():
    square = letterbox(Image.new("RGB", (40, 20), "white"), 32)
    assert square.shape == (32, 32, 3)
    assert (square[8:24] == 255).all()
    assert not square[:8].any()
    assert not square[24:].any()


@given(st.integers(0, 50), st.sampled_from(["png", "webp"]))
def test_a_prepared_picture_comes_back_bit_for_bit(seed, codec):
    pixels = letterbox(draw(seed), 24)
    data = encode(pixels, codec)
    assert np.array_equal(np.asarray(Image.open(BytesIO(data)).convert("RGB")), pixels)
    assert np.array_equal(decode(data), pixels)
    assert encode(pixels, codec) == data


def bits_between(image):
    return (hash_of(image) ^ int(str(imagehash.phash(image)), 16)).bit_count()


def test_the_hash_is_imagehash_s_but_for_coefficients_near_the_median():
    sizes = [(40, 30), (320, 240), (97, 500), (31, 33), (1280, 960)]
    distances = [bits_between(draw(seed, size)) for seed in range(20) for size in sizes]
    assert max(distances) <= 4
    assert np.mean(np.array(distances) <= 2) >= 0.95


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 255))
def test_a_plain_field_has_one_hash_whatever_its_size_and_its_grey(width, height, grey):
    assert perceptual_hash(np.full((height, width), grey, np.uint8)) == (1 << 63 if grey else 0)


@pytest.mark.parametrize(
    "weights", [cosines, partial(shrinking, side=THUMBNAIL_SIDE), partial(shrinking, side=DETAIL_SIDE)]
)
def test_the_products_are_whole_numbers_that_float64_holds(weights):
    longest = 2 * 1024
    white = np.full((2 * SIDE, longest), 255, dtype=object)
    rows, columns = (abs(weights(length).astype(int)).astype(object) for length in white.shape)
    assert (rows.sum(axis=1).max() * 255) * columns.sum(axis=1).max() * 2 < 2**53
    assert np.array_equal(weights(321), np.rint(weights(321)))


SIZES = st.tuples(st.integers(1, 180), st.integers(1, 180))


@given(st.integers(0, 50), SIZES)
def test_grey_is_pillow_s(seed, size):
    image = draw(seed, size)
    assert np.array_equal(grey_of(small_pixels(image)), np.asarray(image.convert("L")))


@given(st.integers(0, 50), SIZES)
def test_the_brightness_of_a_thumbnail_is_what_pillow_computes_in_floating_point(seed, size):
    """Of whole greys, Pillow rounds and cuts off what one direction gives before it takes the other."""
    image = draw(seed, size)
    greys = image.convert("L").convert("F")
    expected = np.ravel(greys.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.LANCZOS))
    brightness = np.frombuffer(thumbnail_of(image)[: THUMBNAIL_SIDE**2], np.uint8).astype(int)
    assert np.abs(brightness - np.clip(expected, 0, 255)).max() <= 0.51


@given(st.integers(0, 50), st.tuples(st.integers(1, 50), st.integers(1, 50)))
def test_the_colours_of_a_thumbnail_are_means_of_what_each_cell_covers(seed, size):
    image = draw(seed, size)
    side = CHROMA_SIDE
    cells = np.asarray(image, float).repeat(side, axis=0).repeat(side, axis=1).reshape(side, size[1], side, size[0], 3)
    red, green, blue = np.moveaxis(cells.mean(axis=(1, 3)), -1, 0)
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = np.stack([(blue - brightness) / 1.772 + 128, (red - brightness) / 1.402 + 128])
    chroma = np.frombuffer(thumbnail_of(image), np.uint8)[THUMBNAIL_SIDE**2 :][: expected.size]
    assert np.abs(chroma - expected.ravel()).max() <= 0.51


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), SIZES)
def test_the_thumbnail_of_a_plain_field_is_plain(red, green, blue, size):
    data = thumbnail_of(Image.new("RGB", size, (red, green, blue)))
    ends = np.cumsum([THUMBNAIL_SIDE**2, CHROMA_SIDE**2, CHROMA_SIDE**2])
    planes = np.split(np.frombuffer(data, np.uint8), ends)  # brightness, two colours, brightness in detail
    assert [len(set(plane)) for plane in planes] == [1, 1, 1, 1]


def measured(image):
    return quality(grey_of(small_pixels(image)))


def test_the_largest_squares_are_summed_without_overflow():
    board = (np.indices((191, 2047)).sum(axis=0) % 2 * 255).astype(np.uint8)
    board[1::2, ::3] = 0  # or there would be no gradient
    ones = board[1:-1:2, 1:-1].astype(float)
    inner = [board[:-2:2, 1:-1], board[2::2, 1:-1], board[1:-1:2, :-2], board[1:-1:2, 2:]]
    upper, lower, left, right = (part.astype(float) for part in inner)
    laplacian, gradient = upper + lower + left + right - 4 * ones, (lower - upper) ** 2 + (right - left) ** 2
    assert quality(board)["sharpness"] == (laplacian**2).sum() / gradient.sum()


@given(st.integers(0, 50), SIZES)
def test_quality_is_what_its_formula_says(seed, size):
    image = draw(seed, size)
    grey = np.asarray(image.convert("L"), dtype=float)
    ordered = np.sort(grey, axis=None)
    shares = [ordered[int(np.ceil(share * grey.size / 1000)) - 1] / 255 for share in (20, 950, 980)]
    inner = grey[1:-1:2, 1:-1]
    upper, lower, left, right = grey[:-2:2, 1:-1], grey[2::2, 1:-1], grey[1:-1:2, :-2], grey[1:-1:2, 2:]
    gradient = ((lower - upper) ** 2 + (right - left) ** 2).sum() if min(size) > 2 else 0
    measures = measured(image)
    assert measures["brightness"] == pytest.approx(grey.mean() / 255)
    assert (measures["highlights"], measures["contrast"]) == pytest.approx((shares[1], shares[2] - shares[0]))
    if gradient:
        laplacian = upper + lower + left + right - 4 * inner
        assert measures["sharpness"] == pytest.approx((laplacian**2).sum() / gradient)
    else:
        assert measures["sharpness"] is None


def test_chroma_is_what_the_most_colourful_hundredth_reach():
    image = Image.new("RGB", (100, 50), (90, 90, 90))
    assert chroma(small_pixels(image)) == 0
    image.paste((10, 60, 110), (0, 0, 7, 7))  # 49 of 5,000 pixels: less than a hundredth
    assert chroma(small_pixels(image)) == 0
    image.paste((10, 60, 110), (0, 0, 8, 7))
    assert chroma(small_pixels(image)) == 100 / 255


def test_quality_falls_where_the_picture_is_worse():
    image = Image.effect_mandelbrot((400, 300), (-2, -1.5, 1, 1.5), 50).convert("RGB")
    good, blurred = measured(image), measured(image.filter(ImageFilter.GaussianBlur(4)))
    dark, flat = measured(image.point(lambda value: value // 4)), measured(Image.new("RGB", (40, 40), (90, 90, 90)))
    assert blurred["sharpness"] < good["sharpness"] / 2
    assert dark["brightness"] < good["brightness"]
    assert dark["highlights"] < good["highlights"]
    assert dark["sharpness"] == pytest.approx(good["sharpness"], rel=0.05)
    assert flat["contrast"] == 0
    assert flat["sharpness"] is None
