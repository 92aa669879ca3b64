"""What else than the model's answer speaks against a picture: its label, its neighbours, a near picture in training."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.answers import Answers
from stages.metrics.splits import EVALUATION_SPLITS
from stages.metrics.truth import NO_CLASS, is_known
from stages.suspects.mislabelled import LabelIssues
from stages.suspects.neighbours import Embedded, Neighbours, nearest

NUM_NEIGHBOURS = 5  # that must agree on another class


class Evidence(NamedTuple):
    """What speaks against each of some pictures.

    Attributes:
        trained: of shape (pictures,), bool: whether the model was trained on it.
        suspected: of shape (pictures,), bool: whether it has a fault of quality.
        issues: what confident learning says of its label.
        neighbours: its nearest training pictures.
        drawn_to: of shape (pictures,), int64: the class that all its neighbours are of, where that is not its own.
        near: of shape (pictures,), bool: whether it is no training picture, and one is suspiciously
            near.
    """

    trained: NDArray[np.bool_]
    suspected: NDArray[np.bool_]
    issues: LabelIssues
    neighbours: Neighbours
    drawn_to: NDArray[np.int64]
    near: NDArray[np.bool_]

    @property
    def suggested(self) -> NDArray[np.int64]:
        """Of shape (pictures,), int64: the class that it probably is of, NO_CLASS where its label is not doubted."""
        return np.where(self.issues.suggested != NO_CLASS, self.issues.suggested, self.drawn_to)

    def take(self, rows: NDArray[np.int64]) -> Self:
        """Take some of the pictures."""
        return self._replace(
            trained=self.trained[rows],
            suspected=self.suspected[rows],
            issues=LabelIssues(self.issues.suggested[rows], self.issues.self_confidence[rows]),
            neighbours=Neighbours(self.neighbours.rows[rows], self.neighbours.similarity[rows]),
            drawn_to=self.drawn_to[rows],
            near=self.near[rows],
        )


def gather_evidence(
    slices: Mapping[str, slice],
    answers: Answers,
    issues: LabelIssues,
    embedded: Embedded,
    suspected: NDArray[np.bool_],
    near: float,
) -> Evidence:
    """Gather what speaks against each picture.

    Args:
        slices: set to its rows.
        answers: of the model.
        issues: what confident learning says of the labels.
        embedded: every row.
        suspected: of shape (rows,), bool: whether the picture has a fault.
        near: share of the usual distance to a training picture that is suspiciously near.
    """
    trained = _rows_in(slices, ("train",), len(suspected))
    usual = _rows_in(slices, EVALUATION_SPLITS, len(suspected))
    training = embedded.take(slices["train"])
    neighbours = nearest(embedded, training, NUM_NEIGHBOURS)
    return Evidence(
        trained,
        suspected,
        issues,
        neighbours,
        drawn_elsewhere(neighbours, training.classes, answers.truth, answers.num_classes),
        near_training(neighbours, trained, usual, near),
    )


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


def drawn_elsewhere(
    neighbours: Neighbours, training_classes: NDArray[np.int64], truth: NDArray[np.int64], num_classes: int
) -> NDArray[np.int64]:
    """Find the pictures whose neighbours are all of one other class.

    Args:
        neighbours: of each picture.
        training_classes: of shape (training pictures,), int64.
        truth: of shape (pictures,), int64.
        num_classes: that the model knows; a picture of none of these cannot have neighbours of its own.

    Returns:
        Of shape (pictures,), int64: that class, or NO_CLASS.

    Source: Wilson 1972, "Asymptotic properties of nearest neighbor rules using edited data": what its neighbours vote
        down. We ask for all of them, not for the majority.
    """
    if not len(training_classes):
        return np.full(len(truth), NO_CLASS, np.int64)
    votes = np.where(neighbours.rows >= 0, training_classes[neighbours.rows], NO_CLASS)
    agreed = (votes == votes[:, :1]).all(axis=1) & (votes[:, 0] != NO_CLASS)
    elsewhere = agreed & is_known(truth, num_classes) & (votes[:, 0] != truth)
    drawn: NDArray[np.int64] = np.where(elsewhere, votes[:, 0], NO_CLASS)
    return drawn


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
