import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.parameters import Gate, NotWorse, Rule
from stages.metrics.answers import Answers
from stages.metrics.figures import figures
from stages.metrics.truth import NO_CLASS
from stages.reports.benchmarks import benchmark_report
from stages.reports.gate import judge, judge_against, judge_all, pictures_needed, verdict


def answers_of(truth, predicted, confidence, num_classes=3):
    right = np.array(truth) == predicted
    losses, ranks, names = np.where(right, 0.5, 2.0), np.where(right, 0, 1), tuple("abcdefgh")
    arrays = (np.array(values) for values in (truth, predicted, confidence))
    return Answers(names, num_classes, *arrays, ranks, losses, losses, losses)


FOUR = answers_of([0, 0, 1, 1], [0, 0, 1, 0], [99.0, 96.0, 95.0, 97.0])
NONE = FOUR.take(slice(0, 0))
FORTY = FOUR.take(np.tile(np.arange(4), 10))
ALL_RIGHT = answers_of([0, 0, 1, 1], [0, 0, 1, 1], [99.0] * 4)


def rule(metric, at_least=None, at_most=None, name="difficult", allow=False):
    return Rule(set=name, metric=metric, at_least=at_least, at_most=at_most, allow_undecided=allow)


def limit(metric="top_1_accuracy", margin=0.02, allow=False):
    return NotWorse(set="test", metric=metric, margin=margin, allow_undecided=allow)


@given(st.floats(0.0, 1.0), st.sampled_from(["top_1_accuracy", "true_positive_fraction", "coverage", "min_confidence"]))
def test_a_figure_at_its_bound_passes_and_one_beyond_fails(bound, metric):
    values = figures(FORTY, 95) | {metric: bound}
    assert judge(values, rule(metric, bound, allow=True), 10).passed
    assert judge(values, rule(metric, None, bound, allow=True), 10).passed
    assert not judge(values, rule(metric, bound + 1e-9, allow=True), 10).passed
    assert not judge(values, rule(metric, None, bound - 1e-9, allow=True), 10).passed


def test_a_fraction_comes_with_its_interval_and_others_without():
    ruling = judge(figures(FOUR, 95), rule("true_positive_fraction", 0.7), 1)
    assert (ruling.figure, ruling.passed, ruling.bound) == (0.75, True, "at least 0.7")
    assert ruling.interval == pytest.approx((0.194120, 0.993691), abs=1e-5)
    assert ruling.why == "0.75 on 4 pictures of 2 of 3 classes; at least 0.7 was asked"
    errors = judge(figures(FOUR, 95), rule("num_errors", None, 0), 1)
    assert (errors.interval, errors.why) == (None, "1 on 4 pictures of 2 of 3 classes; at most 0 was asked")


@pytest.mark.parametrize(
    ("metric", "at_least", "at_most", "needed"),
    [
        ("true_positive_fraction", 0.8, None, 10),
        ("true_positive_fraction", 0.95, None, 20),
        ("false_positive_fraction", None, 0.05, 20),
        ("false_positive_fraction", None, 0.3, 10),
        ("false_positive_fraction", None, 0.0, 10),
        ("coverage", 1.0, None, 10),
        ("num_errors", None, 0, 10),
        ("min_confidence", 95.0, None, 10),
        ("log_loss", None, 0.1, 10),
    ],
)
def test_a_share_needs_pictures_enough_for_one_to_miss_it(metric, at_least, at_most, needed):
    assert pictures_needed(rule(metric, at_least, at_most), 10) == needed


def test_too_few_pictures_decide_nothing_and_fail_unless_the_rule_allows_it():
    values = figures(ALL_RIGHT, 95)
    ruling = judge(values, rule("num_errors", None, 0), 10)
    assert (ruling.figure, ruling.decided, ruling.passed) == (0, False, False)
    assert (
        ruling.why == "0 on 4 pictures of 2 of 3 classes; at most 0 was asked; too few pictures to decide, it takes 10"
    )
    allowed = judge(values, rule("num_errors", None, 0, allow=True), 10)
    assert (allowed.decided, allowed.passed) == (False, True)
    assert allowed.why.endswith("it takes 10; the rule allows it")
    assert not judge(figures(FOUR, 95), rule("num_errors", None, 0, allow=True), 10).passed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("difficult", "no pictures in data/benchmarks/difficult: add some, or remove the rule from params.yaml"),
        ("held_out", "no pictures in the held_out set: add some to data/library, or remove the rule from params.yaml"),
        ("test", "no pictures in the test set: add some to data/library, or remove the rule from params.yaml"),
    ],
)
@pytest.mark.parametrize("metric", ["top_1_accuracy", "num_errors", "false_positive_fraction", "min_confidence"])
def test_a_rule_on_a_set_without_pictures_fails_and_says_so(name, why, metric):
    ruling = judge(figures(NONE, 95), rule(metric, None, 1, name=name, allow=True), 10)
    assert (ruling.passed, ruling.figure, ruling.interval, ruling.why) == (False, None, None, why)
    compared = judge_against(NONE, NONE, NotWorse(set=name, metric="top_1_accuracy", margin=1), 95, 10)
    assert (compared.passed, compared.why) == (False, why)


