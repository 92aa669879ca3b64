"""What is far from every class is not answered: the distance, its honest distribution, the limit, and the one rule."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_metrics import answers_of

from runtime.parameters import Rule
from stages.embeddings import class_means as module
from stages.embeddings.class_means import class_means, distances, left_out_distances
from stages.embeddings.vectors import units
from stages.metrics.answers import Answers
from stages.metrics.figures import figures
from stages.metrics.scope import in_scope, scope_limit
from stages.reports.gate import judge
from stages.reports.thresholds import threshold_curves

seeds = st.integers(0, 2**32 - 1)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Vectors, their classes, what is known together, and how many classes there are."""
    rng = np.random.default_rng(seed)
    num_pictures, num_classes = rng.integers(1, 30), int(rng.integers(1, 5))
    vectors = units(rng.normal(size=(num_pictures, 4)))
    return vectors, rng.integers(0, num_classes, num_pictures), rng.integers(0, 9, num_pictures), num_classes


@given(seeds, st.integers(1, 40))
def test_a_left_out_distance_is_that_to_means_that_were_made_without_the_group(seed, block):
    vectors, classes, together, num_classes = drawn(seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = left_out_distances(vectors, classes, together, num_classes)
    for row, distance in enumerate(found):
        others = together != together[row]
        means = class_means(vectors[others], classes[others], num_classes)
        has_some = np.bincount(classes[others], minlength=num_classes) > 0
        expected = distances(vectors[row : row + 1], means[has_some]) if has_some.any() else 2.0
        assert distance == pytest.approx(expected, abs=1e-5)


@given(seeds)
def test_copies_of_a_picture_do_not_bring_it_nearer_if_they_are_left_out_with_it(seed):
    vectors, classes, _, num_classes = drawn(seed)
    alone = np.arange(len(vectors))
    once = left_out_distances(vectors, classes, alone, num_classes)[0]
    copies = np.repeat(0, 5)
    more = np.concatenate([np.arange(len(vectors)), copies])
    together = np.concatenate([alone, copies])
    again = left_out_distances(vectors[more], classes[more], together, num_classes)
    assert again[0] == pytest.approx(once, abs=1e-5) and again[-1] == pytest.approx(once, abs=1e-5)


@given(seeds)
def test_a_distance_is_0_at_a_mean_and_does_not_grow_with_more_classes(seed):
    vectors, classes, _, num_classes = drawn(seed)
    means = class_means(vectors, classes, num_classes)
    has_some = np.bincount(classes, minlength=num_classes) > 0
    assert distances(means[has_some], means) == pytest.approx(0, abs=1e-5)
    assert (distances(vectors, np.vstack([means, vectors[:1]])) <= distances(vectors, means) + 2e-6).all()


@given(st.lists(st.floats(0, 2), min_size=1, max_size=40), st.floats(0.01, 1))
def test_at_least_the_share_that_was_asked_for_is_in_scope_of_the_training_pictures(left_out, share):
    rows = pd.DataFrame({"split": "train", "scope_distance": left_out})
    far = pd.DataFrame({"split": ["out_of_scope"], "scope_distance": [2.0]})
    limit = scope_limit(pd.concat([rows, far]), share)
    inside = in_scope(rows["scope_distance"].to_numpy(), limit)
    assert inside.mean() >= share - 1e-9
    assert inside.all() or not (rows["scope_distance"] > limit).all()
    assert scope_limit(rows, None) is None


def test_without_a_limit_or_a_distance_everything_is_in_scope():
    assert in_scope(np.array([0.1, 2.0]), None).all()
    assert in_scope(np.array([np.nan, 0.1, 0.3]), 0.2).tolist() == [True, True, False]


def limited(inside: list[bool], confidence: list[float], truth: list[str | None]) -> Answers:
    """Answers `a` to pictures of which some are in scope."""
    answers = answers_of(truth, ["a"] * len(truth), confidence)
    return Answers(**{**vars(answers), "in_scope": np.array(inside)})


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 100)), min_size=1, max_size=9), st.floats(0, 100))
def test_an_answer_is_shown_if_it_is_confident_enough_and_its_picture_is_in_scope(pictures, threshold):
    inside, confidence = map(list, zip(*pictures, strict=True))
    answers = limited(inside, confidence, ["a"] * len(pictures))
    shown = [good and value >= threshold for good, value in pictures]
    assert answers.shown(threshold).tolist() == shown
    values = figures(answers, threshold)
    assert values["num_at_or_above"] == values["true_positives"] == sum(shown)
    assert values["coverage_by_confidence"] == np.mean(np.array(confidence) >= threshold)
    curve = threshold_curves({"test": answers}, 95.0)
    assert curve["true_positives"].tolist() == [answers.shown(each).sum() for each in curve["threshold"]]


def test_the_gate_judges_what_is_shown():
    inside = [False] * 18 + [True] * 2
    answers = limited(inside, [99.0] * 20, [None] * 20)
    rule = Rule(set="out_of_scope", metric="false_positive_fraction", at_most=0.10)
    assert judge(figures(answers, 95.0), rule, 10).passed
    assert figures(answers, 95.0)["false_positive_fraction_by_confidence"] == 1.0
    everywhere = limited([True] * 20, [99.0] * 20, [None] * 20)
    assert not judge(figures(everywhere, 95.0), rule, 10).passed
    acceptable = answers.acceptable(95.0)
    assert acceptable.tolist() == [not each for each in inside]
