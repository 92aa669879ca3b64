from io import BytesIO

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw
from PIL import Image, ImageFilter

from stages.images.codec import encode
from stages.images.fingerprint import SIDE, grey_of, perceptual_hash, pixel_digest, quality
from stages.images.fingerprint import _shrunk_cosines as cosines
from stages.images.letterbox import fitted, letterbox
from stages.images.prepared import decode


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
    return (perceptual_hash(grey_of(image)) ^ int(str(imagehash.phash(image)), 16)).bit_count()


def test_the_hash_is_imagehash_s_but_for_coefficients_about_the_median():
    sizes = [(40, 30), (320, 240), (97, 500), (31, 33), (1280, 960)]
    distances = [bits_between(draw(seed, size)) for seed in range(20) for size in sizes]
    assert max(distances) <= 4
    assert np.mean(np.array(distances) <= 2) >= 0.95


@given(st.integers(1, 400), st.integers(1, 400), st.integers(0, 255))
def test_a_plain_field_has_one_hash_whatever_its_size_and_its_grey(width, height, grey):
    assert perceptual_hash(Image.new("L", (width, height), grey)) == (1 << 63 if grey else 0)


def test_the_products_of_the_hash_are_whole_numbers_that_float64_holds():
    longest = 2 * 1024
    white = np.full((2 * SIDE, longest), 255, dtype=object)
    rows, columns = (abs(cosines(length).astype(int)).astype(object) for length in white.shape)
    assert (rows.sum(axis=1).max() * 255) * columns.sum(axis=1).max() * 2 < 2**53
    assert np.array_equal(cosines(321), np.rint(cosines(321)))


def test_the_pixel_digest_tells_sizes_apart():
    assert pixel_digest(Image.new("RGB", (2, 8)), 2, 8) != pixel_digest(Image.new("RGB", (8, 2)), 8, 2)


def measured(image):
    return quality(grey_of(image))


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
