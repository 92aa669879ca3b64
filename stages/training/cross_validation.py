"""Score the training pictures by networks that were not trained on them, fold by fold."""

import hashlib
import logging
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.training.session import Session
from stages.training.warm_start import start

log = logging.getLogger(__name__)

HELD_OUT = "held out"  # replaces `train` in the splits of a fold


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


def held_out_scores(session: Session, folds: pd.Series) -> NDArray[np.float32]:
    """Train a network without each fold and score the fold with it.

    Each training starts from scratch, or from `train.weights`: the base was trained on these pictures.

    Args:
        session: with the splits of all training pictures.
        folds: fold of each training picture, by image_id.

    Returns:
        Of shape (training pictures, classes), float32, in the order of `folds`; the classes are sorted.

    Raises:
        InputError: a picture is in no shard or of another size, or what is left of the pictures cannot train.
    """
    scores = np.zeros((len(folds), len(session.class_names)), np.float32)
    from_scratch = partial(start, session.params, session.pictures.size, len(session.class_names))
    checkpoints = []
    for fold in np.unique(folds):
        image_ids = folds.index[folds == fold].tolist()
        training = session.begin(from_scratch, warm=False, splits=without(session.splits, image_ids))
        checkpoints.append(training.checkpoints)
        best = min(training.epochs, key=lambda row: row["val_loss"])
        log.info("cross_validate: fold %d: validation loss %.4f in epoch %d", fold, best["val_loss"], best["epoch"])
        scores[folds == fold] = session.scores(training.network, image_ids)
    for each in checkpoints:
        each.remove()
    return scores


def without(splits: pd.DataFrame, image_ids: Iterable[str]) -> pd.DataFrame:
    """Take pictures out of all splits: a copy in which theirs is HELD_OUT."""
    return splits.assign(split=splits["split"].mask(splits["image_id"].isin(image_ids), HELD_OUT))
