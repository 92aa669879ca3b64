"""Which classes pictures without a label probably are of, those that are too small for the model included."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from stages.embeddings.discriminant import BLOCK, fit, held_out_log_scores, log_scores
from stages.metrics.temperature import fit_temperature
from stages.metrics.truth import NO_CLASS
from stages.suspects.neighbours import Embedded

SPREAD = 8.0  # what logarithms are divided by before they become float32, which holds none below -87


class Candidates(NamedTuple):
    """What a linear classifier takes pictures for.

    Attributes:
        best: of shape (pictures,), int64: the class that it takes each for; -1 where there is no class.
        confidence: of shape (pictures,), float64: in that class, 0 to 100.
        wanted: of shape (pictures, wanted classes), float32: confidence in each of these, 0 to 100.
    """

    best: NDArray[np.int64]
    confidence: NDArray[np.float64]
    wanted: NDArray[np.float32]


def find_candidates(
    pictures: NDArray[np.float32],
    labelled: Embedded,
    folds: NDArray[np.int64],
    num_classes: int,
    wanted: NDArray[np.int64],
) -> Candidates:
    """Score pictures by a linear classifier that was fitted to every labelled picture.

    The classifier is usually too sure of itself, so its confidences are scaled by the temperature that fits labelled
    pictures which it was not shown.

    Args:
        pictures: of shape (pictures, features), float32, of length 1.
        labelled: each has a class from 0 to num_classes - 1, and each class a picture.
        folds: of shape (labelled,), int64: what the temperature is fitted to is scored without its fold.
        num_classes: how many classes there are.
        wanted: of shape (wanted classes,), int64: those of which all confidences are kept.
    """
    num_pictures = len(pictures)
    best = np.full(num_pictures, num_classes - 1, np.int64)
    confidence = np.full(num_pictures, 100.0 if num_classes else np.nan)
    of_wanted = np.full((num_pictures, len(wanted)), 100.0, np.float32)
    if num_classes > 1:
        classifier, temperature = fit(labelled.vectors, labelled.classes), _temperature(labelled, folds, num_classes)
        step = max(1, BLOCK // num_classes)
        for start in range(0, num_pictures, step):
            block = slice(start, start + step)
            logs = log_scores(classifier, pictures[block], num_classes)
            scores = 100 * softmax(logs / temperature, axis=1)
            best[block], confidence[block] = scores.argmax(axis=1), scores.max(axis=1)
            of_wanted[block] = scores[:, wanted]
    return Candidates(best, confidence, of_wanted)


def _temperature(labelled: Embedded, folds: NDArray[np.int64], num_classes: int) -> float:
    """The temperature of the classifier; 1 where it cannot be told."""
    scores = np.full((len(labelled.vectors), num_classes), 1 / num_classes, np.float32)
    truth = np.full(len(labelled.vectors), NO_CLASS, np.int64)
    for rows, logs in held_out_log_scores(labelled.vectors, labelled.classes, folds, num_classes):
        scores[rows] = softmax(logs / SPREAD, axis=1)
        classes = labelled.classes[rows]
        # Of a class of one fold alone, nothing is left to know it by.
        truth[rows] = np.where(np.isfinite(logs[np.arange(len(rows)), classes]), classes, NO_CLASS)
    return SPREAD * (fit_temperature(scores, truth) or 1 / SPREAD)


def first_of_each(scores: NDArray[np.float32], may_be: NDArray[np.bool_], num_first: int) -> list[NDArray[np.int64]]:
    """List the first pictures of each class, highest score first.

    Args:
        scores: of shape (pictures, classes).
        may_be: of shape (pictures,), bool: whether a picture may be listed at all.
        num_first: how many to list of each at most.

    Returns:
        Rows, of each class.
    """
    rows = np.flatnonzero(may_be)
    return [rows[np.argsort(-column[rows], kind="stable")[:num_first]] for column in scores.T]
