"""What speaks against a picture beside the model's answer: its label, its neighbours, a near one on another side."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from stages.metrics.truth import NO_CLASS, is_known
from stages.suspects.mislabelled import LabelIssues
from stages.suspects.neighbours import Neighbours

NUM_NEIGHBOURS = 5  # that must agree on another class


class Evidence(NamedTuple):
    """What speaks against each of some pictures.

    Attributes:
        trained: of shape (pictures,), bool: whether the model was trained on it.
        suspected: likewise: whether it has a fault of quality.
        issues: what confident learning says of its label.
        neighbours: its nearest training pictures.
        drawn_to: of shape (pictures,), int64: the class that all its neighbours are of, where that is not its own.
        near: of shape (pictures,), bool: whether it judges, and a training picture is suspiciously near.
    """

    trained: NDArray[np.bool_]
    suspected: NDArray[np.bool_]
    issues: LabelIssues
    neighbours: Neighbours
    drawn_to: NDArray[np.int64]
    near: NDArray[np.bool_]

    @property
    def suggested(self) -> NDArray[np.int64]:
        """Of shape (pictures,), int64: the class that it is rather of, NO_CLASS where its label is not doubted."""
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
    """Find the judging pictures that lie much nearer to a training picture than judging pictures usually do.

    What the usual distance is depends on the network, so that no fixed one would do.

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
