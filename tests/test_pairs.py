import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, hash_of
from PIL import Image

from stages.duplicates.pairs import near_pairs
from stages.duplicates.turns import BACK, TURNS, turn_hashes, turn_planes

HASHES = st.lists(st.integers(0, 2**64 - 1) | st.integers(0, 255), max_size=600)


def as_array(values):
    return np.array(values, dtype=np.uint64)


def brute_force(forms, hashes, radius):
    """Compare all with all, in numpy."""
    distances = np.bitwise_count(forms[:, None, :] ^ hashes[None, :, None])
    pairs = [
        (first, second, form, distances[first, second, form])
        for first, second, form in np.argwhere(distances <= radius).tolist()
        if first < second
    ]
    return pairs


def as_rows(pairs):
    return list(zip(*(part.tolist() for part in pairs), strict=True))


@given(HASHES, st.integers(0, 64))
def test_near_pairs_are_those_of_comparing_all_with_all(values, radius):
    hashes = as_array(values[:100] if radius > 20 else values)
    assert as_rows(near_pairs(hashes[:, None], hashes, radius)) == brute_force(hashes[:, None], hashes, radius)


@given(HASHES.map(lambda values: values[:100]), st.integers(0, 40), st.data())
def test_with_several_forms_too_and_piece_by_piece(values, radius, data):
    hashes = as_array(values)
    forms = np.stack([turn_hashes(hashes, turn) for turn in range(len(TURNS))], axis=1)
    cut = data.draw(st.integers(0, len(values)))
    pieces = [near_pairs(forms, hashes, radius, 0, cut), near_pairs(forms, hashes, radius, cut)]
    assert [row for piece in pieces for row in as_rows(piece)] == brute_force(forms, hashes, radius)


@pytest.mark.parametrize("turn", range(8))
def test_a_turn_is_the_one_that_pillow_calls_so(turn):
    cells = np.arange(64, dtype=np.uint8).reshape(8, 8)
    image = Image.fromarray(cells)
    turned = image if turn == 0 else image.transpose(Image.Transpose[TURNS[turn].upper()])
    assert np.array_equal(turn_planes(cells, turn), np.asarray(turned))
    assert np.array_equal(turn_planes(turn_planes(cells, turn), BACK[turn]), cells)


@given(HASHES, st.integers(0, 7))
def test_turning_hashes_keeps_their_distances_and_can_be_undone(values, turn):
    hashes = as_array(values)
    turned = turn_hashes(hashes, turn)
    assert np.array_equal(turn_hashes(turned, BACK[turn]), hashes)
    assert np.array_equal(np.bitwise_count(turned ^ turned[::-1]), np.bitwise_count(hashes ^ hashes[::-1]))


@pytest.mark.parametrize("turn", range(1, 8))
def test_a_turned_hash_is_nearly_that_of_the_turned_picture(turn):
    distances = []
    for seed in range(40):
        image = draw(seed, (64, 64))
        turned = hash_of(image.transpose(Image.Transpose[TURNS[turn].upper()]))
        distances.append((int(turn_hashes(as_array([hash_of(image)]), turn)[0]) ^ turned).bit_count())
    assert np.mean(distances) < 5
    assert max(distances) <= 14


def test_the_first_coefficient_is_in_the_highest_bit_as_turning_takes_it():
    bits = imagehash.phash(draw(1)).hash
    assert hash_of(draw(1)) >> 63 == int(bits[0, 0])
    assert hash_of(draw(1)) >> 55 & 1 == int(bits[1, 0])
