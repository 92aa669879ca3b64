"""How well a class's score ranks its own pictures before the others: ROC AUC and average precision, macro-averaged."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BLOCK = 2**24  # scores in a block of columns that is copied and sorted: 64 MB
TILE = 256  # rows that are turned into columns at once, so that they stay in the processor's cache


class Ranking(NamedTuple):
    """Means over the classes that have pictures; None where fewer than two have."""

    roc_auc: float | None
    average_precision: float | None


def rank(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> Ranking:
    """Compute ROC AUC and average precision, each class against the rest, as unweighted means over classes.

    Both follow from each class's sorted scores and the positions of its own pictures' scores among them, so a column
    is sorted once, values only. Equal scores are one threshold. A class that the model does not know has pictures but
    no column: its score is taken to be equal for all pictures, which gives ROC AUC 0.5 and the class's share as its
    average precision. A class without pictures has neither figure and counts in no mean.

    Args:
        scores: of shape (pictures, classes), float32; read by blocks of columns, so a memory map will do.
        truth: of shape (pictures,), int64: numbers of classes; pictures that have NO_CLASS are left out.

    Returns:
        Each from 0 to 1.

    Source: scikit-learn 1.9, `roc_auc_score(multi_class="ovr", average="macro")` and `average_precision_score`.
        ROC AUC by Mann and Whitney's U, Hanley and McNeil 1982.
    """
    classes, support = np.unique(truth[truth >= 0], return_counts=True)
    if len(classes) < 2:
        return Ranking(None, None)
    rows, num_classes = np.flatnonzero(truth >= 0), scores.shape[1]
    truth = truth[rows]
    num_pictures = len(truth)
    areas, precisions = np.full(len(classes), 0.5), support / num_pictures
    known = int(np.searchsorted(classes, num_classes))
    step = max(1, BLOCK // num_pictures)
    for start in range(0, known, step):
        block = classes[start : min(start + step, known)]
        columns = _columns(scores, rows, block)
        for index, (column, own) in enumerate(zip(columns, block, strict=True), start):
            own_scores = np.sort(column[truth == own])
            column.sort()
            areas[index], precisions[index] = _rank_class(column, own_scores)
    return Ranking(float(areas.mean()), float(precisions.mean()))


def _columns(scores: NDArray[np.float32], rows: NDArray[np.int64], classes: NDArray[np.int64]) -> NDArray[np.float32]:
    """Copy some rows of some columns, each column contiguous: of shape (classes, rows)."""
    columns = np.empty((len(classes), len(rows)), dtype=np.float32)
    for start in range(0, len(rows), TILE):
        columns[:, start : start + TILE] = scores[np.ix_(rows[start : start + TILE], classes)].T
    return columns


def _rank_class(everyone: NDArray[np.float32], own: NDArray[np.float32]) -> tuple[float, float]:
    """Compute ROC AUC and average precision from all scores and those of the class's own pictures, both sorted."""
    below, up_to = (np.searchsorted(everyone, own, side) for side in ("left", "right"))
    own_below, own_up_to = (np.searchsorted(own, own, side) for side in ("left", "right"))
    rest_below = below - own_below
    rest_equal = (up_to - own_up_to) - rest_below
    area = float((rest_below + rest_equal / 2).sum()) / (len(own) * (len(everyone) - len(own)))
    # Recall grows only at a score that an own picture has, by one picture's share each.
    precision = float(np.mean((len(own) - own_below) / (len(everyone) - below)))
    return area, precision
