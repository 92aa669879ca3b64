"""A linear classifier on embeddings: fitted in seconds, even for classes of a few pictures.

Source: Fisher's linear discriminant for several classes (Hastie, Tibshirani and Friedman 2009, "The Elements of
Statistical Learning", section 4.3), its covariance shrunk towards a multiple of the identity (Friedman 1989,
"Regularized discriminant analysis", with lambda = 1). All classes share one covariance, so a class needs no more
pictures than its mean does. docs/measurements/review.md compares it with logistic regression.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import solve
from scipy.sparse import csr_array
from scipy.special import log_softmax

# 0.3 to 0.7 are alike (docs/measurements/review.md).
SHRINKAGE = 0.5
NUM_FOLDS = 5
BLOCK = 2**22  # scores in memory at once: 32 MB


class Discriminant(NamedTuple):
    """A fitted classifier.

    Attributes:
        classes: of shape (shown,), int64: those that it was shown, ascending.
        coefficients: of shape (features, shown), float64.
        intercepts: of shape (shown,), float64.
    """

    classes: NDArray[np.int64]
    coefficients: NDArray[np.float64]
    intercepts: NDArray[np.float64]


def fit(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> Discriminant:
    """Fit the classifier, as scikit-learn's LinearDiscriminantAnalysis does (solver "lsqr", shrinkage 0.5).

    That one goes through the classes one by one, four times as long, and warns of a class of one picture.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        classes: of shape (pictures,), int64, two different ones at least.
    """
    shown, numbers, counts = np.unique(classes, return_inverse=True, return_counts=True)
    members = csr_array((np.ones(len(vectors), np.float32), (numbers, np.arange(len(vectors)))))
    means = (members @ vectors).astype(np.float64) / counts[:, None]
    inside = vectors - means.astype(np.float32)[numbers]
    covariance = (inside.T @ inside).astype(np.float64) / len(vectors)
    mean_variance = max(float(np.trace(covariance)) / len(covariance), float(np.finfo(np.float32).tiny))
    covariance *= 1 - SHRINKAGE
    covariance[np.diag_indices_from(covariance)] += SHRINKAGE * mean_variance
    coefficients = solve(covariance, means.T, assume_a="pos")
    intercepts = np.log(counts / len(vectors)) - (means.T * coefficients).sum(axis=0) / 2
    return Discriminant(shown, coefficients, intercepts)


def log_scores(classifier: Discriminant, vectors: NDArray[np.float32], num_classes: int) -> NDArray[np.float64]:
    """Score pictures.

    Args:
        classifier: from `fit`, of classes from 0 to num_classes - 1.
        vectors: of shape (pictures, features), float32, of length 1.
        num_classes: how many columns to give.

    Returns:
        Of shape (pictures, num_classes), float64: logarithms of probabilities; -infinity for a class that the
        classifier was not shown.
    """
    values = vectors @ classifier.coefficients + classifier.intercepts
    scores = np.full((len(vectors), num_classes), -np.inf)
    scores[:, classifier.classes] = log_softmax(values, axis=1)
    return scores


def held_out_log_scores(
    vectors: NDArray[np.float32], classes: NDArray[np.int64], folds: NDArray[np.int64], num_classes: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Score pictures by classifiers that were fitted without their fold.

    Args:
        vectors: of shape (pictures, features), float32, of length 1.
        classes: of shape (pictures,), int64; pictures of a class below 0 are scored, and fitted to by nobody.
        folds: of shape (pictures,), int64.
        num_classes: how many columns to give.

    Yields:
        Rows, and `log_scores` of them; no rows of a fold without which fewer than two classes are left.
    """
    step = max(1, BLOCK // num_classes)
    for fold in np.unique(folds):
        fitted = (classes >= 0) & (folds != fold)
        if len(np.unique(classes[fitted])) < 2:
            continue
        classifier, rows = fit(vectors[fitted], classes[fitted]), np.flatnonzero(folds == fold)
        for start in range(0, len(rows), step):
            block = rows[start : start + step]
            yield block, log_scores(classifier, vectors[block], num_classes)


def known_together(images: pd.DataFrame) -> pd.Series:
    """Name what the pictures have in common with others that must not judge them: their source, else their group.

    Args:
        images: columns `image_id`, `group`, `source`.

    Returns:
        By image_id.
    """
    unique = images.drop_duplicates("image_id").set_index("image_id")
    return unique["source"].fillna(unique["group"])


def folds_of(groups: Iterable[object], num_folds: int = NUM_FOLDS) -> NDArray[np.int64]:
    """Choose the fold of each picture by the hash of its group, so that near-duplicates are held out together.

    Args:
        groups: of each picture; new pictures move no other to another fold.
        num_folds: 2 or more.

    Returns:
        Of shape (pictures,), int64, 0 to num_folds - 1.
    """
    digests = (hashlib.sha256(f"fold {group}".encode()).digest() for group in groups)
    return np.array([int.from_bytes(digest[:8]) % num_folds for digest in digests], dtype=np.int64)
