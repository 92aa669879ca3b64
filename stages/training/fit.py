"""Fit a network to labelled pictures, epoch by epoch, and go on where an interrupted run stopped."""

import logging
import math
import time
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from runtime.errors import TrainingError
from runtime.progress import INTERVAL, progress
from runtime.terminal import command_name
from stages.training.augmentation import augmentation
from stages.training.averaging import averaged, averages_in, decay
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices
from stages.training.freezing import freeze, running_averages, scores
from stages.training.labelled_pictures import LabelledPictures, epoch_order
from stages.training.normalization import follow_steps
from stages.training.optimizer import optimizer
from stages.training.recipe import Recipe
from stages.training.spent import CHECKPOINTS, VALIDATION, Spent
from stages.training.steps import Batch, results

log = logging.getLogger(__name__)

# Time between checkpoints within an epoch: how much work a killed run loses at most. It changes no result.
CHECKPOINT_SECONDS = 600.0


def fit(
    network: keras.Model,
    training: LabelledPictures,
    validation: LabelledPictures,
    recipe: Recipe,
    checkpoints: Checkpoints,
    devices: Devices,
) -> Iterator[dict[str, float]]:
    """Train, and leave the weights of the epoch with the lowest validation loss in `network`.

    Args:
        network: from `networks.build`, made in the scope of `devices`; its weights are changed.
        training: what it learns from.
        validation: what decides which epoch is kept.
        recipe: how to fit.
        checkpoints: one is written after each epoch, and with one device every ten minutes too. An interrupted run goes
            on after its last one. Of several workers the first writes them, and all must be able to read them.
        devices: that train together.

    Yields:
        A row of the history after each epoch, those before an interruption included. Until the next is asked for,
        `network` has the weights that the row was validated with, unless the epoch was before an interruption.

    Raises:
        TrainingError: the loss is not a number, or the workers do not have the same checkpoint.
    """
    with devices.scope():
        trainer = Trainer(network, recipe, len(training.image_ids), checkpoints, devices)
    trainer.resume()
    yield from trainer.history
    while len(trainer.history) < recipe.epochs:
        row = trainer.epoch(training, validation)
        with averages_in(network, trainer.averages):
            yield row
    checkpoints.finish()
    network.set_weights(trainer.best)
    freeze(network, only_head=False, frozen_fraction=0.0, freeze_normalization=False)  # nothing stays frozen


