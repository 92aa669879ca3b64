"""What else than the model's answer speaks against a picture, compared with plain loops over the definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.metrics.truth import NO_CLASS
from stages.suspects import neighbours as module
from stages.suspects.evidence import drawn_elsewhere, near_training
from stages.suspects.mislabelled import find_label_issues
from stages.suspects.neighbours import Embedded, Neighbours, medoids, nearest, nearest_of_class, units

seeds = st.integers(0, 2**32 - 1)
# cleanlab 2.9.0: find_label_issues(labels, scores, filter_by="confident_learning",
# return_indices_ranked_by="self_confidence") of noisy(0).
CLEANLAB = [114, 191, 148, 123, 96, 107, 8, 77, 19, 108, 17, 2]


def noisy(seed, num_pictures=200, num_classes=5):
    """Scores of a fair model, and labels of which a tenth are drawn at random."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, num_classes, num_pictures)
    labels = np.where(rng.random(num_pictures) < 0.1, rng.integers(0, num_classes, num_pictures), true)
    powers = np.exp(rng.standard_normal((num_pictures, num_classes)) + 2.5 * np.eye(num_classes)[true])
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32), labels


def confident_class(row, label, thresholds):
    """Equation 1 of the paper, for one picture."""
    confident = [j for j, score in enumerate(row) if score >= thresholds[j]]
    best = max(confident, key=lambda j: row[j], default=label)
    return best if best != label and row[label] < max(row) else NO_CLASS


def test_the_issues_and_their_order_are_cleanlabs():
    issues = find_label_issues(*noisy(0))
    rows = np.flatnonzero(issues.suggested != NO_CLASS)
    assert rows[np.argsort(issues.self_confidence[rows])].tolist() == CLEANLAB


@given(seeds, st.integers(1, 12), st.integers(1, 5))
def test_the_issues_are_what_the_paper_defines(seed, num_pictures, num_classes):
    scores, labels = noisy(seed, num_pictures, num_classes)
    unknown = np.random.default_rng(seed).random(num_pictures) < 0.2
    labels[unknown] = np.where(np.arange(num_pictures) % 2, NO_CLASS, num_classes)[unknown]
    issues = find_label_issues(scores, labels)
    of = [scores[labels == j, j] for j in range(num_classes)]
    thresholds = [np.float32(np.mean(own, dtype=float)) if len(own) else np.inf for own in of]
    for row, label, suggested, own in zip(scores, labels, *issues, strict=True):
        if 0 <= label < num_classes:
            assert suggested == confident_class(row, label, thresholds)
            assert own == row[label]
        else:
            assert (suggested, np.isnan(own)) == (NO_CLASS, True)


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


def test_only_neighbours_that_agree_on_one_other_class_speak_against_a_label():
    classes = np.array([0, 0, 1, 1])
    rows = np.array([[2, 3], [0, 1], [0, 2], [2, -1], [2, 3], [2, 3]])
    neighbours = Neighbours(rows, np.ones(rows.shape, np.float32))
    truth = np.array([0, 0, 1, 0, NO_CLASS, 2])
    assert drawn_elsewhere(neighbours, classes, truth, 2).tolist() == [1, *[NO_CLASS] * 5]
    assert drawn_elsewhere(neighbours, classes[:0], truth, 2).tolist() == [NO_CLASS] * 6


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
