"""Score the training pictures by networks that were not trained on them, fold by fold."""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from stages.models import determinism, networks
from stages.models.predict import predict
from stages.shards.batches import Pictures
from stages.shards.decoded import DecodedPictures
from stages.shards.tars import ShardReader
from stages.training import warm_start
from stages.training.checkpoints import Checkpoints
from stages.training.devices import together
from stages.training.fit import fit
from stages.training.session import labelled, recipe, run_digest

log = logging.getLogger(__name__)

HELD_OUT = "held out"  # takes the place of `train` in the splits of a fold


def folds_of(groups: Iterable[str], num_folds: int) -> NDArray[np.int64]:
    """Choose the fold of each picture by the hash of its group, so that near-duplicates are held out together.

    Args:
        groups: of each picture; new pictures move no other to another fold.
        num_folds: 2 or more.

    Returns:
        Of shape (pictures,), int64, 0 to num_folds - 1.
    """
    digests = (hashlib.sha256(f"fold {group}".encode()).digest() for group in groups)
    return np.array([int.from_bytes(digest[:8]) % num_folds for digest in digests], dtype=np.int64)


def held_out_scores(
    params: parameters.Train, size: int, splits: pd.DataFrame, folds: pd.Series, shards: tuple[Path, pd.DataFrame]
) -> NDArray[np.float32]:
    """Train a network without each fold and score the fold with it.

    Each training starts from scratch, or from `train.weights`: the base was trained on these pictures.

    Args:
        params: of the section `train`.
        size: side of the pictures in pixels.
        splits: columns `image_id`, `class_name`, `split`.
        folds: fold of each training picture, by image_id.
        shards: their folder, and their index.

    Returns:
        Of shape (training pictures, classes), float32, in the order of `folds`; the classes are sorted.

    Raises:
        InputError: a picture is in no shard or of another size, or what is left of the pictures cannot train.
    """
    class_names = sorted(set(splits.loc[splits["split"] == "train", "class_name"]))
    scores = np.zeros((len(folds), len(class_names)), np.float32)
    checkpoints = []
    read_each_epoch = splits.loc[splits["split"].isin(("train", "validation")), "image_id"].tolist()
    with (
        together(params.devices, params.batch_size, params.precision, params.seed) as devices,
        ShardReader(*shards) as reader,
        DecodedPictures(read_each_epoch, 3 * size**2) as decoded,
    ):
        pictures = Pictures(reader, size, decoded)
        for fold in np.unique(folds):
            held = folds.index[folds == fold]
            without = splits.assign(split=splits["split"].mask(splits["image_id"].isin(held), HELD_OUT))
            training, validation = (labelled(without, name, class_names, pictures) for name in ("train", "validation"))
            with devices.scope():
                network = _start(params, size, len(class_names))
            run_name = run_digest(params, network, shards[1], (training, validation))
            checkpoints.append(Checkpoints(run_name))
            for row in fit(network, training, validation, recipe(params, warm=False), checkpoints[-1], devices):
                log.info("fold %d, epoch %d: validation loss %.4f", fold, row["epoch"], row["val_loss"])
            scores[folds == fold] = predict(network, reader, held.tolist(), params.batch_size)[0]
    for of_fold in checkpoints:
        of_fold.remove()
    return scores


def _start(params: parameters.Train, size: int, num_classes: int) -> keras.Model:
    determinism.enable(params.seed)
    network = networks.build(params.network, size, num_classes)
    if params.weights is not None:
        warm_start.load_weights(network, Path(params.weights))
    return network
