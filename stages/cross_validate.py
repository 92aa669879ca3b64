"""Score the training pictures by networks that did not see them, if score.folds asks for it.

A model says of its training pictures what it was taught, wrong labels too. With score.folds at 2 or more, the training
pictures are divided into that many folds, near-duplicates together. For each fold a network is trained from scratch
without it, and scores it. `score` then looks for wrong labels in these scores. This takes as many trainings from
scratch as there are folds. With 0, the default, nothing is trained, and empty files are written.

Reads: data/shards/, data/splits.parquet, data/images.parquet
Writes: data/held_out/ (rows.parquet: image_id, fold; scores.npy: rows x classes)
Params: picture, train, score.folds
"""

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from runtime import parameters
from runtime.command import run
from runtime.outputs import whole
from runtime.wording import counted
from stages.shards.index import read_index
from stages.tables.held_out import FOLDER, HELD_OUT, HELD_OUT_SCORES
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS

log = logging.getLogger(__name__)


def hold_out(num_folds: int, size: int, params: parameters.Train) -> tuple[pd.DataFrame, np.ndarray]:
    """Score every training picture.

    Args:
        num_folds: 2 or more.
        size: side of the pictures in pixels.
        params: of the section `train`.

    Returns:
        Columns `image_id`, `fold`, sorted by image_id, and scores of shape (rows, classes), float32.
    """
    # Loading Keras takes longer than a run in which nothing is asked for.
    from stages.training.cross_validation import folds_of, held_out_scores
    from stages.training.session import open_session

    splits, images = SPLITS.read(), IMAGES.read()
    groups = images.drop_duplicates("image_id").set_index("image_id")["group"]
    image_ids = sorted(splits.loc[splits["split"] == "train", "image_id"])
    folds = pd.Series(folds_of(groups[image_ids], num_folds), index=image_ids)
    with open_session(params, size, splits, read_index()) as session:
        classes = counted(len(session.class_names), "class", "classes")
        pictures = counted(len(folds), "picture")
        log.info("cross_validate: %s, %s of %s in %d folds", params.network, pictures, classes, num_folds)
        scores = held_out_scores(session, folds)
    return pd.DataFrame({"image_id": image_ids, "fold": folds.to_numpy()}), scores


def main() -> None:
    """Run the stage."""
    size, params = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    num_folds = parameters.read(parameters.Score).folds

    rows, scores = pd.DataFrame(columns=HELD_OUT.schema.names), np.empty((0, 0), np.float32)
    if num_folds:
        rows, scores = hold_out(num_folds, size, params)

    with whole(FOLDER) as folder:
        folder.mkdir()
        np.save(folder / Path(HELD_OUT_SCORES).name, scores)
        HELD_OUT.write(rows, str(folder / Path(HELD_OUT.path).name))
    scored = f"{counted(len(rows), 'training picture')} scored in {FOLDER}"
    log.info("cross_validate: %s", scored if num_folds else "not asked for (score.folds is 0)")


if __name__ == "__main__":
    run(main)
