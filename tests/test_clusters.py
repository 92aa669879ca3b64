"""Pictures of one source are right or wrong together: intervals that know it hold the truth as often as they say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.parameters import NotWorse
from stages.metrics.answers import Answers, gather_answers
from stages.metrics.clusters import effective_number
from stages.metrics.figures import figures
from stages.metrics.interval import clopper_pearson, fraction_interval, fraction_intervals
from stages.metrics.paired import mcnemar, paired_interval, share_interval, sign_test
from stages.metrics.wanted_error import lowest_threshold
from stages.reports.against_base import against_base
from stages.reports.gate import judge_against
from stages.reports.wanted_error import wanted_error_report
from stages.tables.scores import HELD_OUT

HOLDS = st.lists(st.booleans(), min_size=1, max_size=60).map(np.array)


def senders(rng, num_sources=40, largest=20, accuracy=0.8, alike=0.5):
    """Whether answers are right, and who sent each picture: a share of the senders is right or wrong as a whole."""
    sizes = rng.integers(1, largest + 1, num_sources)
    sources = np.repeat(np.arange(num_sources), sizes)
    as_one = rng.random(num_sources) < alike
    right = np.where(
        as_one[sources], (rng.random(num_sources) < accuracy)[sources], rng.random(len(sources)) < accuracy
    )
    return right, sources


@given(HOLDS)
def test_sources_of_one_picture_each_change_nothing(holds):
    alone = np.random.default_rng(0).permutation(len(holds))
    assert effective_number(holds.astype(float), alone) == len(holds)
    assert fraction_interval(holds, alone) == fraction_interval(holds, None) == clopper_pearson(holds.sum(), len(holds))
    parts = np.arange(len(holds)) % 3
    assert np.array_equal(fraction_intervals(holds, parts, alone), fraction_intervals(holds, parts, None))
    differences = holds - 0.5
    assert paired_interval(differences, 0, 0.95, alone) == paired_interval(differences, 0, 0.95)
    weights = np.ones(len(holds))
    assert share_interval(differences, weights, 0.9, alone) == share_interval(differences, weights, 0.9)


@given(st.lists(st.sampled_from([-1, 0, 1]), min_size=1, max_size=40).map(np.array))
def test_the_test_of_signs_is_mcnemars_where_each_source_has_one_picture(differences):
    expected = mcnemar((differences > 0).sum(), (differences < 0).sum())
    assert sign_test(differences, np.arange(len(differences))) == pytest.approx(expected)


def test_the_test_of_signs_counts_sources():
    won = np.array([1] * 12)
    assert sign_test(won, np.repeat([0, 1, 2], 4)) == 2 / 8  # three sources of one sign
    assert sign_test(won, np.zeros(12, int)) == 1  # one source shows nothing
    assert sign_test(0 * won, np.repeat([0, 1], 6)) == 1


@given(HOLDS, st.data())
def test_a_fraction_of_clustered_pictures_is_never_surer_than_of_single_ones(holds, data):
    sources = np.array(data.draw(st.lists(st.integers(0, 9), min_size=len(holds), max_size=len(holds))))
    number = effective_number(holds.astype(float), sources)
    assert 1 <= number <= len(holds)
    low, high = fraction_interval(holds, sources)
    assert low <= holds.mean() + 1e-9 and high >= holds.mean() - 1e-9


def test_sources_that_are_right_or_wrong_as_a_whole_count_as_little_more_than_one_picture_each():
    holds, sources = np.repeat([True, False, True, True, False, True] * 10, 8), np.repeat(np.arange(60), 8)
    assert 50 < effective_number(holds.astype(float), sources) <= 60
    always = np.ones(480)  # nothing shows how alike they are
    assert effective_number(always, sources) == effective_number(holds.astype(float), sources)
    assert effective_number(always, np.zeros(480, int)) == 1


def covered(interval_of, truth, rounds=400):
    rng = np.random.default_rng(0)
    ends = [interval_of(*senders(rng)) for _ in range(rounds)]
    return np.mean([low <= truth <= high for low, high in ends])


@pytest.mark.slow
def test_an_interval_holds_the_truth_as_often_as_it_says_and_one_of_pictures_does_not():
    assert covered(fraction_interval, 0.8) >= 0.93
    assert covered(lambda right, _: fraction_interval(right, None), 0.8) < 0.75


@pytest.mark.slow
def test_an_interval_of_a_difference_holds_the_truth_as_often_as_it_says_and_one_of_pictures_does_not():
    """The differences are right less 0.8, whose mean is 0."""
    assert covered(lambda right, sources: paired_interval(right - 0.8, 0, 0.95, sources), 0.0, 200) >= 0.9
    assert covered(lambda right, _: paired_interval(right - 0.8, 0, 0.95), 0.0, 200) < 0.75


@pytest.mark.slow
def test_an_interval_of_two_shares_holds_the_truth_as_often_as_it_says_and_one_of_pictures_does_not():
    def wins(right, sources):
        return np.where(sources % 2, 1.0, -1.0) * ~right, np.ones(len(right))

    assert covered(lambda right, sources: share_interval(*wins(right, sources), 0.9, sources), 0.0) >= 0.88
    assert covered(lambda right, sources: share_interval(*wins(right, sources), 0.9), 0.0) < 0.75


def answers_of(right, sources):
    truth = np.zeros(len(right), np.int64)
    losses = np.where(right, 0.5, 2.0)
    confidence = np.full(len(right), 99.0)
    ranks = np.where(right, 0, 1)
    return Answers(("a", "b"), 2, truth, (~right).astype(np.int64), confidence, ranks, losses, losses, losses, sources)


def test_figures_gate_and_comparison_know_the_sources():
    right, sources = senders(np.random.default_rng(1))
    base_right, _ = senders(np.random.default_rng(2))
    base_right = np.resize(base_right, len(right))
    new, base = answers_of(right, sources), answers_of(base_right, sources)
    single = answers_of(right, None), answers_of(base_right, None)

    def width(values, name):
        return values[f"{name}_high"] - values[f"{name}_low"]

    for name in ("top_1_accuracy", "true_positive_fraction", "false_positive_fraction"):
        assert width(figures(new, 95), name) > 1.3 * width(figures(single[0], 95), name)
    for metric in ("top_1_accuracy", "log_loss"):
        limit = NotWorse(set="test", metric=metric, margin=0.1)
        low, high = judge_against(new, base, limit, 95, 10).worse_by_interval
        single_low, single_high = judge_against(*single, limit, 95, 10).worse_by_interval
        assert high - low > 1.3 * (single_high - single_low)
    row, alone = (against_base({HELD_OUT: a}, {HELD_OUT: b}, 95).iloc[0] for a, b in ((new, base), single))
    assert width(row, "accuracy_difference") > 1.3 * width(alone, "accuracy_difference")
    assert row["mcnemar_p"] > alone["mcnemar_p"]
    assert row["wins"] == alone["wins"]


def test_a_threshold_keeps_the_wanted_error_by_sources_and_not_by_pictures():
    """Of 600 right answers of 20 senders as much follows as of some 20, of 600 senders enough for an error of 0.01."""
    right, confidence, thresholds = np.ones(600, bool), np.full(600, 99.0), np.array([50.0, 99.0])
    senders_of_30 = np.repeat(np.arange(20), 30)
    for sources, error, threshold in (
        (None, 0.01, 50.0),
        (np.arange(600), 0.01, 50.0),
        (senders_of_30, 0.01, None),
        (senders_of_30, 0.2, 50.0),
    ):
        assert lowest_threshold(confidence, right, thresholds, error, sources).threshold == threshold
    limits = [
        wanted_error_report(answers, answers, 0.2)["test"]["upper_limit"]
        for answers in (answers_of(right, None), answers_of(right, senders_of_30))
    ]
    few = answers_of(right, senders_of_30)
    assert "the 600 validation pictures come from 20" in wanted_error_report(few, few, 0.01)["why"]
    assert limits[0] < 0.01 < 0.1 < limits[1] < 0.2


@settings(max_examples=20)
@given(st.lists(st.sampled_from(["ann", "ben", None]), min_size=1, max_size=9))
def test_pictures_of_one_source_share_a_number_and_others_have_their_own(sources):
    rows = pd.DataFrame(
        {"truth": "a", "predicted": "a", "confidence": 99.0, "source": pd.Series(sources, dtype=object)}
    ).assign(in_scope=True)
    confused = pd.DataFrame({"truth": [], "predicted": [], "weight": []})
    scores = np.full((len(rows), 2), 0.5, np.float32)
    numbers = gather_answers(rows, "", scores, ["a", "b"], confused).source
    if not any(sources):
        assert numbers is None
        return
    for one, first in enumerate(sources):
        for other, second in enumerate(sources):
            assert (numbers[one] == numbers[other]) == (one == other or (first is not None and first == second))
