import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import thumbnail_of
from PIL import Image, ImageOps
from test_similarity import cropped, photo

from stages.duplicates.registration import looks_of, register
from stages.duplicates.thumbnail import NUM_BYTES
from stages.duplicates.turns import BACK, TURNS


def registered(first, second):
    thumbnails = np.stack([np.frombuffer(thumbnail_of(image), np.uint8) for image in (first, second)])
    looks = looks_of(thumbnails, *np.array([first.size, second.size]).T)
    edges, colours, turn = register(looks, np.array([0]), np.array([1]))[0]
    return edges, colours, TURNS[int(turn)]


EDITS = {
    "as it is": lambda image: image,
    "5 % off each side": lambda image: cropped(image, 0.1),
    "10 % off each side": lambda image: cropped(image, 0.2),
    "a tenth off one side": lambda image: image.crop((0, 14, image.width, image.height)),
    "turned by 25 degrees": lambda image: image.rotate(25, Image.Resampling.BICUBIC),
    "smaller and grey": lambda image: image.resize((48, 36)).convert("L").convert("RGB"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edited_picture_is_found_whichever_of_the_two_comes_first(edit):
    for seed in range(4):
        pair = photo(seed), EDITS[edit](photo(seed))
        for first, second in (pair, pair[::-1]):
            edges, colours, turn = registered(first, second)
            assert edges > 0.9 and colours > 0.9 and turn == "none"


@pytest.mark.parametrize("turn", range(1, 8))
def test_a_part_that_is_mirrored_or_turned_is_found_and_the_turn_that_brings_it_back_is_named(turn):
    part = cropped(photo(1), 0.15).transpose(Image.Transpose[TURNS[turn].upper()])
    edges, colours, named = registered(photo(1), part)
    assert edges > 0.9 and colours > 0.9 and named == TURNS[BACK[turn]]


def test_other_pictures_do_not_cover_each_other():
    assert max(registered(photo(seed), photo(seed + 1))[0] for seed in range(8)) < 0.7


def test_two_parts_of_a_picture_that_overlap_in_half_show_what_the_other_does_not():
    image = photo(2)
    left, right = image.crop((0, 0, 136, 144)), image.crop((56, 0, 192, 144))
    assert registered(left, right)[0] < 0.9


def test_the_colours_of_another_picture_disagree_and_a_grey_one_has_none_to_disagree():
    brightness, blue, red = photo(4).convert("YCbCr").split()
    other = Image.merge("YCbCr", (brightness, ImageOps.invert(blue), ImageOps.invert(red))).convert("RGB")
    assert registered(photo(4), other)[1] < 0
    assert registered(photo(4), photo(4).convert("L").convert("RGB"))[1] == 1


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_picture_covers_nothing(grey):
    plain = Image.new("RGB", (40, 30), (grey,) * 3)
    assert registered(plain, plain)[0] == registered(plain, photo(1))[0] == registered(photo(1), plain)[0] == 0


LOOKS = st.lists(
    st.tuples(st.binary(min_size=NUM_BYTES, max_size=NUM_BYTES), st.integers(1, 5000), st.integers(1, 5000)),
    min_size=1, max_size=3,
)  # fmt: skip


@settings(max_examples=50)
@given(LOOKS)
def test_any_bytes_of_any_shape_give_a_result_in_its_range_whatever_is_compared_with_them(rows):
    thumbnails, width, height = zip(*rows, strict=True)
    looks = looks_of(
        np.stack([np.frombuffer(data, np.uint8) for data in thumbnails]), np.array(width), np.array(height)
    )
    first, second = (part.ravel() for part in np.mgrid[: len(rows), : len(rows)])
    together = register(looks, first, second)
    assert ((together[:, 0] >= 0) & (np.abs(together[:, :2]) <= 1 + 1e-9).all(1)).all()
    assert np.array_equal(register(looks, first[::-1], second[::-1]), together[::-1])


def found():
    """What is found of pictures and edited ones, as hexadecimal floats."""
    pairs = (registered(photo(seed), cropped(photo(seed), 0.2).rotate(9)) for seed in range(2))
    return [value.hex() for edges, colours, _ in pairs for value in (edges, colours)]


@pytest.mark.slow
def test_the_result_is_to_the_last_bit_what_plain_python_computes():
    """No compiler's liberty, such as fusing a product and a sum, decides about a pair: any machine gives the same."""
    plain = subprocess.run(
        [sys.executable, "-c", "import test_registration; print(*test_registration.found())"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert found() == plain