def test_a_rule_that_means_nothing_in_its_set_fails_and_says_what_to_ask():
    scope = figures(answers_of([NO_CLASS], [0], [99.0]), 95)
    ruling = judge(scope, rule("top_1_accuracy", 0.5, name="out_of_scope"), 1)
    assert not ruling.passed
    assert ruling.why == (
        "top_1_accuracy means nothing: the pictures of out_of_scope belong to no class; ask for false_positive_fraction"
    )
    assert not judge(scope, rule("false_positive_fraction", None, 0.1, name="out_of_scope"), 1).passed


def test_without_a_base_nothing_is_worse():
    ruling = judge_against(FOUR, None, limit(), 95, 10)
    assert (ruling.passed, ruling.figure, ruling.why) == (True, 0.75, "no base to compare with")


def pair(wins, losses, total):
    """Answers of two models to as many pictures, of which each has some right that the other has wrong."""
    new = answers_of([0] * total, [0] * wins + [1] * losses + [0] * (total - wins - losses), [99.0] * total)
    base = answers_of([0] * total, [1] * wins + [0] * (total - wins), [99.0] * total)
    return new, base


@pytest.mark.parametrize(
    ("wins", "losses", "total", "decided", "passed"),
    [
        (0, 0, 1000, True, True),
        (4, 6, 1000, True, True),
        (10, 100, 1000, True, False),  # surely worse by more than the margin
        (10, 25, 1000, False, False),  # worse by 0.015: within the margin, and so may be 0.025
        (5, 5, 100, False, False),
        (0, 0, 50, False, False),  # no difference on 50 pictures leaves a margin of 0.02 open
        (0, 0, 9, False, False),
    ],
)
def test_not_worse_is_shown_and_not_read_off_two_numbers(wins, losses, total, decided, passed):
    ruling = judge_against(*pair(wins, losses, total), limit(), 95, 10)
    assert (ruling.decided, ruling.passed) == (decided, passed)
    assert ruling.worse_by == pytest.approx((losses - wins) / total)
    assert ruling.worse_by_interval[0] < ruling.worse_by < ruling.worse_by_interval[1]
    assert ("too few pictures to decide" in ruling.why) is not decided


def test_an_undecided_comparison_passes_by_its_figure_where_the_rule_allows_it():
    allowed = judge_against(*pair(5, 5, 100), limit(allow=True), 95, 10)
    assert (allowed.decided, allowed.passed) == (False, True)
    assert allowed.why == (
        "0.95 against the base's 0.95 on 100 pictures of 1 of 3 classes: worse by 0, likely between -0.056 and 0.056; "
        "too few pictures to decide, some 800 would do; the rule allows it"
    )
    assert not judge_against(*pair(5, 8, 100), limit(allow=True), 95, 10).passed


@pytest.mark.parametrize("metric", ["log_loss", "weighted_log_loss"])
def test_a_loss_is_worse_when_it_is_higher(metric):
    new, base = pair(0, 100, 1000)
    assert not judge_against(new, base, limit(metric), 95, 10).passed
    assert judge_against(base, new, limit(metric, 0.0), 95, 10).passed


def test_classes_that_the_base_does_not_know_hide_no_loss():
    new = answers_of([0] * 40 + [2] * 40, [0] * 20 + [1] * 20 + [2] * 40, [99.0] * 80)
    base = answers_of([0] * 40 + [2] * 40, [0] * 40 + [1] * 40, [99.0] * 80, num_classes=2)
    ruling = judge_against(new, base, limit(), 95, 10)
    assert not ruling.passed
    assert ruling.why.startswith("0.5 against the base's 1 on 40 pictures of 1 of 3 classes: worse by 0.5, ")
    assert ruling.why.endswith("; left out: 40 of classes that the base does not know")
    none = judge_against(new.take(slice(40, 80)), base.take(slice(40, 80)), limit(), 95, 10)
    assert (none.passed, none.why) == (False, "the base knows the class of no picture of test")


def test_one_failed_rule_is_a_no_and_none_a_yes():
    rules = [rule("top_1_accuracy", 0.7, name="test"), rule("num_errors", None, 0.0, name="nowhere")]
    asked = Gate(least_pictures=10, rules=rules, not_worse_than_base=[limit("log_loss", 0.0)])
    rulings = judge_all(asked, {"test": FORTY}, {}, 95)
    assert [(ruling.set, ruling.passed) for ruling in rulings] == [("test", True), ("nowhere", False), ("test", True)]
    assert verdict(rulings)["verdict"] == "no"
    assert verdict([rulings[0], rulings[2]])["verdict"] == "yes"
    assert verdict(rulings)["rules"][1]["why"].startswith("no pictures in data/benchmarks/nowhere")
    assert judge_all(asked, {"test": FORTY}, {"test": FORTY}, 95)[2].passed  # the same model is not worse by anything


def test_the_benchmark_report_shows_base_and_requirement_next_to_the_figures():
    values = figures(FOUR, 95)
    rulings = [judge(values, rule("num_errors", None, 0.0), 1)]
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
