"""What a run of training is made of: its pictures, its recipe, and the digest that names its checkpoints."""

import hashlib
from collections.abc import Iterable, Sequence

import keras
import numpy as np
import pandas as pd

from runtime import parameters
from runtime.errors import InputError
from runtime.identity import code_identity
from stages.shards.batches import Pictures, require
from stages.tables.splits import SPLITS
from stages.training.fit import LabelledPictures, Recipe

# What takes part in a model's bytes beside its pictures and the parameters: our code.
TRAINING = ("stages.train", "stages.cross_validate", "stages.training", "stages.models", "stages.shards")


def labelled(splits: pd.DataFrame, split: str, class_names: Sequence[str], pictures: Pictures) -> LabelledPictures:
    """Gather the pictures of one split, sorted, so that nothing depends on how shards hold them.

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
            "writes it anew."
        )
    image_ids = chosen["image_id"].tolist()
    require(pictures, image_ids)
    numbers = {name: number for number, name in enumerate(class_names)}
    labels = np.array([numbers[name] for name in chosen["class_name"]], np.int64)
    return LabelledPictures(pictures, image_ids, labels, len(class_names))


def recipe(params: parameters.Train, warm: bool) -> Recipe:
    """Choose the numbers of a warm start or of one from scratch."""
    return Recipe(
        epochs=params.epochs if warm else params.epochs_from_scratch,
        learning_rate=params.learning_rate if warm else params.learning_rate_from_scratch,
        warm_up=params.warm_up if warm else params.warm_up_from_scratch,
        batch_size=params.batch_size,
        label_smoothing=params.label_smoothing,
        seed=params.seed,
        **params.augmentation.model_dump(),
    )


def run_digest(
    params: parameters.Train,
    network: keras.Model,
    index: pd.DataFrame,
    pictures: Iterable[LabelledPictures],
) -> str:
    """Digest what the result depends on, to name the run's checkpoints; its first weights stand for the base.

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
