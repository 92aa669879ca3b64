import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw, thumbnail_of
from PIL import Image, ImageEnhance, ImageOps

from stages.duplicates.similarity import prepare, similarity
from stages.duplicates.thumbnail import NUM_BYTES
from stages.duplicates.turns import BACK, TURNS


def stack(*images):
    return np.stack([np.frombuffer(thumbnail_of(image), np.uint8) for image in images])


def similarity_of(first, second, turn=0, colour=0.0):
    pair = [np.array([number]) for number in (0, 1, turn)]
    return float(similarity(prepare(stack(first, second)), *pair, colour)[0])


def photo(seed):
    """A picture with coarse and fine parts, as photographs have."""
    coarse = draw(seed, (192, 144))
    return Image.blend(coarse, draw(seed + 1000, (24, 18)).resize((192, 144), Image.Resampling.BICUBIC), 0.3)


def cropped(image, fraction):
    x, y = round(image.width * fraction / 2), round(image.height * fraction / 2)
    return image.crop((x, y, image.width - x, image.height - y))


EDITS = {
    "smaller": lambda image: image.resize((48, 36), Image.Resampling.LANCZOS),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "cropped by 5 %": lambda image: cropped(image, 0.05),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_picture_is_similar(edit):
    assert min(similarity_of(photo(seed), EDITS[edit](photo(seed))) for seed in range(10)) > 0.9


def test_other_pictures_are_not_in_any_turn():
    most = max(similarity_of(photo(seed), photo(seed + 1), turn) for seed in range(20) for turn in range(len(TURNS)))
    assert most < 0.6


@pytest.mark.parametrize("turn", range(1, 8))
def test_a_turned_picture_is_similar_when_it_is_turned_back(turn):
    turned = photo(1).transpose(Image.Transpose[TURNS[turn].upper()])
    assert similarity_of(photo(1), turned, BACK[turn]) > 0.99
    assert similarity_of(photo(1), turned, 0) < 0.6


def test_colours_count_by_their_weight_and_only_where_there_are_any():
    image = photo(4)
    brightness, blue, red = image.convert("YCbCr").split()
    other = Image.merge("YCbCr", (brightness, ImageOps.invert(blue), ImageOps.invert(red))).convert("RGB")
    assert similarity_of(image, image, colour=0.5) > 1.4
    assert similarity_of(image, other, colour=0.5) < similarity_of(image, other) - 0.3
    grey = image.convert("L").convert("RGB")
    assert similarity_of(image, grey, colour=0.5) == similarity_of(image, grey) > 0.99


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_picture_resembles_nothing(grey):
    plain = Image.new("RGB", (40, 30), (grey,) * 3)
    assert similarity_of(plain, plain) == similarity_of(plain, photo(1)) == similarity_of(photo(1), plain) == 0


THUMBNAILS = st.lists(st.binary(min_size=NUM_BYTES, max_size=NUM_BYTES), min_size=1, max_size=4)


@settings(max_examples=200)
@given(THUMBNAILS, st.floats(0, 1))
def test_any_bytes_have_a_similarity_in_its_range_whatever_is_judged_with_them(thumbnails, colour):
    planes = prepare(np.stack([np.frombuffer(data, np.uint8) for data in thumbnails]))
    number = len(thumbnails)
    first, second, turn = (part.ravel() for part in np.mgrid[:number, :number, :8])
    together = similarity(planes, first, second, turn, colour)
    assert (np.abs(together) <= 1 + colour + 1e-9).all()
    order = np.random.default_rng(0).permutation(len(first))
    assert np.array_equal(similarity(planes, first[order], second[order], turn[order], colour), together[order])


def judged():
    """Similarities of pictures with edited ones, as hexadecimal floats."""
    pairs = [similarity_of(photo(seed), cropped(photo(seed + seed % 2), 0.1), colour=0.1) for seed in range(4)]
    return [value.hex() for value in pairs]


@pytest.mark.slow
def test_the_similarity_is_to_the_last_bit_what_plain_python_computes():
    """No compiler's liberty, such as fusing a product and a sum, decides about a pair: any machine gives the same."""
    script = "import test_similarity; print(*test_similarity.judged())"
    plain = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert judged() == plain


def test_a_thumbnail_does_not_depend_on_how_large_the_picture_is():
    small, large = (stack(photo(3).resize(size, Image.Resampling.LANCZOS)) for size in ((96, 72), (768, 576)))
    assert small.shape == (1, NUM_BYTES)
    assert np.abs(small.astype(int) - large).max() <= 6
    assert stack(ImageOps.mirror(photo(3))).shape == stack(Image.new("RGB", (1, 5000))).shape
