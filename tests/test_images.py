import imagehash
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw
from PIL import Image, ImageFilter

from stages.images.codec import decode_prepared, encode
from stages.images.fingerprint import perceptual_hash, pixel_digest, quality
from stages.images.letterbox import fitted, letterbox
from stages.images.pairs import near_pairs
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
    assert np.array_equal(decode_prepared(data), pixels)
    assert np.array_equal(decode(data), pixels)
    assert encode(pixels, codec) == data


def test_the_hash_is_imagehash_s():
    for seed in range(10):
        assert perceptual_hash(draw(seed)) == int(str(imagehash.phash(draw(seed))), 16)


def test_the_pixel_digest_tells_sizes_apart():
    assert pixel_digest(Image.new("RGB", (2, 8)), 2, 8) != pixel_digest(Image.new("RGB", (8, 2)), 8, 2)


def test_quality_falls_where_the_picture_is_worse():
    image = draw(3, (400, 300))
    good, blurred = quality(image), quality(image.filter(ImageFilter.GaussianBlur(8)))
    dark, flat = quality(image.point(lambda value: value // 4)), quality(Image.new("RGB", (40, 40), (90, 90, 90)))
    assert blurred["sharpness"] < good["sharpness"]
    assert dark["brightness"] < good["brightness"]
    assert flat["contrast"] == flat["sharpness"] == 0


@given(st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 255), max_size=600), st.integers(0, 16))
def test_near_pairs_are_those_of_comparing_all_with_all(values, radius):
    hashes = np.array(values, dtype=np.uint64)
    expected = [
        (i, j, (a ^ b).bit_count())
        for i, a in enumerate(values)
        for j, b in enumerate(values)
        if i < j and (a ^ b).bit_count() <= radius
    ]
    assert list(zip(*(part.tolist() for part in near_pairs(hashes, radius)), strict=True)) == expected
