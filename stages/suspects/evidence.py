"""What else than the model's answer speaks against a picture: its label, its quality, a near picture in training."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from stages.metrics.answers import Answers
from stages.metrics.splits import EVALUATION_SPLITS
from stages.metrics.truth import NO_CLASS
from stages.suspects.mislabelled import LabelIssues, find_label_issues
from stages.suspects.neighbours import Embedded, Neighbours, nearest


class Evidence(NamedTuple):
    """What speaks against each of some pictures.

    Attributes:
        trained: of shape (pictures,), bool: whether the model was trained on it.
        suspected: of shape (pictures,), bool: whether it has a fault of quality.
        issues: what a classifier says of its label that was not shown the picture.
        neighbours: its nearest training pictures.
        near: of shape (pictures,), bool: whether it is no training picture, and one is suspiciously
            near.
    """

    trained: NDArray[np.bool_]
    suspected: NDArray[np.bool_]
    issues: LabelIssues
    neighbours: Neighbours
    near: NDArray[np.bool_]

    @property
    def suggested(self) -> NDArray[np.int64]:
        """Of shape (pictures,), int64: the class that it probably is of, NO_CLASS where its label is not doubted."""
        return np.where(self.issues.doubted, self.issues.best, NO_CLASS)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Take some of the pictures."""
        return self._replace(
            trained=self.trained[rows],
            suspected=self.suspected[rows],
            issues=self.issues.take(rows),
            neighbours=Neighbours(self.neighbours.rows[rows], self.neighbours.similarity[rows]),
            near=self.near[rows],
        )


def gather_evidence(
    slices: Mapping[str, slice],
    answers: Answers,
    embedded: Embedded,
    folds: NDArray[np.int64],
    suspected: NDArray[np.bool_],
    params: parameters.Score,
) -> Evidence:
    """Gather what speaks against each picture.

    Args:
        slices: set to its rows.
        answers: of the model.
        embedded: every row.
        folds: of shape (rows,), int64: labels of one fold are judged without it.
        suspected: of shape (rows,), bool: whether the picture has a fault.
        params: limits: `near` and `doubted_fraction`.
    """
    trained = _rows_in(slices, ("train",), len(suspected))
    usual = _rows_in(slices, EVALUATION_SPLITS, len(suspected))
    neighbours = nearest(embedded, embedded.take(slices["train"]), 1)
    issues = find_label_issues(
        embedded.vectors, answers.truth, answers.num_classes, folds, trained | usual, params.doubted_fraction
    )
    return Evidence(trained, suspected, issues, neighbours, near_training(neighbours, trained, usual, params.near))


def _rows_in(slices: Mapping[str, slice], sets: Iterable[str], num_rows: int) -> NDArray[np.bool_]:
    mask = np.zeros(num_rows, dtype=bool)
    for name in sets:
        mask[slices[name]] = True
    return mask


def duplicate_groups(rows: pd.DataFrame, images: pd.DataFrame) -> NDArray[np.int64]:
    """Number the groups of near-duplicates.

    Args:
        rows: column `image_id`.
        images: columns `image_id`, `group`.

    Returns:
        Of shape (rows,), int64.
    """
    group = rows["image_id"].map(images.drop_duplicates("image_id").set_index("image_id")["group"])
    return pd.factorize(group)[0].astype(np.int64)


def near_training(
    neighbours: Neighbours, trained: NDArray[np.bool_], usual: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    """Find the evaluation pictures that are much nearer to a training picture than evaluation pictures usually are.

    The usual distance depends on the network, so no fixed one would do.

    Args:
        neighbours: of each picture.
        trained: of shape (pictures,), bool.
        usual: of shape (pictures,), bool: the pictures whose median distance is the usual one.
        share: of the usual distance, 0 to 1, that is suspiciously near.

    Returns:
        Of shape (pictures,), bool.
    """
    distance = 1.0 - neighbours.similarity[:, 0].astype(np.float64)
    measured = distance[usual & np.isfinite(distance)]
    if not len(measured):
        return np.zeros(len(trained), dtype=bool)
    near: NDArray[np.bool_] = ~trained & (distance <= share * np.median(measured))
    return near
