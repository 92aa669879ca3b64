"""Shares estimated from a weighted sample: without a lean, and inside their interval as often as is said."""

import numpy as np
import pytest

from serving.usage.weighing import UNKNOWN, difference, share


def drawn(truth: np.ndarray, probability: np.ndarray, rng) -> tuple[np.ndarray, np.ndarray]:
    taken = rng.random(len(truth)) < probability
    return truth[taken], probability[taken]


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 0.97])
@pytest.mark.parametrize("spread", ["even", "uneven", "drawn least where the rare kind is"])
def test_the_interval_holds_the_truth_in_93_of_100_samples_and_says_something(fraction, spread):
    rng, held, widths, estimates = np.random.default_rng(7), 0, [], []
    truth = rng.random(4000) < fraction
    probability = np.full(4000, 0.1)
    if spread == "uneven":
        probability = rng.choice([0.03, 0.1, 0.5, 1.0], 4000)
    elif spread != "even":
        hard = (truth == (fraction < 0.5)) | (rng.random(4000) < min(fraction, 1 - fraction))
        probability = np.where(hard, 0.05, rng.choice([0.1, 0.3], 4000))
    for _ in range(300):
        found = share(*drawn(truth, probability, rng))
        held += found.low <= truth.mean() <= found.high
        widths.append(found.high - found.low)
        estimates.append(found.fraction)
    assert held >= 0.93 * 300
    assert np.mean(estimates) == pytest.approx(truth.mean(), abs=3 * np.std(estimates) / np.sqrt(300) + 1e-3)
    assert np.mean(widths) < 2.5 * (3.92 * np.std(estimates)) + 0.02


def test_a_census_is_exact_and_no_sample_says_nothing():
    so = np.array([True, False, False, False])
    assert share(so, np.ones(4)) == (0.25, 0.25, 0.25)
    assert share(np.array([], bool), np.array([])) == UNKNOWN


def test_each_counts_by_one_over_its_probability():
    found = share(np.array([True, True, False]), np.array([1.0, 0.5, 0.2]))
    assert found.fraction == pytest.approx((1 + 2) / (1 + 2 + 5))
    assert 0 <= found.low < found.fraction < found.high <= 1


def test_what_was_never_seen_may_still_be():
    none = share(np.zeros(100, bool), np.full(100, 0.1))
    assert none.fraction == none.low == 0
    assert 0.02 < none.high < 0.06
    every = share(np.ones(100, bool), np.full(100, 0.1))
    assert every.low == pytest.approx(1 - none.high)


def test_a_difference_is_between_two_shares_and_changes_its_sign_with_them():
    one, other = share(np.arange(100) < 30, np.full(100, 0.1)), share(np.arange(100) >= 90, np.full(100, 0.1))
    found = difference(one, other)
    assert found.fraction == pytest.approx(0.2)
    assert -1 <= found.low < 0.2 < found.high <= 1
    back = difference(other, one)
    assert (back.low, back.high) == pytest.approx((-found.high, -found.low))
    assert difference(one, UNKNOWN) == UNKNOWN
