"""Figures on the confidence, compared with scikit-learn's or published ones: order, truth, thresholds, temperature."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from stages.metrics.reliability import NUM_BINS, expected_calibration_error, reliability
from stages.metrics.risk_coverage import augrc, aurc, coverage_at_risk
from stages.metrics.scaling import UNSCALED, Scaling, scale, scaled_on_disk
from stages.metrics.separation import false_positive_rate, separation
from stages.metrics.temperature import fit_scaling, fit_temperature
from stages.metrics.truth import NO_CLASS
from stages.metrics.wanted_error import LEVEL, Learned, lowest_threshold, upper_limit
from stages.reports.wanted_error import wanted_error_report

seeds = st.integers(0, 2**32 - 1)


def draw(seed, num_pictures=80):
    """Confidences with ties, and whether the answers are right, more often where the confidence is high."""
    rng = np.random.default_rng(seed)
    confidence = rng.integers(5, 101, num_pictures).astype(float)
    return confidence, rng.random(num_pictures) < confidence / 110


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


@given(seeds)
def test_aurc_is_the_mean_risk_over_the_thresholds_that_pictures_set(seed):
    confidence, right = draw(seed)
    risks = [np.mean(~right[confidence >= threshold]) for threshold in confidence]
    assert aurc(confidence, right) == pytest.approx(np.mean(risks))


@given(seeds)
def test_augrc_is_the_area_under_the_generalized_risk_by_trapezoids(seed):
    confidence, right = draw(seed)
    thresholds = np.unique(confidence)[::-1]
    coverage = [0, *(np.mean(confidence >= threshold) for threshold in thresholds)]
    risk = [0, *(np.mean((confidence >= threshold) & ~right) for threshold in thresholds)]
    assert augrc(confidence, right) == pytest.approx(np.trapezoid(risk, coverage))


def test_the_order_is_all_that_the_areas_see():
    right = np.array([True, True, False, False])
    assert aurc(np.array([4.0, 3, 2, 1]), right) == pytest.approx((0 + 0 + 1 / 3 + 1 / 2) / 4)
    assert aurc(np.array([4.0, 3, 2, 1]), right) == aurc(np.array([99.0, 98, 50, 1]), right)
    assert augrc(np.array([4.0, 3, 2, 1]), right) == pytest.approx(0.5 * 0.5**2)
    assert augrc(np.array([4.0, 3, 2, 1]), np.ones(4, dtype=bool)) == 0
    assert augrc(np.array([4.0, 3, 2, 1]), np.zeros(4, dtype=bool)) == 0.5
    assert aurc(np.empty(0), np.empty(0, dtype=bool)) is augrc(np.empty(0), np.empty(0, dtype=bool)) is None


@given(seeds)
def test_separation_is_scikit_learns_roc_auc(seed):
    confidence, right = draw(seed)
    expected = sklearn_metrics.roc_auc_score(right, confidence)
    assert separation(confidence[right], confidence[~right]) == pytest.approx(expected)


@given(seeds)
def test_the_false_positive_rate_is_that_of_scikit_learns_first_point_at_95(seed):
    confidence, right = draw(seed)
    false_rate, true_rate, _ = sklearn_metrics.roc_curve(right, confidence, drop_intermediate=False)
    expected = false_rate[np.argmax(true_rate >= 0.95 - 1e-9)]
    assert false_positive_rate(confidence[right], confidence[~right]) == pytest.approx(expected)


def test_of_twenty_nineteen_are_95_percent():
    inside = np.arange(1.0, 21)
    assert false_positive_rate(inside, np.array([0.0, 1, 2, 3])) == 0.5  # the threshold is 2
    assert separation(np.empty(0), inside) is false_positive_rate(inside, np.empty(0)) is None


@given(seeds)
def test_the_reliability_diagram_is_scikit_learns(seed):
    confidence, right = draw(seed)
    accuracy, mean = calibration_curve(right, confidence / 100, n_bins=NUM_BINS)
    bins = reliability(confidence, right)
    np.testing.assert_allclose(bins.accuracy, accuracy)
    np.testing.assert_allclose(bins.confidence / 100, mean)
    assert bins.num_pictures.sum() == len(confidence)


def test_a_bin_holds_its_upper_edge_and_the_error_weighs_bins_by_pictures():
    confidence, right = np.array([20.0, 20.1, 90, 100]), np.array([True, False, True, True])
    bins = reliability(confidence, right)
    assert bins.num_pictures.tolist() == [1, 1, 1, 1]
    assert expected_calibration_error(bins) == pytest.approx((0.8 + 0.201 + 0.1 + 0) / 4)
    assert expected_calibration_error(reliability(confidence[:0], right[:0])) is None


def log_loss(scores, truth):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows that sum to 1 but for their last bit
        return sklearn_metrics.log_loss(truth, scores, labels=range(scores.shape[1]))


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 2.5])
def test_the_temperature_that_the_scores_were_given_is_found(true_temperature):
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 2, (4000, 6))
    truth = np.array([rng.choice(6, p=row / row.sum()) for row in softmax(logits).astype(float)])
    temperature = fit_temperature(softmax(logits * true_temperature), truth)
    assert temperature == pytest.approx(true_temperature, rel=0.08)


def test_no_other_temperature_has_less_log_loss():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 5, 300)
    scores = softmax(rng.normal(0, 3, (300, 5)) + 3 * np.eye(5)[truth])
    temperature = fit_temperature(scores, truth)
    least = log_loss(scale(scores, Scaling(temperature, None)), truth)
    for other in (0.98, 1.02):
        assert least < log_loss(scale(scores, Scaling(temperature * other, None)), truth)


@given(seeds, st.floats(0.3, 5))
def test_scaling_scores_is_dividing_logits(seed, temperature):
    logits = np.random.default_rng(seed).normal(0, 4, (20, 7))
    np.testing.assert_allclose(
        scale(softmax(logits), Scaling(temperature, None)), softmax(logits / temperature), atol=2e-6
    )


def test_scaling_keeps_the_order_and_the_sum_also_where_a_score_is_0():
    scores = np.array([[0.0, 1.0, 0.0], [0.1, 0.7, 0.2]], dtype=np.float32)
    hot = scale(scores, Scaling(3.0, None))
    assert (hot.argsort(axis=1, kind="stable") == scores.argsort(axis=1, kind="stable")).all()
    np.testing.assert_allclose(hot.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(scale(scores, UNSCALED), scores, atol=1e-7)


def test_on_disk_scores_are_scaled_alike_and_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scores = softmax(np.random.default_rng(0).normal(0, 2, (30, 4)))
    np.testing.assert_array_equal(scaled_on_disk(scores, Scaling(0.2, 3)), scale(scores, Scaling(0.2, 3)))
    assert not list(tmp_path.iterdir())


def test_where_no_temperature_is_best_there_is_none():
    scores = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    assert fit_temperature(scores, np.array([0, 1])) is None  # all right: the colder the better
    assert fit_temperature(scores, np.array([1, 0])) is None  # all wrong: the hotter the better
    assert fit_temperature(scores, np.array([NO_CLASS, 2])) is None
    assert fit_temperature(scores[:0], np.array([], dtype=int)) is None
    assert fit_temperature(np.vstack([scores, scores]), np.array([0, 1, 1, NO_CLASS])) is not None


@given(seeds, st.integers(2, 10), st.floats(0.05, 2), st.floats(0.2, 5), st.floats(-50, 50))
def test_normalised_logits_do_not_depend_on_how_large_all_logits_are_nor_on_what_is_added_to_them(
    seed, order, temperature, factor, added
):
    logits = np.random.default_rng(seed).normal(0, 2, (20, 7))
    scaling = Scaling(temperature, order)
    centred = logits - logits.mean(axis=1, keepdims=True)
    norms = (np.abs(centred) ** order).sum(axis=1, keepdims=True) ** (1 / order)
    expected = softmax(centred / norms / temperature)
    np.testing.assert_allclose(scale(softmax(factor * logits + added), scaling), expected, atol=2e-5)


def blurred(rng, num_pictures):
    """Logits of pictures, half of which have all of theirs tripled, which says nothing about being right."""
    truth = rng.integers(0, 8, num_pictures)
    logits = rng.normal(0, 1, (num_pictures, 8)) + 2 * np.eye(8)[truth]
    return softmax(logits * rng.choice([1, 3], (num_pictures, 1))), truth


def test_normalised_logits_rank_better_where_the_size_of_logits_says_nothing_and_are_calibrated_too():
    rng = np.random.default_rng(3)
    scores, truth = blurred(rng, 4000)
    plain, normalised = (fit_scaling(scores, truth, normalise=normalise) for normalise in (False, True))
    assert plain.norm_order is None and normalised.norm_order is not None
    scores, truth = blurred(rng, 4000)
    right = scores.argmax(axis=1) == truth
    risks = [aurc(scale(scores, each).max(axis=1), right) for each in (plain, normalised)]
    assert risks[1] < 0.9 * risks[0]
    assert log_loss(scale(scores, normalised), truth) < log_loss(scale(scores, plain), truth)


def test_without_a_better_norm_normalised_logits_are_those_of_the_temperature():
    rng = np.random.default_rng(4)
    truth = np.zeros(400, np.int64)
    logits = np.stack([np.linspace(-1, 3, 400), np.zeros(400)], axis=1)
    scores = softmax(logits + rng.normal(0, 1e-6, (400, 2)))  # of two classes the normalised logits are all the same
    assert fit_scaling(scores, truth, normalise=True) == fit_scaling(scores, truth, normalise=False)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30), st.floats(0.01, 0.9))
def test_the_coverage_at_a_risk_is_the_largest_that_a_threshold_gives(answers, wanted):
    confidence, right = np.array([c for c, _ in answers], float), np.array([r for _, r in answers])
    coverages = [0.0]
    for threshold in range(6):
        shown = confidence >= threshold
        if shown.any() and (~right[shown]).sum() <= wanted * shown.sum():
            coverages.append(shown.mean())
    assert coverage_at_risk(confidence, right, wanted) == pytest.approx(max(coverages))


THRESHOLDS = np.arange(50.0, 100)


def test_the_lowest_threshold_is_the_last_that_passes_on_the_way_down():
    confidence = np.concatenate([np.full(400, 98.0), np.full(100, 70.0), np.full(100, 60.0), np.full(300, 55.0)])
    right = np.concatenate([np.ones(400), np.ones(100), np.arange(100) >= 30, np.ones(300)]).astype(bool)
    # At 60 and below 30 errors are too many, although far more right answers stand below.
    assert lowest_threshold(confidence, right, THRESHOLDS, 0.04) == Learned(61.0, 500, 0)


def test_too_few_pictures_and_too_many_errors_give_no_threshold():
    few = np.full(298, 99.0)
    assert lowest_threshold(few, np.ones(298, bool), THRESHOLDS, 0.01) == Learned(None, 0, 0)
    enough = np.full(299, 99.0)
    assert lowest_threshold(enough, np.ones(299, bool), THRESHOLDS, 0.01) == Learned(50.0, 299, 0)
    assert lowest_threshold(enough, np.arange(299) > 0, THRESHOLDS, 0.01) == Learned(None, 299, 1)


class Shown:
    """Stands for the answers to a set: all right, with these confidences."""

    def __init__(self, confidence):
        self.confidence, self.right, self.source = np.array(confidence), np.ones(len(confidence), bool), None
        self.decisive = self.confidence

    def __len__(self):
        return len(self.confidence)

    def shown(self, threshold):
        return self.confidence >= threshold


def test_why_there_is_no_threshold_counts_what_is_too_few():
    few, unsure = Shown([99.0] * 298), Shown([99.0] * 280 + [30.0] * 30)
    why = [wanted_error_report(validation, few, 0.01)["why"] for validation in (few, unsure)]
    assert "299 right answers in a row would show it, there are 298 pictures" in why[0]
    assert "of 310 pictures only 280 are shown at 50, the lowest threshold that is tried" in why[1]
    assert "299 right ones in a row would show it" in why[1]


def test_a_threshold_passes_where_clopper_pearsons_upper_limit_is_below_the_wanted_error():
    assert upper_limit(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59))
    assert binom.cdf(3, 200, upper_limit(3, 200)) == pytest.approx(1 - LEVEL)
    assert upper_limit(5, 5) == 1
    assert upper_limit(0, 0) is None
    confidence, right = np.full(200, 99.0), np.arange(200) >= 3
    for wanted, passes in ((upper_limit(3, 200) + 1e-6, True), (upper_limit(3, 200) - 1e-6, False)):
        assert (lowest_threshold(confidence, right, THRESHOLDS, wanted).threshold is not None) is passes


def test_the_promise_is_broken_no_more_often_than_it_says():
    """Errors grow as confidence falls; below 80 more than a tenth of the shown answers are wrong."""
    rng, wanted, broken = np.random.default_rng(3), 0.1, 0
    for _ in range(1000):
        confidence = rng.uniform(50, 100, 400)
        right = rng.random(400) >= (100 - confidence) / 100  # at a threshold t (100 - t) / 200 are wrong
        lowest = lowest_threshold(confidence, right, THRESHOLDS, wanted).threshold
        broken += lowest is not None and (100 - lowest) / 200 > wanted
    assert broken <= binom.ppf(0.999, 1000, 1 - LEVEL)
    assert broken > 5  # a procedure that never dares would not be worth having
