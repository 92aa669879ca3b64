"""How the measurement of fine-tuning holds pictures out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.finetune import divide

pytestmark = pytest.mark.slow

PICTURES = st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abc")), min_size=1, max_size=80)


@given(PICTURES, st.floats(0.05, 0.5), st.integers(0, 9))
def test_nobody_s_pictures_are_on_both_sides_and_no_draw_is_farther_from_the_share_than_none(pictures, fraction, seed):
    groups, class_names = (np.array(column) for column in zip(*pictures, strict=True))
    held_out = divide(groups, class_names, fraction, seed)
    assert not set(groups[held_out]) & set(groups[~held_out])
    names = np.unique(class_names)
    of_class = {name: class_names == name for name in names}
    missing = sum(abs(fraction * rows.sum() - held_out[rows].sum()) for rows in of_class.values())
    assert missing <= fraction * len(pictures) + 1e-9


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=80), st.integers(0, 9))
def test_pictures_by_themselves_are_a_fifth_of_every_class(names, seed):
    class_names = np.array(names)
    held_out = divide(np.arange(len(names)), class_names, 0.2, seed)
    for name in set(names):
        rows = class_names == name
        assert abs(held_out[rows].sum() - 0.2 * rows.sum()) <= 0.5
    assert np.array_equal(held_out, divide(np.arange(len(names)), class_names, 0.2, seed))
