"""What a run of training is made of: its pictures, its recipe, and the digest that names its checkpoints."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from stages import _params
from stages._errors import InputError
from stages.models import networks
from stages.models.batches import Pictures, require
from stages.models.fit import LabelledPictures, Recipe
from stages.tables.splits import SPLITS


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


def recipe(params: _params.Train, warm: bool) -> Recipe:
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
    params: _params.Train,
    network: keras.Model,
    index: pd.DataFrame,
    pictures: Iterable[LabelledPictures],
    stage: Path,
) -> str:
    """Digest what the result depends on, to name the run's checkpoints; its first weights stand for the base.

    Args:
        params: of the section `train`.
        network: as training starts.
        index: of the shards.
        pictures: to train with, and to validate with.
        stage: the file of the stage that trains.

    Returns:
        32 hex digits.
    """
    code = [stage, *sorted(Path(networks.__file__).parent.glob("*.py"))]
    known = [params.model_dump(), network.name, network.input.shape, keras.__version__, keras.backend.backend()]
    known += [[each.image_ids, each.labels.tolist()] for each in pictures]
    known += [index.to_dict("list"), [path.read_text("utf-8") for path in code]]
    digest = hashlib.sha256(json.dumps(known).encode())
    for values in network.get_weights():
        digest.update(values.tobytes())
    return digest.hexdigest()[:32]
