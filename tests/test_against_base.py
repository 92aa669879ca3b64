"""The new model against the base: tests and intervals compared with published examples, the table by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, false_discovery_control

from stages.metrics.answers import Answers
from stages.metrics.comparison import compare
from stages.metrics.paired import mcnemar, paired_interval, share_interval
from stages.metrics.truth import NO_CLASS
from stages.reports.against_base import against_base
from stages.tables.scores import AGAINST_BASE_COLUMNS


def answers_of(truth, predicted, confidence, num_classes=3):
    truth, predicted = np.array(truth), np.array(predicted)
    losses = np.where(truth == predicted, 0.5, 2.0) + np.arange(len(truth)) / 64
    ranks, names = np.where(truth == predicted, 0, 1), tuple("abcdefgh")
    return Answers(names, num_classes, truth, predicted, np.array(confidence), ranks, losses, losses, losses)


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_binomial_test_of_the_pictures_that_differ(wins, losses):
    expected = binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar(wins, losses) == pytest.approx(expected)


def interval_of(wins, losses, total, level):
    """The interval of a difference in which every picture weighs the same."""
    differences = np.repeat([1.0, -1.0, 0.0], [wins, losses, total - wins - losses])
    return share_interval(differences, np.ones(total), level)


def test_the_interval_of_two_shares_is_the_published_one():
    """Cavo et al. 2012, complete response before and after consolidation, in Fagerland, Lydersen and Laake."""
    assert interval_of(6, 16, 59 + 6 + 16 + 80, 0.95) == pytest.approx((-0.1195, -0.0032), abs=5e-5)
    assert interval_of(0, 0, 0, 0.95) is None


def test_no_difference_on_few_pictures_proves_little():
    low, high = interval_of(0, 0, 30, 0.90)
    assert -low == high > 0.05
    assert interval_of(0, 0, 3000, 0.90)[1] < 0.001


def test_the_interval_of_a_mean_over_classes_holds_the_truth_as_often_as_it_says():
    """Of 400 pairs of models, whose recalls differ class by class, on 30 classes of 4 to 40 pictures."""
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(30), rng.integers(4, 41, 30))
    recalls = rng.uniform([0.5, 0.55], [0.9, 1.0], (30, 2))
    worse_by, held = float(np.mean(recalls[:, 1] - recalls[:, 0])), []
    for _ in range(400):
        right = rng.random((len(truth), 2)) < recalls[truth]
        new, base = (answers_of(truth, np.where(each, truth, 31), truth * 0.0, 32) for each in right.T)
        low, high = compare(new, base, "balanced_accuracy", 95).interval
        held.append((low <= worse_by) + 1j * (worse_by <= high))
    assert 0.93 < np.mean(held).real < 0.99 and 0.93 < np.mean(held).imag < 0.99  # each end holds with 95 %


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=5)
def test_the_bootstrap_interval_is_scipys_but_for_what_is_drawn(seed):
    differences = np.random.default_rng(seed).gamma(1.0, 1.0, 200) - 1
    theirs = bootstrap((differences,), np.mean, method="percentile", n_resamples=2000, rng=1).confidence_interval
    ours = paired_interval(differences, 0, 0.95)
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.05 * (theirs.high - theirs.low) + 0.01)
    assert ours == paired_interval(differences, 0, 0.95)
    assert paired_interval(differences[:0], 0, 0.95) is None


def test_drawing_values_and_drawing_pictures_give_the_same_interval():
    few_values = np.repeat([-1.0, 0.0, 1.0], [20, 300, 40])
    nudged = few_values + np.arange(360) * 1e-12  # as many values as pictures
    assert paired_interval(few_values, 0, 0.95) == pytest.approx(paired_interval(nudged, 0, 0.95), abs=0.006)


def test_the_interval_does_not_depend_on_the_size_of_a_chunk(monkeypatch):
    differences = np.random.default_rng(0).normal(size=50)
    whole = paired_interval(differences, 0, 0.95)
    monkeypatch.setattr("stages.metrics.paired.CHUNK", 130)
    assert paired_interval(differences, 0, 0.95) == whole


TRUTH = [0, 0, 0, 1, 1, 1, 2, 2]
NEW = answers_of(TRUTH, [0, 0, 1, 1, 1, 1, 2, 2], [99.0, 99, 99, 99, 50, 99, 99, 99])
BASE = answers_of(TRUTH, [0, 1, 0, 0, 0, 1, 0, 0], [99.0, 99, 99, 99, 99, 99, 50, 50], num_classes=2)
SCOPE = answers_of([NO_CLASS] * 3, [0, 0, 1], [99.0, 20, 20])
BASE_SCOPE = answers_of([NO_CLASS] * 3, [0, 0, 1], [99.0, 99, 20], num_classes=2)
SETS = {"validation": NEW.take(slice(0, 0)), "held_out": NEW, "out_of_scope": SCOPE}
BASE_SETS = {"validation": BASE.take(slice(0, 0)), "held_out": BASE, "out_of_scope": BASE_SCOPE}


def test_the_table_counts_wins_and_losses_of_sets_then_of_classes():
    table = against_base(SETS, BASE_SETS, 95)
    assert tuple(table) == AGAINST_BASE_COLUMNS
    assert table["set"].tolist() == ["validation", "held_out", "out_of_scope", *["held_out"] * 3]
    whole = table.iloc[1]
    counts = ["num_pictures", "num_classes", "num_left_out", "both_right", "wins", "losses", "both_wrong"]
    assert whole[counts].tolist() == [6, 2, 2, 2, 3, 1, 0]
    assert whole["mcnemar_p"] == pytest.approx(binomtest(3, 4).pvalue)
    assert whole["accuracy_difference"] == pytest.approx(2 / 6)
    assert whole["accuracy_difference_low"] < 2 / 6 < whole["accuracy_difference_high"]
    assert whole["weighted_log_loss_difference"] == pytest.approx(-2 * 1.5 / 6)
    assert whole["coverage_difference"] == pytest.approx(-1 / 6)
    classes = table.iloc[3:].set_index("class_name")
    assert classes["num_left_out"].to_dict() == {"a": 0, "b": 0, "c": 2}
    assert classes.loc["b", ["wins", "losses"]].tolist() == [2, 0]
    assert classes.index.tolist()[-1] == "c"  # nothing to compare stands last
    chances = classes["mcnemar_p"].dropna().astype(float)
    assert classes["adjusted_p"].dropna().tolist() == pytest.approx(false_discovery_control(chances).tolist())


def test_out_of_scope_a_win_is_an_answer_that_is_not_shown_any_more():
    row = against_base(SETS, BASE_SETS, 95).iloc[2]
    assert row[["both_right", "wins", "losses", "both_wrong"]].tolist() == [1, 1, 0, 1]
    assert pd.isna(row["accuracy_difference"])
    assert row["coverage_difference"] == pytest.approx(-1 / 3)


def test_without_a_base_the_table_is_empty_and_without_pictures_a_row():
    assert against_base(SETS, {}, 95).empty
    assert against_base(SETS, BASE_SETS, 95).loc[0, ["num_pictures", "num_left_out"]].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("metric", "worse_by"),
    [
        ("top_1_accuracy", -2 / 6),
        ("balanced_accuracy", -(2 / 3 + 3 / 3 - 2 / 3 - 1 / 3) / 2),
        ("true_positive_fraction", -1 / 6),
        ("false_positive_fraction", -2 / 6),
        ("coverage", 1 / 6),
        ("weighted_log_loss", -0.5),
    ],
)
def test_worse_is_a_lower_share_a_higher_loss_and_more_false_positives(metric, worse_by):
    comparison = compare(NEW.take(slice(0, 6)), BASE.take(slice(0, 6)), metric, 95)
    assert comparison.worse_by == pytest.approx(worse_by)
    assert comparison.interval[0] < comparison.worse_by < comparison.interval[1]
    back = compare(BASE.take(slice(0, 6)), NEW.take(slice(0, 6)), metric, 95)
    assert back.worse_by == pytest.approx(-worse_by)
