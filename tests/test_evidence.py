"""What else than the model's answer speaks against a picture, compared with plain loops over the definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from stages.embeddings.discriminant import NUM_FOLDS, SHRINKAGE, fit, folds_of, log_scores
from stages.embeddings.vectors import units
from stages.metrics.truth import NO_CLASS
from stages.suspects import neighbours as module
from stages.suspects.evidence import near_training
from stages.suspects.mislabelled import find_label_issues
from stages.suspects.neighbours import Embedded, Neighbours, medoids, nearest, nearest_of_class

seeds = st.integers(0, 2**32 - 1)


def clustered(rng, num_pictures, num_classes):
    """Vectors around one centre per class, and their true classes."""
    true = rng.integers(0, num_classes, num_pictures)
    vectors = np.eye(num_classes + 2)[true] + 0.1 * rng.standard_normal((num_pictures, num_classes + 2))
    return units(vectors), true


@given(seeds, st.integers(2, 5))
def test_the_planted_labels_are_the_most_doubtful_and_only_known_ones_are_judged(seed, num_classes):
    rng = np.random.default_rng(seed)
    vectors, true = clustered(rng, 40 * num_classes, num_classes)
    labels, planted = true.copy(), rng.permutation(len(true))[:4]
    labels[planted] = (true[planted] + rng.integers(1, num_classes, 4)) % num_classes
    labels[rng.permutation(len(true))[:3]] = rng.choice([NO_CLASS, num_classes], 3)
    known, everyone = (labels >= 0) & (labels < num_classes), np.ones(len(true), bool)
    issues = find_label_issues(vectors, labels, num_classes, folds_of(range(len(true))), everyone, 4 / len(true))
    assert issues.doubted.sum() <= 4
    assert set(np.flatnonzero(issues.doubted)) <= set(planted)
    assert (issues.best == true).mean() > 0.95
    assert np.isnan(issues.self_confidence[~known]).all()
    assert (issues.self_confidence[known] <= 0).all()


@given(seeds, st.integers(2, 5))
def test_the_classifier_is_scikit_learns(seed, num_classes):
    vectors, classes = clustered(np.random.default_rng(seed), 30 * num_classes, num_classes)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(vectors.astype(float), classes)
    shown = theirs.classes_.astype(int)
    ours = log_scores(fit(vectors, classes), vectors, num_classes)
    np.testing.assert_allclose(
        np.maximum(ours[:, shown], -30), np.maximum(theirs.predict_log_proba(vectors), -30), rtol=1e-3
    )
    assert (ours[:, ~np.isin(np.arange(num_classes), shown)] == -np.inf).all()


def test_a_class_of_one_picture_is_known():
    vectors = units(np.array([[1, 0, 0.1], [1, 0, 0], [0, 1, 0]], np.float16))
    assert log_scores(fit(vectors, np.array([0, 0, 2])), vectors, 3).argmax(axis=1).tolist() == [0, 0, 2]


def test_a_picture_is_judged_by_those_of_other_folds_alone():
    vectors, true = clustered(np.random.default_rng(0), 90, 3)
    labels, folds = true.copy(), folds_of(np.arange(90) // 3)
    first = find_label_issues(vectors, labels, 3, folds, np.ones(90, bool), 1.0)
    labels[folds == 0] = (labels[folds == 0] + 1) % 3
    second = find_label_issues(vectors, labels, 3, folds, np.ones(90, bool), 1.0)
    assert second.best[folds == 0].tolist() == first.best[folds == 0].tolist()
    lonely = find_label_issues(vectors, labels, 3, np.zeros(90, int), np.ones(90, bool), 1.0)
    assert not lonely.doubted.any()  # nothing is left to judge by


def test_folds_keep_groups_together_and_do_not_move():
    groups = [f"group {number // 2}" for number in range(400)]
    folds = folds_of(groups)
    assert (folds[::2] == folds[1::2]).all()
    assert folds_of(groups[:10]).tolist() == folds[:10].tolist()
    assert np.bincount(folds, minlength=NUM_FOLDS).min() > 400 / NUM_FOLDS / 2


def embedded(rng, num_pictures, num_classes, num_groups):
    vectors = units(rng.standard_normal((num_pictures, 3)).astype(np.float16))
    groups = rng.integers(0, num_groups, num_pictures)
    return Embedded(vectors, rng.integers(0, num_classes, num_pictures), groups)


@given(seeds, st.integers(1, 12), st.integers(0, 12), st.integers(1, 4))
def test_the_nearest_are_those_of_a_search_through_all(seed, num_pictures, num_training, k):
    rng = np.random.default_rng(seed)
    pictures, training = embedded(rng, num_pictures, 5, 6), embedded(rng, num_training, 5, 6)
    neighbours = nearest(pictures, training, k)
    for row in range(num_pictures):
        cosines = [
            (-float(vector @ pictures.vectors[row]), number)
            for number, vector in enumerate(training.vectors)
            if training.groups[number] != pictures.groups[row]
        ]
        best = sorted(cosines)[:k]
        expected = np.full(k, -np.inf)
        expected[: len(best)] = [-distance for distance, _ in best]
        np.testing.assert_allclose(neighbours.similarity[row], expected, atol=1e-6)
        shown = neighbours.rows[row][neighbours.rows[row] >= 0]
        assert len(set(shown)) == len(shown) == len(best)
        np.testing.assert_allclose(training.vectors[shown] @ pictures.vectors[row], expected[: len(best)], atol=1e-6)


@given(seeds, st.integers(1, 10), st.integers(0, 10))
def test_the_nearest_of_its_class_is_that_of_a_search_through_the_class(seed, num_pictures, num_training):
    rng = np.random.default_rng(seed)
    pictures, training = embedded(rng, num_pictures, 3, 2), embedded(rng, num_training, 3, 2)
    for row, similarity in enumerate(nearest_of_class(pictures, training)):
        own = training.vectors[training.classes == pictures.classes[row]] @ pictures.vectors[row]
        assert similarity == pytest.approx(own.max(initial=-np.inf), abs=1e-6)


def test_its_own_class_is_searched_however_far_away_and_more_classes_than_cells_lose_little(monkeypatch):
    monkeypatch.setattr(module, "NUM_CELLS", 3)
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(20), 10)
    centres = rng.standard_normal((20, 8))
    vectors = units((centres[classes] + 0.3 * rng.standard_normal((200, 8))).astype(np.float16))
    training = Embedded(vectors, classes, np.arange(200))
    mislaid = Embedded(vectors, (classes + 7) % 20, np.arange(200))
    neighbours = nearest(mislaid, training, 5)
    similarity = vectors @ vectors.T - 3 * np.eye(200, dtype=np.float32)
    exact = np.argsort(-similarity, axis=1)[:, :5]
    assert np.mean([len(set(a) & set(b)) / 5 for a, b in zip(neighbours.rows, exact, strict=True)]) > 0.95
    few = Embedded(vectors[:10], classes[:10], np.arange(10))
    lonely = Embedded(-vectors[:1], np.array([0]), np.array([-1]))
    assert (nearest(lonely, few, 10).rows >= 0).all()


@given(seeds, st.integers(1, 15))
def test_the_medoid_has_the_least_distance_to_all_of_its_class(seed, num_pictures):
    pictures = embedded(np.random.default_rng(seed), num_pictures, 3, 1)
    for class_, medoid in enumerate(medoids(pictures.vectors, pictures.classes, 4)):
        own = pictures.vectors[pictures.classes == class_]
        if not len(own):
            assert medoid == -1
            continue
        assert pictures.classes[medoid] == class_
        distances = (1 - own @ own.T).sum(axis=0)
        assert (1 - own @ pictures.vectors[medoid]).sum() == pytest.approx(distances.min(), abs=1e-4)


def test_near_is_relative_to_the_usual_distance_and_training_pictures_are_never_near():
    similarity = np.array([[0.9], [0.8], [0.7], [0.99], [0.99], [-np.inf]], np.float32)
    neighbours = Neighbours(np.zeros((6, 1), np.int64), similarity)
    trained = np.array([False] * 4 + [True, False])
    usual = np.array([True] * 3 + [False] * 3)
    assert near_training(neighbours, trained, usual, 0.25).tolist() == [False, False, False, True, False, False]
    assert near_training(neighbours, trained, usual, 0.6).tolist() == [True, False, False, True, False, False]
    assert not near_training(neighbours, trained, np.zeros(6, bool), 0.6).any()


def test_vectors_have_length_one_and_zeros_stay():
    scaled = units(np.array([[3, 4], [0, 0], [60000, 60000]], np.float16))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-3)
