"""The metrics compared with scikit-learn's, or computed by hand where it has none or another convention."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom
from sklearn import metrics as sklearn_metrics

from stages.metrics.accuracy import top_k_accuracy, truth_ranks
from stages.metrics.agreement import balanced_accuracy, class_weights, macro_f1, matthews_correlation, weighted_f1
from stages.metrics.all_figures import all_figures
from stages.metrics.answers import Answers, gather_answers
from stages.metrics.brier import squared_errors
from stages.metrics.confidence import count_shown
from stages.metrics.confusion import count_confused
from stages.metrics.figures import NEED_TRUTH, figures
from stages.metrics.interval import clopper_pearson, clopper_pearson_intervals
from stages.metrics.log_loss import EPSILON, log_losses
from stages.metrics.ranking import Ranking, rank
from stages.metrics.scaling import Scaling, scale
from stages.metrics.splits import set_slices
from stages.metrics.truth import NO_CLASS
from stages.reports.confused_pairs import confused_pairs, confused_plot
from stages.reports.figure_table import figure_table
from stages.reports.per_class import per_class
from stages.reports.summaries import summaries
from stages.reports.thresholds import THRESHOLDS, threshold_curves, threshold_report
from stages.suspects.evidence import Evidence
from stages.suspects.mislabelled import LabelIssues
from stages.suspects.neighbours import Neighbours
from stages.suspects.review_table import REASONS, reasons, worst_first
from stages.tables.scores import ALL_SETS, FIGURE_COLUMNS, HELD_OUT

NO_PAIRS = (np.empty((0, 2), dtype=np.int64), np.empty(0))
NO_CONFUSED = pd.DataFrame({"truth": [], "predicted": [], "weight": []}).astype({"truth": str, "predicted": str})


def draw(seed, num_pictures=60, num_classes=4):
    """Scores with many ties, some of them 0 and 1, and truths."""
    rng = np.random.default_rng(seed)
    counts = (
        rng.integers(0, 4, (num_pictures, num_classes))
        + np.eye(num_classes)[rng.integers(0, num_classes, num_pictures)]
    )
    scores = (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores, rng.integers(0, num_classes, num_pictures)


def answers_of(truth, predicted, confidence, classes=("a", "b", "c")):
    """Answers whose scores are the confidence in the predicted class and 0 elsewhere."""
    rows = pd.DataFrame({"truth": pd.Series(truth, dtype=str), "predicted": predicted, "confidence": confidence})
    scores = np.zeros((len(rows), len(classes)), dtype=np.float32)
    scores[np.arange(len(rows)), [classes.index(name) for name in predicted]] = np.array(confidence) / 100
    return gather_answers(rows.assign(source=None, in_scope=True), "", scores, classes, NO_CONFUSED)


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_log_loss_is_scikit_learns(seed):
    scores, truth = draw(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows that sum to 1 but for their last bit
        expected = sklearn_metrics.log_loss(truth, scores, labels=range(4))  # in float32, ours in float64
    assert log_losses(scores, truth, *NO_PAIRS)[0].mean() == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(seeds)
def test_weighted_log_loss_is_its_formula_term_by_term(seed):
    scores, truth = draw(seed, num_pictures=12)
    weight = np.ones((4, 4))
    weight[0, 1], weight[2, 0] = 0.5, 0.0
    total = 0.0
    for i, row in enumerate(np.clip(scores.astype(float), EPSILON, 1 - EPSILON)):
        for c, p in enumerate(row):
            y = float(truth[i] == c)
            total -= y * np.log(p) + weight[truth[i], c] * (1 - y) * np.log(1 - p)
    weighted = log_losses(scores, truth, np.array([[0, 1], [2, 0]]), np.array([0.5, 0.0]))[1]
    assert weighted.mean() == pytest.approx(total / 12)


def test_a_truth_that_the_model_does_not_know_was_given_epsilon():
    scores = np.array([[0.5, 0.5], [0.5, 0.5]], dtype=np.float32)
    loss, weighted = log_losses(scores, np.array([2, NO_CLASS]), np.array([[2, 0]]), np.array([0.5]))
    assert loss == pytest.approx([-np.log(EPSILON)] * 2)
    assert weighted - loss == pytest.approx([1.5 * np.log(2), 2 * np.log(2)])


def test_losses_do_not_depend_on_blocks(monkeypatch):
    scores, truth = draw(1)

    def compute():
        parts = log_losses(scores, truth, *NO_PAIRS), truth_ranks(scores, truth), squared_errors(scores, truth)
        return *parts, rank(scores, truth), scale(scores, Scaling(1.7, 2))

    whole = compute()
    for module in ("log_loss", "accuracy", "ranking", "brier", "scaling"):
        monkeypatch.setattr(f"stages.metrics.{module}.BLOCK", 7)
    monkeypatch.setattr("stages.metrics.ranking.TILE", 7)
    for before, after in zip(whole, compute(), strict=True):
        np.testing.assert_array_equal(before, after)


@given(seeds)
def test_top_k_accuracy_is_scikit_learns_where_scores_differ(seed):
    rng = np.random.default_rng(seed)
    scores, truth = rng.random((40, 7)).astype(np.float32), rng.integers(0, 7, 40)
    expected = sklearn_metrics.top_k_accuracy_score(truth, scores, k=5, labels=range(7))
    assert top_k_accuracy(truth_ranks(scores, truth), 7, 5) == pytest.approx(expected)


def test_of_equal_scores_the_first_is_ranked_first_as_argmax_does():
    scores = np.array([[0.25, 0.25, 0.5]] * 4, dtype=np.float32)
    assert truth_ranks(scores, np.array([0, 1, 2, 3])).tolist() == [1, 2, 0, 3]


def test_top_k_means_nothing_among_k_classes():
    assert top_k_accuracy(np.array([0, 4]), 5, 5) is None
    assert top_k_accuracy(np.array([], dtype=int), 9, 5) is None


@pytest.mark.slow
@given(seeds)
def test_macro_f1_and_matthews_are_scikit_learns(seed):
    scores, truth = draw(seed, num_pictures=25)
    predicted = scores.argmax(axis=1)
    expected = sklearn_metrics.f1_score(truth, predicted, labels=np.unique(truth), average="macro")
    assert macro_f1(truth, predicted) == pytest.approx(expected)
    expected = sklearn_metrics.matthews_corrcoef(truth, predicted)
    assert matthews_correlation(truth, predicted) == pytest.approx(expected)


@given(seeds)
def test_weighted_f1_and_balanced_accuracy_are_scikit_learns(seed):
    scores, truth = draw(seed, num_pictures=25)
    predicted = scores.argmax(axis=1)
    assert weighted_f1(truth, predicted) == pytest.approx(
        sklearn_metrics.f1_score(truth, predicted, average="weighted")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class that is only predicted
        expected = sklearn_metrics.balanced_accuracy_score(truth, predicted)
    assert balanced_accuracy(truth, predicted) == pytest.approx(expected)


def test_a_class_without_pictures_of_its_own_is_absent_from_macro_f1_and_not_0():
    truth = np.array([0, 0, 1])
    assert macro_f1(truth, np.array([0, 2, 1])) == pytest.approx((2 / 3 + 1) / 2)
    assert macro_f1(truth, np.array([0, 2, 1])) == macro_f1(truth, np.array([0, 3, 1]))


@given(st.lists(st.integers(-1, 4), min_size=1, max_size=40))
def test_weighted_to_the_classes_each_one_weighs_the_same(truth):
    truth = np.array(truth)
    weights, classes = class_weights(truth), np.unique(truth[truth >= 0])
    assert [weights[truth == own].sum() for own in classes] == pytest.approx(
        [len(truth) / max(1, len(classes))] * len(classes)
    )
    assert not weights[truth < 0].any()


@given(seeds)
def test_the_brier_score_is_scikit_learns(seed):
    scores, truth = draw(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows that sum to 1 but for their last bit
        expected = sklearn_metrics.brier_score_loss(truth, scores, labels=range(4))
    assert squared_errors(scores, truth).mean() == pytest.approx(expected, abs=1e-6)


def test_a_truth_that_the_model_does_not_know_was_given_0():
    scores = np.array([[0.5, 0.5], [0.25, 0.75]], dtype=np.float32)
    assert squared_errors(scores, np.array([2, 1])).tolist() == [1.5, 0.125]


def test_a_class_that_the_model_does_not_know_has_f1_0():
    assert macro_f1(np.array([0, 0, 2]), np.array([0, 0, 0])) == pytest.approx((0.8 + 0) / 2)


def test_matthews_means_nothing_with_one_class():
    assert matthews_correlation(np.array([1, 1]), np.array([1, 0])) is None
    assert macro_f1(np.array([], dtype=int), np.array([], dtype=int)) is None
    assert (
        macro_f1(np.array([NO_CLASS]), np.array([0])) is balanced_accuracy(np.array([NO_CLASS]), np.array([0])) is None
    )


@pytest.mark.slow
@given(seeds)
def test_ranking_is_scikit_learns_ties_included(seed):
    scores, truth = draw(seed)
    own = np.eye(4)[truth]
    areas = [sklearn_metrics.roc_auc_score(own[:, c], scores[:, c]) for c in range(4)]
    precisions = [sklearn_metrics.average_precision_score(own[:, c], scores[:, c]) for c in range(4)]
    assert rank(scores, truth) == pytest.approx((np.mean(areas), np.mean(precisions)), abs=1e-9)


def test_pictures_that_belong_to_no_class_have_no_part_in_the_ranking():
    scores, truth = draw(5)
    none = np.flatnonzero(np.arange(60) % 3 == 0)
    marked = np.where(np.isin(np.arange(60), none), NO_CLASS, truth)
    kept = np.setdiff1d(np.arange(60), none)
    assert rank(scores, marked) == rank(scores[kept], truth[kept])


def test_a_class_without_a_column_is_ranked_like_a_constant_score():
    scores, truth = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.4, 0.6]], dtype=np.float32), np.array([0, 0, 1, 2])
    assert rank(scores, truth) == pytest.approx(((1 + 1 + 0.5) / 3, (1 + 1 + 0.25) / 3))


def test_a_class_without_pictures_is_in_no_mean_and_one_class_has_no_rank():
    scores = np.array([[0.9, 0.1, 0], [0.1, 0.9, 0]], dtype=np.float32)
    assert rank(scores, np.array([0, 1])) == Ranking(1.0, 1.0)
    assert rank(scores, np.array([0, 0])) == Ranking(None, None)
    assert rank(scores[:0], np.array([], dtype=int)) == Ranking(None, None)


@given(st.integers(1, 200), st.data())
def test_each_end_of_the_interval_leaves_a_fortieth_outside(total, data):
    count = data.draw(st.integers(0, total))
    low, high = clopper_pearson(count, total)
    assert 0 <= low <= count / total <= high <= 1
    assert low == 0 or binom.sf(count - 1, total, low) == pytest.approx(0.025)
    assert high == 1 or binom.cdf(count, total, high) == pytest.approx(0.025)
    assert clopper_pearson_intervals(np.array([count]), np.array([total]))[0] == pytest.approx((low, high))


def test_no_pictures_have_no_interval():
    assert clopper_pearson(0, 0) is None
    assert clopper_pearson(0, 10) == pytest.approx((0, 0.308497), abs=1e-6)  # 1 - 0.025 ** (1 / 10)


def test_an_answer_at_the_threshold_is_shown():
    shown = count_shown(np.array([95.0, 94.9, 95.0, 99.0]), np.array([True, True, False, True]), np.array([95.0, 99.5]))
    assert shown.true_positives.tolist() == [2, 0]
    assert shown.false_positives.tolist() == [1, 0]


MIXED = answers_of(["a", "a", "b", "z", "b"], ["a", "b", "b", "a", "a"], [99, 96, 50, 97, 20])


def test_figures_by_hand():
    values = figures(MIXED, 95)
    assert values["num_errors"] == 3
    assert values["truth_not_in_model"] == 1
    assert (values["num_classes"], values["num_classes_total"]) == (2, 3)
    assert values["balanced_accuracy"] == pytest.approx(
        (1 / 2 + 1 / 2 + 0) / 3
    )  # the class z, which it does not know, is 0
    assert values["macro_true_positive_fraction"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert values["macro_false_positive_fraction"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    assert (values["true_positives"], values["false_positives"]) == (1, 2)
    assert (values["num_at_or_above"], values["num_below"]) == (3, 2)
    assert values["top_1_accuracy"] == pytest.approx(2 / 5)
    assert values["coverage"] == pytest.approx(values["true_positive_fraction"] + values["false_positive_fraction"])
    assert values["selective_risk"] == pytest.approx(2 / 3)
    assert (values["min_confidence"], values["max_confidence"]) == (20, 99)
    assert (values["median_confidence"], values["mean_confidence"]) == (96, pytest.approx(72.4))


def test_without_pictures_only_counts_are_given():
    values = figures(MIXED.take(slice(0, 0)), 95)
    assert values.pop("num_classes_total") == 3
    counts = ("num_", "truth_not", "true_positives", "false_positives")
    assert all(value == 0 if name.startswith(counts) else value is None for name, value in values.items())


def test_out_of_scope_whatever_is_shown_is_a_false_positive():
    values = figures(answers_of([None, None], ["a", "b"], [99, 20]), 95)
    assert {values[name] for name in NEED_TRUTH} == {None}
    assert values["false_positive_fraction"] == 0.5


def test_nothing_shown_has_no_selective_risk():
    assert figures(answers_of(["a"], ["a"], [20]), 95)["selective_risk"] is None


def test_the_summary_leaves_out_what_means_nothing_and_keeps_what_is_missing():
    scope, empty = answers_of([None], ["a"], [99]), MIXED.take(slice(0, 0))
    sets = dict.fromkeys((HELD_OUT, "train", "validation", "test"), MIXED)
    sets |= {"empty": empty, "out_of_scope": scope, ALL_SETS: MIXED}
    ranking = Ranking(0.12345678, None)
    shown = summaries({name: all_figures(each, ranking, MIXED.confidence, 95) for name, each in sets.items()})
    assert list(shown) == [HELD_OUT, "test", "validation", "empty", "out_of_scope"]
    assert shown["out_of_scope"] == {"num_pictures": 1, "false_positive_fraction": 1.0}
    assert shown["empty"]["top_1_accuracy"] is None
    assert (shown["test"]["roc_auc"], shown["test"]["average_precision"]) == (0.123457, None)


def test_every_figure_of_a_set_stands_in_its_row():
    values = all_figures(MIXED, Ranking(0.5, 0.5), MIXED.confidence, 95)
    table = figure_table({"new": {"test": values}, "base": {"test": values}})
    assert tuple(table) == FIGURE_COLUMNS
    assert table["model"].tolist() == ["new", "base"]
    meaningless = ["top_5_accuracy", "roc_auc_against_held_out", "fpr_at_95_tpr"]  # of three classes; of a set in scope
    assert table.columns[table.isna().any()].tolist() == meaningless
    assert table.loc[0, ["selective_risk_low", "selective_risk", "selective_risk_high"]].tolist() == pytest.approx(
        [0.094299, 2 / 3, 0.991596], abs=1e-6
    )
    # Confidences 99 right, 97 and 96 wrong, 50 right, 20 wrong.
    assert table.loc[0, "aurc"] == pytest.approx((0 + 1 / 2 + 2 / 3 + 2 / 4 + 3 / 5) / 5)


def test_a_set_out_of_scope_is_compared_with_the_held_out_pictures():
    scope = answers_of([None, None], ["a", "b"], [99, 20])
    values = all_figures(scope, Ranking(None, None), np.array([30.0, 99.0, 99.5]), 95)
    assert (values["roc_auc_against_held_out"], values["fpr_at_95_tpr"]) == (pytest.approx(4.5 / 6), 0.5)
    assert values["false_positive_fraction"] == 0.5
    assert values["aurc"] is values["ece"] is values["brier_score"] is values["macro_f1"] is None


def test_slices_cover_every_row_once_and_name_every_set():
    slices = set_slices(np.array(["difficult", "test", "test", "train"], dtype=object), {"empty"})
    assert list(slices) == ["train", "validation", "test", "difficult", "empty"]
    assert slices["test"] == slice(1, 3)
    assert sum(rows.stop - rows.start for rows in slices.values()) == 4


def test_confused_pairs_stand_worst_first_by_what_they_cost():
    names = [("a", "b")] * 3 + [("b", "a")] * 2 + [("c", "c")] + [(None, "a")]
    answers = answers_of([truth for truth, _ in names], [predicted for _, predicted in names], [50] * 7)
    confused = pd.DataFrame({"truth": ["a"], "predicted": ["b"], "weight": [0.5]})
    rows = confused_pairs({"test": answers}, confused)
    assert rows.to_numpy().tolist() == [["test", "b", "a", 2, 1.0, 1.0], ["test", "a", "b", 3, 1.0, 0.5]]
    assert confused_plot(rows)["pair"].tolist() == ["a taken for b", "b taken for a"]


def test_no_confused_pair_still_draws():
    right = answers_of(["a"], ["a"], [50])
    assert len(count_confused(right)) == 0
    assert confused_plot(confused_pairs({"test": right}, NO_CONFUSED)).to_numpy().tolist() == [["none", 0]]


def test_classes_stand_most_missed_first_with_what_they_were_taken_for():
    rows = per_class("test", MIXED, 95).set_index("class_name")
    assert rows.index.tolist() == ["a", "b", "z", "c"]
    assert (rows.loc["b", "missed_as"], rows.loc["a", "wrong_guesses_of"]) == ("a (1)", "b (1); z (1)")
    assert rows["in_model"].tolist() == [True, True, False, True]
    assert (rows.loc["a", "precision"], rows.loc["a", "recall"]) == (pytest.approx(1 / 3), 0.5)
    assert rows.loc["a", ["true_positives", "false_positives"]].tolist() == [1, 1]
    assert rows.loc["c", ["precision", "recall", "f1"]].isna().all()


def test_the_threshold_report_has_one_row_per_set_with_intervals():
    scope = answers_of([None, None], ["a", "b"], [99, 20])
    report = threshold_report(
        {"test": figures(MIXED, 95), "scope": figures(scope, 95), "no": figures(MIXED.take([]), 95)}
    )
    assert report["set"].tolist() == ["test", "scope", "no"]
    assert report.loc[0, ["true_positive_low", "true_positive_high"]].tolist() == pytest.approx(
        [0.00505, 0.71642], abs=1e-5
    )
    assert report.loc[1, "true_positive_fraction":"true_positive_high"].isna().all()
    assert report.loc[2, "coverage":"selective_risk"].isna().all()


def test_the_curves_are_the_report_at_each_threshold():
    scope = answers_of([None, None], ["a", "b"], [99, 20])
    curves = threshold_curves({"test": MIXED, "empty": MIXED.take(slice(0, 0)), "scope": scope}, 92.5)
    assert set(curves["in_use"]) == {92.5}
    curves = curves.drop(columns="in_use").set_index(["set", "threshold"])
    assert (THRESHOLDS.min(), THRESHOLDS.max(), len(set(THRESHOLDS))) == (50, 99.9, len(THRESHOLDS))
    for name, answers in (("test", MIXED), ("scope", scope)):
        report = threshold_report({name: figures(answers, 95)}).loc[0, curves.columns].to_numpy(dtype=float)
        np.testing.assert_allclose(curves.loc[(name, 95.0)].to_numpy(dtype=float), report)
    assert np.isnan(curves.loc[("test", 99.9), "selective_risk"])
    assert "empty" not in curves.index


@pytest.fixture
def reviewed() -> tuple[Answers, Answers]:
    truth = ["a", "a", "b", "z", "b", "c", None, None]
    new = answers_of(truth, ["b", "b", "a", "a", "b", "c", "a", "b"], [60, 99, 50, 40, 70, 99, 96, 20])
    base = answers_of(truth, ["a", "b", "c", "b", "b", "c", "c", "b"], [60, 99, 50, 40, 70, 99, 96, 20])
    return new, base


def evidence(num_pictures, **against):
    """Nothing that speaks against a picture, but for what is given."""
    nothing, nobody = np.zeros(num_pictures, dtype=bool), np.full(num_pictures, NO_CLASS)
    issues = LabelIssues(nobody, np.full(num_pictures, np.nan), nothing)
    nearest = Neighbours(np.full((num_pictures, 1), -1), np.zeros((num_pictures, 1), np.float32))
    return Evidence(nothing, nothing, issues, nearest, nothing)._replace(**against)


def firsts(holds):
    return [REASONS[column.argmax()] if column.any() else None for column in holds.T]


def test_each_picture_has_the_first_reason_that_holds(reviewed):
    new, base = reviewed
    against = evidence(8, suspected=np.arange(8) > 5)
    expected = ["base_right_new_wrong", "wrong_and_confident", "wrong", "class_not_in_model", "right_but_unsure", None]
    expected += ["wrong_and_confident", "suspected_bad_picture"]
    assert firsts(reasons(new, base, 95, against)) == expected
    assert firsts(reasons(new, None, 95, against)) == ["wrong", *expected[1:]]


def test_what_speaks_against_a_label_or_a_side_stands_before_what_it_would_be_lost_in(reviewed):
    new, _ = reviewed
    doubted = LabelIssues(np.where(np.isin(np.arange(8), (2, 4)), 0, NO_CLASS), np.full(8, -0.1), np.arange(8) == 4)
    against = evidence(8, trained=np.arange(8) == 2, issues=doubted, near=np.arange(8) == 0)
    assert firsts(reasons(new, None, 95, against)) == [
        "near_across_split", "wrong_and_confident", "wrong_though_trained", "class_not_in_model",
        "probably_mislabelled", None, "wrong_and_confident", None,
    ]  # fmt: skip


def test_a_training_picture_that_only_the_model_takes_for_another_is_not_listed(reviewed):
    new, _ = reviewed
    agrees = LabelIssues(np.full(8, 1), np.full(8, -0.1), np.zeros(8, bool))
    assert firsts(reasons(new, None, 95, evidence(8, trained=np.arange(8) == 2, issues=agrees)))[2] is None


def test_of_right_answers_below_the_threshold_the_least_sure_of_each_class_are_listed():
    model = answers_of(["a"] * 6 + ["b"], ["a"] * 6 + ["b"], [90, 50, 99, 40, 60, 70, 80])
    assert np.flatnonzero(reasons(model, None, 95, evidence(7))[REASONS.index("right_but_unsure")]).tolist() == [
        1, 3, 4, 6,
    ]  # fmt: skip


def test_an_answer_that_the_base_did_not_show_out_of_scope_was_right():
    shown, hidden = answers_of([None], ["a"], [99]), answers_of([None], ["a"], [20])
    assert REASONS[reasons(shown, hidden, 95, evidence(1))[:, 0].argmax()] == "base_right_new_wrong"


def test_the_worst_stand_first_and_training_pictures_after_others():
    rows = pd.DataFrame(
        {
            "image_id": list("abcdef"),
            "split": ["test", "test", "train", "test", "difficult", "test"],
            "confidence": [50.0, 60.0, 90.0, 10.0, 70.0, 20.0],
        }
    )
    paths = pd.DataFrame(
        {
            "image_id": ["a", "a", "a", "b", "c", "d", "e", "f"],
            "set": ["library", "library", "difficult", *["library"] * 3, "difficult", "library"],
            "path": ["library/1", "library/2", "difficult/1", "library/b", "library/c", "library/d", "x", "library/f"],
            "dropped": ["copy", None, *[None] * 6],
            "faults": ["dark", *[None] * 6, "blurred"],
        }
    )
    rows = rows.assign(truth=["one", "one", "one", "one", "two", "two"], predicted="two")
    holds = np.zeros((len(REASONS), 6), dtype=bool)
    for picture, reason in enumerate(["wrong", "wrong", "wrong", *["right_but_unsure"] * 2]):
        holds[REASONS.index(reason), picture] = True
    holds[REASONS.index("suspected_bad_picture"), 0] = True
    doubted = LabelIssues(np.array([-1, 1, 1, -1, -1, -1]), np.full(6, -0.1), np.arange(6) == 1)
    against = evidence(6, trained=rows["split"].eq("train").to_numpy(), issues=doubted)
    against = against._replace(neighbours=Neighbours(np.array([[0], [0], [-1], [0], [0], [0]]), np.zeros((6, 1))))
    listed = worst_first(rows, holds, against, pd.Series({"one": "c", "two": None}), paths)
    assert listed["image_id"].tolist() == ["b", "a", "c", "d", "e"]
    assert listed["also"].fillna("").tolist() == ["", "suspected_bad_picture", "", "", ""]
    assert listed["suggested"].fillna("").tolist() == ["two", "", "", "", ""]
    assert listed["truth_example"].dropna().tolist() == ["library/c"] * 4
    assert listed["predicted_example"].isna().all()
    assert listed["nearest"].tolist()[:2] == ["library/c", "library/c"]
    assert pd.isna(listed["nearest"][2])
    assert listed["rank"].tolist() == [1, 2, 3, 4, 5]
    assert listed["path"].tolist() == ["library/b", "library/2", "library/c", "library/d", "x"]
    assert listed["faults"].isna().all()
