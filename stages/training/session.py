"""A session of training: devices, shards and decoded pictures, opened once."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd

from runtime import parameters
from runtime.errors import InputError
from runtime.identity import code_identity
from stages.shards.batches import Pictures, require
from stages.shards.decoded import DecodedPictures
from stages.shards.tars import ShardReader
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.splits import SPLITS
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices, together
from stages.training.exhaustion import exhaustion_explained
from stages.training.fit import fit
from stages.training.labelled_pictures import LabelledPictures
from stages.training.recipe import Recipe

# The parameters of a network that begins with weights from elsewhere.
FINE_TUNING = {"freeze_epochs", "frozen_fraction", "freeze_normalization", "body_learning_rate"}
# What takes part in a model's bytes in addition to its pictures and the parameters: our code.
TRAINING = ("stages.train", "stages.training", "stages.models", "stages.shards")


@dataclass(frozen=True)
class Training:
    """A network that is about to be trained.

    Attributes:
        network: has its final weights once `epochs` has ended.
        image_ids: what it is trained on, sorted.
        num_epochs: how many there will be.
        epochs: trains, and yields a row of the history after each epoch.
        checkpoints: to be removed when what came out of the training is written.
    """

    network: keras.Model
    image_ids: Sequence[str]
    num_epochs: int
    epochs: Iterator[dict[str, float]]
    checkpoints: Checkpoints


@dataclass(frozen=True)
class Session:
    """What every training of a stage shares; made by `open_session`.

    Attributes:
        params: of the section `train`.
        splits: columns `image_id`, `class_name`, `split`.
        index: of the shards.
        devices: that train together.
        pictures: of the shards, in the size that the network takes.
    """

    params: parameters.Train
    splits: pd.DataFrame
    index: pd.DataFrame
    devices: Devices
    pictures: Pictures

    @property
    def class_names(self) -> list[str]:
        """The classes to train, in the order of the scores."""
        return sorted(set(self.splits.loc[self.splits["split"] == "train", "class_name"]))

    def begin(self, start: Callable[[], keras.Model], warm: bool) -> Training:
        """Gather the pictures, build the network, and look up the checkpoints of an interrupted run.

        Args:
            start: builds the network with the weights that training starts from.
            warm: whether these are the base's.

        Raises:
            InputError: see `labelled`.
        """
        training, validation = (
            labelled(self.splits, split, self.class_names, self.pictures) for split in ("train", "validation")
        )
        with self.devices.scope():
            network = start()
        checkpoints = Checkpoints(run_digest(self.params, network, self.index, (training, validation)))
        how = recipe(self.params, warm)
        epochs = fit(network, training, validation, how, checkpoints, self.devices)
        return Training(network, training.image_ids, how.epochs, epochs, checkpoints)


@contextmanager
def open_session(params: parameters.Train, size: int, splits: pd.DataFrame, index: pd.DataFrame) -> Iterator[Session]:
    """Take the devices, open the shards, and reserve room for decoded pictures, until the block ends.

    Args:
        params: of the section `train`.
        size: side of the pictures in pixels.
        splits: columns `image_id`, `class_name`, `split`.
        index: of the shards.

    Raises:
        ParameterError: the devices are not there or cannot share a batch.
        TrainingError: memory or a disk is full, at any time within the block.
    """
    read_each_epoch = splits.loc[splits["split"].isin(("train", "validation")), "image_id"].tolist()
    with (
        exhaustion_explained(params.batch_size, params.precision),
        together(params.devices, params.batch_size, params.precision, params.seed, params.deterministic) as devices,
        ShardReader(SHARDS, index) as reader,
        DecodedPictures(read_each_epoch, 3 * size**2) as decoded,
    ):
        yield Session(params, splits, index, devices, Pictures(reader, size, decoded))


def labelled(splits: pd.DataFrame, split: str, class_names: Sequence[str], pictures: Pictures) -> LabelledPictures:
    """Gather the pictures of one split, sorted, so that nothing depends on their order in the shards.

    Args:
        splits: columns `image_id`, `class_name`, `split`.
        split: `train` or `validation`.
        class_names: in the order of the scores.
        pictures: of the size that the network takes.

    Raises:
        InputError: the split has no pictures, one is in no shard or of another size, or its class is not among
            `class_names`.
    """
    chosen = splits[splits["split"] == split].sort_values("image_id")
    if chosen.empty:
        raise InputError(
            f"{SPLITS.path} has no picture of the split {split!r}: expected some to train with and some to tell which "
            "epoch is best. Add pictures, or lower split.minimum or raise split.validation_fraction in params.yaml."
        )
    unknown = sorted(set(chosen["class_name"]) - set(class_names))
    if unknown:
        raise InputError(
            f"{SPLITS.path}: {split} has classes that train lacks: {', '.join(unknown)}. `dvc repro --force split` "
            "writes it again."
        )
    image_ids = chosen["image_id"].tolist()
    require(pictures, image_ids)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in chosen["class_name"]], np.int64)
    return LabelledPictures(pictures, image_ids, labels, len(class_names))


def recipe(params: parameters.Train, warm: bool) -> Recipe:
    """Choose the numbers of a warm start or of one from scratch; weights drawn at random are not kept."""
    keeps = warm or params.weights is not None
    return Recipe(
        epochs=params.epochs if warm else params.epochs_from_scratch,
        learning_rate=params.learning_rate if warm else params.learning_rate_from_scratch,
        warm_up=params.warm_up if warm else params.warm_up_from_scratch,
        batch_size=params.batch_size,
        label_smoothing=params.label_smoothing,
        average_weights=params.average_weights,
        seed=params.seed,
        **params.augmentation.model_dump(),
        **(params.model_dump(include=FINE_TUNING) if keeps else {}),
    )


def run_digest(
    params: parameters.Train,
    network: keras.Model,
    index: pd.DataFrame,
    pictures: Iterable[LabelledPictures],
) -> str:
    """Digest what the result depends on, to name the run's checkpoints; the base counts by the first weights.

    Args:
        params: of the section `train`.
        network: as training starts.
        index: of the shards.
        pictures: to train with, and to validate with.

    Returns:
        32 hex digits.
    """
    settings = [params.model_dump(), network.name, network.input.shape, keras.backend.backend(), index.to_dict("list")]
    settings += [[each.image_ids, each.labels.tolist()] for each in pictures]
    digest = hashlib.sha256(code_identity(TRAINING, settings).encode())
    for values in network.get_weights():
        digest.update(values.tobytes())
    return digest.hexdigest()[:32]
