import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages._params import NotWorse, Rule
from stages.metrics.answers import Answers
from stages.metrics.benchmark_report import benchmark_report
from stages.metrics.figures import figures
from stages.metrics.gate import compare, judge, judge_all, verdict
from stages.metrics.truth import NO_CLASS


def answers_of(truth, predicted, confidence, num_classes=3):
    losses = np.where(np.array(truth) == predicted, 0.5, 2.0)
    ranks = np.where(np.array(truth) == predicted, 0, 1)
    names = tuple("abcdefgh")
    return Answers(
        names, num_classes, np.array(truth), np.array(predicted), np.array(confidence), ranks, losses, losses
    )


FOUR = answers_of([0, 0, 1, 1], [0, 0, 1, 0], [99.0, 96.0, 95.0, 97.0])
NONE = FOUR.take(slice(0, 0))


@given(st.floats(0, 1), st.sampled_from(["top_1_accuracy", "true_positive_fraction", "coverage", "min_confidence"]))
def test_a_figure_at_its_bound_passes_and_one_beyond_fails(bound, metric):
    values = figures(FOUR, 95) | {metric: bound}
    assert judge(values, "x", metric, bound, None).passed
    assert judge(values, "x", metric, None, bound).passed
    assert not judge(values, "x", metric, bound + 1e-9, None).passed
    assert not judge(values, "x", metric, None, bound - 1e-9).passed


def test_a_fraction_comes_with_its_interval_and_others_without():
    values = figures(FOUR, 95)
    ruling = judge(values, "difficult", "true_positive_fraction", 0.8, None)
    assert (ruling.figure, ruling.passed, ruling.bound) == (0.75, False, "at least 0.8")
    assert ruling.interval == pytest.approx((0.194120, 0.993691), abs=1e-5)
    assert ruling.why == "0.75 on 4 pictures; at least 0.8 was asked"
    errors = judge(values, "most_common", "num_errors", None, 0)
    assert (errors.interval, errors.why) == (None, "1 on 4 pictures; at most 0 was asked")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("difficult", "no pictures in data/benchmarks/difficult: add some, or remove the rule from params.yaml"),
        ("test", "no pictures in the test set: add some to data/library, or remove the rule from params.yaml"),
    ],
)
@pytest.mark.parametrize("metric", ["top_1_accuracy", "num_errors", "false_positive_fraction", "min_confidence"])
def test_a_rule_on_a_set_without_pictures_fails_and_says_so(name, why, metric):
    ruling = judge(figures(NONE, 95), name, metric, None, 1)
    assert (ruling.passed, ruling.figure, ruling.interval, ruling.why) == (False, None, None, why)
    compared = compare(NONE, NONE, name, "top_1_accuracy", 1, 95)
    assert (compared.passed, compared.why) == (False, why)


def test_a_rule_that_means_nothing_in_its_set_fails_and_says_what_to_ask():
    scope = figures(answers_of([NO_CLASS], [0], [99.0]), 95)
    ruling = judge(scope, "out_of_scope", "top_1_accuracy", 0.5, None)
    assert not ruling.passed
    assert ruling.why == (
        "top_1_accuracy means nothing: the pictures of out_of_scope belong to no class; ask for false_positive_fraction"
    )
    assert not judge(scope, "out_of_scope", "false_positive_fraction", None, 0.1).passed


def test_without_a_base_nothing_is_worse():
    ruling = compare(FOUR, None, "test", "top_1_accuracy", 0.01, 95)
    assert (ruling.passed, ruling.figure, ruling.why) == (True, 0.75, "no base to compare with")


@pytest.mark.parametrize(
    ("metric", "margin", "passed"),
    [
        ("top_1_accuracy", 0.25, True),
        ("top_1_accuracy", 0.24, False),
        ("log_loss", 0.375, True),
        ("log_loss", 0.3, False),
    ],
)
def test_worse_is_lower_accuracy_and_higher_loss_by_more_than_the_margin(metric, margin, passed):
    right = answers_of([0, 0, 1, 1], [0, 0, 1, 1], [99.0] * 4)
    assert compare(FOUR, right, "test", metric, margin, 95).passed is passed
    assert compare(right, FOUR, "test", metric, 0, 95).passed


def test_classes_that_the_base_does_not_know_hide_no_loss():
    new = answers_of([0, 0, 2, 2], [0, 1, 2, 2], [99.0] * 4)
    base = answers_of([0, 0, 2, 2], [0, 0, 1, 1], [99.0] * 4, num_classes=2)
    ruling = compare(new, base, "test", "top_1_accuracy", 0.01, 95)
    assert not ruling.passed
    assert ruling.why == "0.5 against the base's 1 on 2 pictures; left out: 2 of classes that the base does not know"
    none = compare(new.take([2, 3]), base.take([2, 3]), "test", "top_1_accuracy", 0.01, 95)
    assert (none.passed, none.why) == (False, "the base knows the class of no picture of test")


def test_one_failed_rule_is_a_no_and_none_a_yes():
    rules = [
        Rule(set="test", metric="top_1_accuracy", at_least=0.7),
        Rule(set="nowhere", metric="num_errors", at_most=0.0),
    ]
    limits = [NotWorse(set="test", metric="log_loss", margin=0.0)]
    rulings = judge_all(rules, limits, {"test": FOUR}, {}, 95)
    assert [(ruling.set, ruling.passed) for ruling in rulings] == [("test", True), ("nowhere", False), ("test", True)]
    assert verdict(rulings)["verdict"] == "no"
    assert verdict([rulings[0], rulings[2]])["verdict"] == "yes"
    assert verdict(rulings)["rules"][1]["why"].startswith("no pictures in data/benchmarks/nowhere")
    assert judge_all([], limits, {"test": FOUR}, {"test": FOUR}, 95)[0].passed


def test_the_benchmark_report_shows_base_and_requirement_beside_the_figures():
    values = figures(FOUR, 95)
    rulings = judge_all([Rule(set="difficult", metric="num_errors", at_most=0.0)], [], {"difficult": FOUR}, {}, 95)
    report = benchmark_report({"difficult": values, "more": values}, {"difficult": values}, rulings)
    assert report.loc[0, ["num_errors", "base_num_errors", "requirement", "passed"]].tolist() == [
        1,
        1,
        "num_errors at most 0",
        False,
    ]
    assert report.loc[1, ["min_confidence", "requirement"]].tolist() == [95.0, ""]
    assert pd.isna(report.loc[1, "base_num_errors"])
    assert report.loc[1, "passed"] is None
