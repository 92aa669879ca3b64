"""What the log keeps of what a network saw: few numbers, always by the same signs, which about keep distances."""

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps

from serving.projection import NUM, project, signs

NUMBERS = st.floats(-100, 100, width=16)
FEATURES = nps.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 40)), elements=NUMBERS)


def test_the_signs_are_those_that_logs_were_written_with():
    """Another seed, or another way to draw, would make numbers that no log of before can be compared with."""
    digest = hashlib.sha256(signs(1280).astype(np.int8).tobytes()).hexdigest()
    assert digest[:16] == "a162317bebcf8190"
    assert set(np.unique(signs(1280))) == {-1.0, 1.0}
    assert abs(signs(1280).mean()) < 0.02


@given(FEATURES)
def test_a_projection_is_linear_up_to_float16(features):
    doubled, once = project(2 * features), project(features)
    assert once.shape == (len(features), NUM)
    np.testing.assert_array_equal(once, once.astype(np.float16))
    np.testing.assert_allclose(doubled, 2 * once, rtol=2e-3, atol=1e-3)


def test_distances_are_about_kept_whatever_the_direction():
    rng = np.random.default_rng(0)
    one, other = rng.gamma(0.5, 1, (2, 400, 1280))
    whole = np.square(one - other).sum(axis=1)
    kept = np.square(project(one) - project(other)).sum(axis=1)
    assert abs(np.mean(kept / whole) - 1) < 0.05
    assert np.std(kept / whole) < 1.2 * np.sqrt(2 / NUM)


def test_features_beyond_half_precision_are_its_largest_number():
    assert np.isfinite(project(np.full((1, 4), 1e30))).all()


@settings(max_examples=20)
@given(st.integers(1, 300), st.integers(1, 300))
def test_of_fewer_features_the_signs_are_the_first_ones(few, many):
    np.testing.assert_array_equal(signs(max(few, many))[: min(few, many)], signs(min(few, many)))