class Trainer:
    """What changes from step to step, all of which a checkpoint holds.

    Args:
        network: from `networks.build`; its weights are changed.
        recipe: how to fit.
        num_pictures: to train with.
        checkpoints: of the run.
        devices: that train together; this is made in their scope.

    Attributes:
        best: weights of the epoch with the lowest validation loss so far.
        averages: the network's weights that the last epoch was validated with, where these were averages.
        history: a row for each whole epoch.
        results: pictures, loss and accuracy of each step of the epoch that has not ended.
    """

    def __init__(
        self, network: keras.Model, recipe: Recipe, num_pictures: int, checkpoints: Checkpoints, devices: Devices
    ) -> None:
        self._recipe, self._network = recipe, network
        self._checkpoints, self._devices = checkpoints, devices
        self._steps = math.ceil(len(epoch_order(num_pictures, recipe.batch_size, recipe.seed, 1)) / recipe.batch_size)
        self._layers = augmentation(recipe.mirror, recipe.rotation, recipe.zoom, recipe.seed)
        follow_steps(network, self._steps)
        self._saved = time.monotonic()
        self.best: list[NDArray[Any]] = network.get_weights()
        self.averages: list[NDArray[Any]] | None = None
        self.history: list[dict[str, float]] = []
        self.results: list[list[float]] = []
        self._begin_phase()

    def _begin_phase(self) -> None:
        """Compile what the next epochs train: the output layer alone, then the body too, with a schedule of its own."""
        recipe, num_frozen = self._recipe, min(self._recipe.freeze_epochs, self._recipe.epochs)
        self._only_head = len(self.history) < num_frozen
        num_epochs = num_frozen if self._only_head else recipe.epochs - num_frozen
        body_learns = freeze(self._network, self._only_head, recipe.frozen_fraction, recipe.freeze_normalization)
        pictures = varied = keras.Input(self._network.input.shape[1:])
        for layer in self._layers:
            varied = layer(varied)
        self._model = keras.Model(pictures, scores(self._network, varied, body_learns))
        body = self._network.get_layer("body").trainable_variables
        self._model.compile(
            optimizer=optimizer(
                recipe.learning_rate,
                recipe.warm_up,
                self._steps * num_epochs,
                body,
                recipe.body_learning_rate,
                decay(recipe.average_weights, self._steps),
            ),
            loss=keras.losses.CategoricalCrossentropy(label_smoothing=recipe.label_smoothing),
            # Not by its name: variables that are made at the first step make TensorFlow trace that step twice.
            weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            # JAX is slow in anything that is not compiled; TensorFlow cannot compile what must be deterministic.
            jit_compile=keras.backend.backend() == "jax",
        )
        self._model.optimizer.build(self._model.trainable_variables)
        self._device = self._devices.steps(self._model)

    def _change_phase(self) -> None:
        """Begin the next phase where the history says so."""
        num_frozen = self._recipe.freeze_epochs
        if self._only_head and num_frozen <= len(self.history) and num_frozen < self._recipe.epochs:
            with self._devices.scope():
                self._begin_phase()

    def epoch(self, training: LabelledPictures, validation: LabelledPictures) -> dict[str, float]:
        """Run what is left of an epoch, add its row to the history, and keep the weights when they are the best."""
        number, spent, first = len(self.history) + 1, Spent(), len(self.results)
        order = epoch_order(len(training.image_ids), self._recipe.batch_size, self._recipe.seed, number)
        order, size = self._devices.share(order, self._recipe.batch_size)
        batches_left = training.batches(order[len(self.results) * size :], size)
        shown = spent.waiting_for(progress(batches_left, total=self._steps - len(self.results), what="steps"))
        while len(self.results) < self._steps:
            with self._device.held():
                for result in results(self._device.train, self._device.send, self._until_checkpoint(shown)):
                    self.results.append(result)
                    self._require_number(number, "loss", result[1])
            if self._is_checkpoint_due():
                with spent.on(CHECKPOINTS):
                    self.save()
        self._devices.average(running_averages(self._network))
        loss, accuracy = _mean(self.results)
        num_pictures = int(sum(result[0] for result in self.results[first:]))
        with spent.on(VALIDATION):
            val_loss, val_accuracy = self._validate_averages(validation, *self.validate(validation))
        self._require_number(number, "validation loss", val_loss)
        if not self.history or val_loss < min(row["val_loss"] for row in self.history):
            self.best = self.averages or self._network.get_weights()
        row = {"loss": loss, "accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        row["averaged"] = float(self.averages is not None)
        self.history.append({"epoch": number, **row, "learning_rate": float(self._model.optimizer.learning_rate)})
        self.results = []
        self._change_phase()
        with spent.on(CHECKPOINTS):
            self.save()
        if spent.total > INTERVAL:
            log.info("%s: epoch %d: %s", command_name(), number, spent.describe(num_pictures))
        return self.history[-1]

    def _until_checkpoint(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Give batches until it is time for a checkpoint; the steps of those that were given are finished first."""
        for batch in batches:
            yield batch
            if self._is_checkpoint_due():
                return

    def _is_checkpoint_due(self) -> bool:
        return self._devices.can_save_within_epochs and time.monotonic() - self._saved > CHECKPOINT_SECONDS

    def validate(self, validation: LabelledPictures) -> tuple[float, float]:
        """Mean loss and accuracy of the weights as they are."""
        checked = validation.batches(np.arange(len(validation.image_ids)), self._recipe.batch_size)
        return _mean(list(results(self._device.test, self._device.send, checked)))

    def _validate_averages(self, validation: LabelledPictures, loss: float, accuracy: float) -> tuple[float, float]:
        """Keep the averages of the weights if they validate better than the last ones, whose figures are given."""
        self.averages = None
        if not self._recipe.average_weights:
            return loss, accuracy
        with averaged(self._model):
            of_averages = self.validate(validation)
            if of_averages[0] < loss:
                self.averages = self._network.get_weights()
                return of_averages
        return loss, accuracy

    def save(self) -> None:
        """Begin a checkpoint: everything that the next step depends on, and the best weights so far."""
        if self._devices.is_chief:
            arrays = {f"best_{number:05d}": values for number, values in enumerate(self.best)}
            variables = self._variables()
            arrays |= dict(zip(variables, self._device.fetch(list(variables.values())), strict=True))
            self._checkpoints.save(self._step(), arrays, {"history": self.history, "results": self.results})
        self._saved = time.monotonic()

    def resume(self) -> None:
        """Go on after the newest whole checkpoint, if there is one.

        Raises:
            TrainingError: the workers do not have the same one.
        """
        if (checkpoint := self._checkpoints.latest()) is not None:
            arrays, state = checkpoint
            self.history, self.results = state["history"], state["results"]
            self._change_phase()
            for name, variable in self._variables().items():
                variable.assign(arrays[name])
            self.best = [arrays[f"best_{number:05d}"] for number in range(len(self.best))]
            log.info(
                "%s: an interrupted run goes on after epoch %d, step %d",
                command_name(),
                len(self.history),
                len(self.results),
            )
        if not self._devices.agree(self._step()):
            raise TrainingError(
                f"The machines in TF_CONFIG found different checkpoints, this one that of step {self._step()}; "
                "expected the same. Set RETRAIN_CHECKPOINTS to a folder that they share, and start all of them again."
            )

    def _step(self) -> int:
        return len(self.history) * self._steps + len(self.results)

    def _require_number(self, epoch: int, what: str, value: float) -> None:
        if not math.isfinite(value):
            is_half = keras.config.dtype_policy().compute_dtype != "float32"
            raise TrainingError(
                f"In epoch {epoch} the {what} is {value}; expected a number. No model was written. Lower the learning "
                "rate in params.yaml (train.learning_rate, or train.learning_rate_from_scratch without a base)"
                + (", or set train.precision to float32." if is_half else ".")
            )

    def _variables(self) -> dict[str, keras.Variable]:
        # The model's variables are weights, running averages and the seeds of augmentation and dropout.
        variables = [*self._model.variables, *self._model.optimizer.variables]
        return {f"variable_{number:05d}": variable for number, variable in enumerate(variables)}


def _mean(results: list[list[float]]) -> tuple[float, float]:
    """Mean loss and accuracy over pictures, of the batches' means."""
    rows = np.array(results, np.float64)
    loss, accuracy = rows[:, 0] @ rows[:, 1:] / rows[:, 0].sum()
    return float(loss), float(accuracy)
