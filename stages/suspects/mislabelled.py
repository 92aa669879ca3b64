"""Which labels are probably wrong, by confident learning: the model is sure enough of a class that is not the label."""

from tempfile import TemporaryFile
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.memory_map import release_pages
from stages.metrics.truth import NO_CLASS, is_known

BLOCK = 2**22  # scores in a block that is compared at once: 16 MB


class LabelIssues(NamedTuple):
    """What the scores say of the labels.

    Attributes:
        suggested: of shape (pictures,), int64: the class that a picture probably belongs to; NO_CLASS where
            nothing speaks against its label.
        self_confidence: of shape (pictures,), float64, 0 to 1: score of the label; lower is more likely mislabelled.
            NaN where the model does not know the label.
    """

    suggested: NDArray[np.int64]
    self_confidence: NDArray[np.float64]


def find_label_issues(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> LabelIssues:
    """Find the pictures that are confidently of another class than their label.

    A class's threshold is the mean score that its own pictures have for it, so that a class that the model is rarely
    sure of takes less to be suggested. Of the classes whose threshold a picture reaches, the one with the highest score
    is suggested, unless it is the label or the model's best class is.

    Args:
        scores: of shape (pictures, classes), float32, 0 to 1; read by blocks, so a memory map will do. They should be
            those of a model that did not learn from these labels.
        labels: of shape (pictures,), int64; NO_CLASS, or past the columns, for what the model does not know.

    Source: Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", equation
        1: the pictures that are counted off the diagonal of the confident joint. That a label which is also the model's
        best class stands is cleanlab's rule.
    """
    num_pictures, num_classes = scores.shape
    known = np.flatnonzero(is_known(labels, num_classes))
    suggested, own = np.full(num_pictures, NO_CLASS, np.int64), np.full(num_pictures, np.nan)
    if not len(known):
        return LabelIssues(suggested, own)
    thresholds = confident_thresholds(scores, labels)
    step = max(1, BLOCK // num_classes)
    for start in range(0, len(known), step):
        rows = known[start : start + step]
        block, numbers = np.asarray(scores[rows]), np.arange(len(rows))
        confident = np.where(block >= thresholds, block, -1.0)
        best = confident.argmax(axis=1)
        own[rows] = block[numbers, labels[rows]]
        issue = (confident[numbers, best] >= 0) & (best != labels[rows]) & (own[rows] < block.max(axis=1))
        suggested[rows[issue]] = best[issue]
    return LabelIssues(suggested, own)


def find_issues_held_out(
    scores: NDArray[np.float32], labels: NDArray[np.int64], training: slice, held_out: NDArray[np.float32] | None
) -> LabelIssues:
    """Find label issues, those of training pictures with the scores of networks that did not see them.

    Args:
        scores: as in `find_label_issues`.
        labels: as in `find_label_issues`.
        training: the rows of the training pictures.
        held_out: their scores by networks that did not see them, or None: then `scores` are used.
    """
    matrix = scores if held_out is None else with_held_out(scores, training, held_out)
    issues = find_label_issues(matrix, labels)
    release_pages(matrix)
    release_pages(scores)
    return issues


def with_held_out(scores: NDArray[np.float32], rows: slice, held_out: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put the scores of networks that did not see the pictures in place of those of the one that did.

    Args:
        scores: of shape (pictures, classes), float32; a memory map will do.
        rows: of the pictures that were held out.
        held_out: of shape (rows, classes), float32.

    Returns:
        Like `scores`: a memory map of a file without a name, which goes when nobody holds the map any more.
    """
    with TemporaryFile(dir=".") as file:
        out: NDArray[np.float32] = np.memmap(file, np.float32, "w+", shape=scores.shape)
    out[:] = scores
    out[rows] = held_out
    return out


def confident_thresholds(scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Compute the score from which a picture confidently belongs to each class.

    Args:
        scores: as in `find_label_issues`.
        labels: as in `find_label_issues`.

    Returns:
        Of shape (classes,), float32; infinite for a class that is nobody's label.
    """
    num_classes = scores.shape[1]
    known = np.flatnonzero(is_known(labels, num_classes))
    label_scores = np.asarray(scores[known, labels[known]], dtype=np.float64)
    counts = np.bincount(labels[known], minlength=num_classes)
    sums = np.bincount(labels[known], weights=label_scores, minlength=num_classes)
    means = np.divide(sums, counts, out=np.full(num_classes, np.inf), where=counts > 0)
    thresholds: NDArray[np.float32] = means.astype(np.float32)
    return thresholds
