"""Fit a network to labelled pictures, epoch by epoch, resuming where an interrupted run stopped."""

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from stages._checkpoint import Checkpoints
from stages._errors import TrainingError
from stages._progress import progress
from stages.models.augmentation import augmentation
from stages.models.batches import Pictures, batches

log = logging.getLogger(__name__)

# The learning rate climbs to its peak during this share of the steps: carried weights are not torn by a new head.
WARM_UP_FRACTION = 0.1
# Of AdamW, Keras' own default being too strong for runs of a few thousand steps at high learning rates.
WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class Recipe:
    """How to fit; the names and units are those of params.yaml's section `train`."""

    epochs: int
    learning_rate: float
    batch_size: int
    label_smoothing: float
    seed: int
    mirror: bool
    rotation: float
    zoom: float


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures in shards and what they show.

    Attributes:
        pictures: where they are read.
        image_ids: which ones.
        labels: class of each, shape (pictures,), int64, 0 to num_classes - 1.
        num_classes: of the network.
    """

    pictures: Pictures
    image_ids: Sequence[str]
    labels: NDArray[np.int64]
    num_classes: int

    def batches(self, order: NDArray[np.int64], batch_size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield pictures, and targets with a 1 in each row, in the given order; the last batch has what is left."""
        image_ids = [self.image_ids[row] for row in order]
        one_hot = np.eye(self.num_classes, dtype=np.float32)
        for number, batch in enumerate(batches(self.pictures, image_ids, batch_size)):
            rows = order[number * batch_size : number * batch_size + len(batch)]
            yield batch, one_hot[self.labels[rows]]


def epoch_order(num_pictures: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Draw the order in which an epoch takes the pictures; it depends on the arguments only.

    What does not fill the last batch is left out, other pictures each epoch: a batch of one or two would disturb
    BatchNormalization. Fewer pictures than one batch are one batch.

    Returns:
        Row numbers, shape (steps x batch_size,), int64.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_pictures)
    return order[: max(num_pictures // batch_size * batch_size, min(batch_size, num_pictures))]


def fit(
    network: keras.Model,
    training: LabelledPictures,
    validation: LabelledPictures,
    recipe: Recipe,
    checkpoints: Checkpoints,
) -> Iterator[dict[str, float]]:
    """Train, and leave the weights of the epoch with the lowest validation loss in `network`.

    Args:
        network: from `networks.build`; its weights are changed.
        training: what it learns from.
        validation: what decides which epoch is kept.
        recipe: how to fit.
        checkpoints: one is written after each epoch; those of an interrupted run are gone on from.

    Yields:
        A row of the history after each epoch, those before an interruption included.

    Raises:
        TrainingError: the loss is not a number.
    """
    trainer = _Trainer(network, recipe, len(training.image_ids))
    trainer.resume(checkpoints)
    yield from trainer.history
    while len(trainer.history) < recipe.epochs:
        yield trainer.epoch(training, validation)
        checkpoints.save(len(trainer.history), trainer.arrays(), trainer.history)
    network.set_weights(trainer.best)


class _Trainer:
    def __init__(self, network: keras.Model, recipe: Recipe, num_pictures: int) -> None:
        self._recipe = recipe
        self._network = network
        pictures = varied = keras.Input(network.input.shape[1:])
        for layer in augmentation(recipe.mirror, recipe.rotation, recipe.zoom, recipe.seed):
            varied = layer(varied)
        self._model = keras.Model(pictures, network(varied)["scores"])
        steps = len(epoch_order(num_pictures, recipe.batch_size, recipe.seed, 1)) / recipe.batch_size
        self._model.compile(
            optimizer=_optimizer(recipe.learning_rate, math.ceil(steps) * recipe.epochs),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
            # Not by its name: variables that are made at the first step make TensorFlow trace that step twice.
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=False,  # compiling costs more than a small network's whole training
        )
        self._model.optimizer.build(self._model.trainable_variables)
        self.best: list[NDArray[Any]] = network.get_weights()
        self.history: list[dict[str, float]] = []

    def epoch(self, training: LabelledPictures, validation: LabelledPictures) -> dict[str, float]:
        """Run one epoch, add its row to the history, and keep the weights when they are the best so far."""
        number, size = len(self.history) + 1, self._recipe.batch_size
        order = epoch_order(len(training.image_ids), size, self._recipe.seed, number)
        steps = progress(training.batches(order, size), total=math.ceil(len(order) / size), what="steps")
        loss, accuracy = _mean(self._model.train_on_batch(*batch, return_dict=True) | _size(batch) for batch in steps)
        checked = validation.batches(np.arange(len(validation.image_ids)), size)
        val_loss, val_accuracy = _mean(
            self._model.test_on_batch(*batch, return_dict=True) | _size(batch) for batch in checked
        )
        if not (math.isfinite(loss) and math.isfinite(val_loss)):
            raise TrainingError(
                f"In epoch {number} the loss is {loss} and the validation loss {val_loss}; expected numbers. No model "
                "was written. Lower the learning rate in params.yaml (train.learning_rate, or "
                "train.learning_rate_from_scratch without a base)."
            )
        if not self.history or val_loss < min(row["val_loss"] for row in self.history):
            self.best = self._network.get_weights()
        row = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        self.history.append({"epoch": number, **row, "learning_rate": float(self._model.optimizer.learning_rate)})
        return self.history[-1]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Everything that the next epoch depends on, and the best weights so far."""
        kept = {f"best_{number:05d}": values for number, values in enumerate(self.best)}
        return kept | {name: keras.ops.convert_to_numpy(variable) for name, variable in self._variables().items()}

    def resume(self, checkpoints: Checkpoints) -> None:
        """Take up the newest whole checkpoint, if there is one."""
        if (found := checkpoints.latest()) is None:
            return
        arrays, self.history = found
        log.info("an interrupted run goes on after epoch %d", len(self.history))
        for name, variable in self._variables().items():
            variable.assign(arrays[name])
        self.best = [arrays[f"best_{number:05d}"] for number in range(len(self.best))]

    def _variables(self) -> dict[str, keras.Variable]:
        # The model's variables are weights, running averages and the seeds of augmentation and dropout.
        variables = [*self._model.variables, *self._model.optimizer.variables]
        return {f"variable_{number:05d}": variable for number, variable in enumerate(variables)}


def _optimizer(learning_rate: float, num_steps: int) -> keras.Optimizer:
    warm_up = math.ceil(WARM_UP_FRACTION * num_steps)
    schedule = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, num_steps - warm_up),
        warmup_target=learning_rate,
        warmup_steps=warm_up,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)


def _size(batch: tuple[NDArray[Any], NDArray[Any]]) -> dict[str, float]:
    return {"pictures": len(batch[0])}


def _mean(results: Iterator[dict[str, float]]) -> tuple[float, float]:
    """Mean loss and accuracy over pictures, of the batches' means."""
    rows = np.array([[row["pictures"], row["loss"], row["accuracy"]] for row in results], np.float64)
    loss, accuracy = rows[:, 0] @ rows[:, 1:] / rows[:, 0].sum()
    return float(loss), float(accuracy)
