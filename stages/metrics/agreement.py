"""Agreement of answers and truth over classes of unequal size: recall, F1 and the Matthews correlation coefficient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics


@dataclass(frozen=True)
class ClassCounts:
    """How often each class was true, was answered, and was both.

    Attributes:
        support: of shape (classes,), int64.
        predicted: of shape (classes,), int64.
        hits: of shape (classes,), int64.
    """

    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    hits: NDArray[np.int64]


def count_classes(truth: NDArray[np.int64], predicted: NDArray[np.int64], num_names: int) -> ClassCounts:
    """Count truths, answers and hits of each class.

    Args:
        truth: of shape (pictures,), int64, numbers of classes; a negative one is no class and counts as no truth.
        predicted: of shape (pictures,), int64.
        num_names: how many classes there are, those that the model does not know included.

    Returns:
        Arrays of shape (num_names,), in the order of the numbers.
    """
    each = (truth, predicted, truth[truth == predicted])
    return ClassCounts(*(np.bincount(values[values >= 0], minlength=num_names) for values in each))


def macro_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float | None:
    """Compute the unweighted mean of F1 over the classes that have pictures.

    A class without pictures is left out, also where others are taken for it: scikit-learn would count it as 0, though
    nothing can be said about it. The pictures that are taken for it lower the F1 of their own class. A class that the
    model does not know has F1 0 and is in the mean.

    Args:
        truth: of shape (pictures,), int64, numbers of classes; a negative one is no class.
        predicted: of shape (pictures,), int64.

    Returns:
        From 0 to 1; None without a picture that belongs to a class.
    """
    classes = _classes(truth)
    return float(metrics.f1_score(truth, predicted, labels=classes, average="macro")) if len(classes) else None


def weighted_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float | None:
    """Compute the mean of F1 over the pictures, each having that of its true class.

    Args:
        truth: as in `macro_f1`.
        predicted: as in `macro_f1`.

    Returns:
        From 0 to 1; None without a picture that belongs to a class.
    """
    classes = _classes(truth)
    return float(metrics.f1_score(truth, predicted, labels=classes, average="weighted")) if len(classes) else None


def balanced_accuracy(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float | None:
    """Compute the unweighted mean of recall over the classes that have pictures: accuracy if all were of one size.

    Args:
        truth: as in `macro_f1`.
        predicted: as in `macro_f1`.

    Returns:
        From 0 to 1; None without a picture that belongs to a class.

    Source: Brodersen et al. 2010, "The balanced accuracy and its posterior distribution"; scikit-learn 1.9,
        `balanced_accuracy_score`.
    """
    return float(np.mean((truth == predicted) * class_weights(truth))) if (truth >= 0).any() else None


def class_weights(truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weight each picture so that every class that has pictures weighs the same.

    Args:
        truth: as in `macro_f1`.

    Returns:
        Of shape (pictures,): the mean over the pictures of what is weighted so is the mean over the classes of their
        means. 0 for a picture that belongs to no class.
    """
    classes, numbers, support = np.unique(truth, return_inverse=True, return_counts=True)
    share = len(truth) / max(1, int((classes >= 0).sum()))
    return np.where(truth >= 0, share / support[numbers], 0.0)


def matthews_correlation(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float | None:
    """Compute the Matthews correlation coefficient for several classes.

    Args:
        truth: as in `macro_f1`.
        predicted: as in `macro_f1`.

    Returns:
        From -1 to 1; 0 is what guessing gives. None when there is but one class among the truths or the answers, where
        scikit-learn gives 0.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient".
    """
    if min(len(np.unique(truth)), len(np.unique(predicted))) < 2:
        return None
    return float(metrics.matthews_corrcoef(truth, predicted))


def _classes(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.unique(numbers[numbers >= 0])
