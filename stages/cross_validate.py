"""Score the training pictures by networks that did not see them, if score.folds asks for it.

A model says of its training pictures what it was taught, wrong labels too. With score.folds at 2 or more, the training
pictures are parted into that many folds, near-duplicates together; for each a network is trained from scratch without
it, and scores it. `score` then looks for wrong labels in these scores. It takes about as many trainings from scratch as
there are folds, on one device; with 0, the default, nothing is trained and nothing written but empty files.

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
from stages.tables.held_out import FOLDER, HELD_OUT, HELD_OUT_SCORES
from stages.tables.images import IMAGES
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.shards import INDEX
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

    splits, images = SPLITS.read(), IMAGES.read()
    groups = images.drop_duplicates("image_id").set_index("image_id")["group"]
    image_ids = sorted(splits.loc[splits["split"] == "train", "image_id"])
    folds = pd.Series(folds_of(groups[image_ids], num_folds), index=image_ids)
    scores = held_out_scores(params, size, splits, folds, (Path(SHARDS), INDEX.read()))
    return pd.DataFrame({"image_id": image_ids, "fold": folds.to_numpy()}), scores


def main() -> None:
    """Run the stage."""
    size, params = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    num_folds = parameters.read(parameters.Score).folds

    rows, scores = pd.DataFrame(columns=HELD_OUT.schema.names), np.empty((0, 0), np.float32)
    if num_folds:
        rows, scores = hold_out(num_folds, size, params)

    with whole(FOLDER) as partial:
        partial.mkdir()
        np.save(partial / Path(HELD_OUT_SCORES).name, scores)
        HELD_OUT.write(rows, str(partial / Path(HELD_OUT.path).name))
    log.info("cross_validate: %d training pictures held out in %d folds (score.folds)", len(rows), num_folds)


if __name__ == "__main__":
    run(main)
