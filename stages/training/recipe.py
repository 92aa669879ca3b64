"""How to fit a network."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How to fit; the names and units are those of params.yaml's section `train`.

    Attributes:
        average_weights: epochs that the average of the weights looks back on; 0: none is kept.
        freeze_epochs: this and the three below are of a network that begins with weights which are worth keeping.
    """

    epochs: int
    learning_rate: float
    warm_up: float
    batch_size: int
    label_smoothing: float
    seed: int
    mirror: bool
    rotation: float
    zoom: float
    average_weights: float = 0.0
    freeze_epochs: int = 0
    frozen_fraction: float = 0.0
    freeze_normalization: bool = False
    body_learning_rate: float = 1.0
