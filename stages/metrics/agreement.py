"""Agreement of answers and truth over classes of unequal size: recall, F1 and the Matthews correlation coefficient."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassCounts:
    """How often each class was true, was answered, and was both.

    Attributes:
        support: of shape (classes,), int64.
        predicted: likewise.
        hits: likewise.
    """

    support: NDArray[np.int64]
    predicted: NDArray[np.int64]
    hits: NDArray[np.int64]


def count_classes(truth: NDArray[np.int64], predicted: NDArray[np.int64], num_names: int) -> ClassCounts:
    """Count truths, answers and hits of each class.

    Args:
        truth: of shape (pictures,), int64, numbers of classes; a negative one is no class and counts as no truth.
        predicted: likewise.
        num_names: how many classes there are, those that the model does not know included.

    Returns:
        Arrays of shape (num_names,), in the order of the numbers.
    """
    each = (truth, predicted, truth[truth == predicted])
    return ClassCounts(*(np.bincount(values[values >= 0], minlength=num_names) for values in each))


def f1_scores(counts: ClassCounts) -> NDArray[np.float64]:
    """Compute each class's F1, the harmonic mean of precision and recall.

    Returns:
        Of shape (classes,), float64, 0 to 1; NaN for a class that was neither true nor answered.

    Source: scikit-learn 1.9, `sklearn.metrics.f1_score`.
    """
    total = counts.support + counts.predicted
    scores = np.full(len(total), np.nan)
    np.divide(2 * counts.hits, total, out=scores, where=total > 0)
    return scores


def macro_f1(counts: ClassCounts) -> float | None:
    """Compute the unweighted mean of F1 over the classes that were true or answered.

    A class that the model does not know has F1 0 and is in the mean.

    Returns:
        From 0 to 1; None without pictures.

    Source: scikit-learn 1.9, `sklearn.metrics.f1_score(average="macro")`.
    """
    scores = f1_scores(counts)
    return float(np.nanmean(scores)) if counts.predicted.any() else None


def weighted_f1(counts: ClassCounts) -> float | None:
    """Compute the mean of F1 over the pictures, each having that of its true class.

    Returns:
        From 0 to 1; None without a picture that belongs to a class.

    Source: scikit-learn 1.9, `sklearn.metrics.f1_score(average="weighted")`.
    """
    total = counts.support.sum()
    return float(np.nansum(f1_scores(counts) * counts.support) / total) if total else None


def macro_recall(counts: ClassCounts) -> float | None:
    """Compute the unweighted mean of recall over the classes that have pictures: accuracy were all of one size.

    Returns:
        From 0 to 1; None without a picture that belongs to a class.

    Source: scikit-learn 1.9, `sklearn.metrics.balanced_accuracy_score`.
    """
    has = counts.support > 0
    return float(np.mean(counts.hits[has] / counts.support[has])) if has.any() else None


def matthews_correlation(counts: ClassCounts) -> float | None:
    """Compute the Matthews correlation coefficient for several classes.

    Returns:
        From -1 to 1; 0 is what guessing gives. None when there is but one class among the truths or the answers.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation coefficient"; as in
        `sklearn.metrics.matthews_corrcoef`, which gives 0 where we give None.
    """
    support, predicted, hits = (values.astype(np.float64) for values in (counts.support, counts.predicted, counts.hits))
    total = predicted.sum()
    spread = (total**2 - support @ support) * (total**2 - predicted @ predicted)
    return float((hits.sum() * total - support @ predicted) / np.sqrt(spread)) if spread > 0 else None
