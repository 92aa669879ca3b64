"""Say what the model takes every picture for whose label nobody knows: the unlabelled and the unknown ones.

Reads: data/model/, data/shards/, data/fingerprints.parquet, data/images.parquet
Writes: data/identified.parquet (stages/tables/identified.py): a row a file that can be read, three best classes with
    confidences, and the filters high, low and wanted
Params: evaluate, identify
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages import _params
from stages._command import run
from stages._shards import ShardReader
from stages.models import files
from stages.models.predict import predict_batches
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.shards import FOLDER, INDEX

log = logging.getLogger(__name__)

UNLABELLED = "unlabelled/"
NUM_BEST = 3


def without_label(fingerprints: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """List the files to identify.

    Args:
        fingerprints: columns `path`, `image_id`, `error`.
        images: columns `path`, `image_id`, `origin`, `dropped`.

    Returns:
        Columns `image_id` and `path`, sorted by path: the unlabelled pictures that can be read, and those of `unknown`
        sub-classes that were not dropped.
    """
    unlabelled = fingerprints[fingerprints["path"].str.startswith(UNLABELLED) & fingerprints["error"].isna()]
    unknown = images[(images["origin"] == "unknown") & images["dropped"].isna()]
    return pd.concat([unlabelled, unknown])[["image_id", "path"]].sort_values("path", ignore_index=True)


def best_classes(scores: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Pick the three best classes, or as many as there are.

    Args:
        scores: shape (pictures, classes), float32, 0 to 1.

    Returns:
        Columns of `scores` and confidences (0 to 100), each of shape (pictures, 3 or fewer), best first; of equal
        scores the first column's comes first.
    """
    columns = np.argsort(-scores, axis=1, kind="stable")[:, :NUM_BEST]
    return columns, 100 * np.take_along_axis(scores, columns, axis=1).astype(np.float64)


def guesses(
    image_ids: Sequence[str], columns: NDArray[np.intp], confidences: NDArray[np.float64], class_names: Sequence[str]
) -> pd.DataFrame:
    """Lay out the best classes as the table has them.

    Args:
        image_ids: the pictures.
        columns: shape (pictures, n), of `best_classes`.
        confidences: shape (pictures, n), 0 to 100.
        class_names: in the order of the scores.

    Returns:
        Columns `image_id`, `class_1`, `confidence_1` to `class_3`, `confidence_3`; null where n is less than 3.
    """
    frame = pd.DataFrame({"image_id": image_ids})
    for place in range(NUM_BEST):
        known = place < columns.shape[1]
        frame[f"class_{place + 1}"] = np.asarray(class_names, object)[columns[:, place]] if known else None
        frame[f"confidence_{place + 1}"] = confidences[:, place] if known else np.nan
    return frame


def with_filters(guessed: pd.DataFrame, num_real: pd.Series, high: float, low: float, wanted: int) -> pd.DataFrame:
    """Add what people filter the pictures by.

    Args:
        guessed: columns `class_1`, `confidence_1`.
        num_real: real pictures that are used, by class name; a class that is not there has none.
        high: confidence, 0 to 100, from which a guess is likely right.
        low: confidence below which a picture is probably not worth labelling.
        wanted: a class with fewer real pictures needs more.

    Returns:
        The same rows with the columns `high`, `low` and `wanted`.
    """
    return guessed.assign(
        high=guessed["confidence_1"] >= high,
        low=guessed["confidence_1"] < low,
        wanted=guessed["class_1"].map(num_real).fillna(0) < wanted,
    )


def real_pictures(images: pd.DataFrame) -> pd.Series:
    """Count the real pictures of the library that are used.

    Args:
        images: columns `class_name`, `origin`, `set`, `dropped`.

    Returns:
        Counts by class name.
    """
    used = images[(images["set"] == "library") & (images["origin"] == "real") & images["dropped"].isna()]
    return used["class_name"].value_counts()


def identify(image_ids: Sequence[str], batch_size: int) -> pd.DataFrame:
    """Score the pictures with the model; only the best classes of each batch are kept."""
    trained = files.load(Path(files.MODEL))
    with ShardReader(FOLDER, INDEX.read()) as reader:
        best = [
            best_classes(scores) for _, scores, _ in predict_batches(trained.network, reader, image_ids, batch_size)
        ]
    columns, confidences = (np.concatenate(parts) for parts in zip(*best, strict=True))
    return guesses(image_ids, columns, confidences, trained.class_names)


def main() -> None:
    """Run the stage."""
    batch_size, limits = _params.read(_params.Evaluate).batch_size, _params.read(_params.Identify)
    images = IMAGES.read()
    pictures = without_label(FINGERPRINTS.read(), images)
    if pictures.empty:
        IDENTIFIED.write(pictures.reindex(columns=IDENTIFIED.schema.names))
        log.info("identify: nothing to do: data/unlabelled has no picture, and no sub-class is unknown")
        return

    guessed = identify(list(pictures["image_id"].unique()), batch_size)
    rows = with_filters(
        pictures.merge(guessed, on="image_id"), real_pictures(images), limits.high, limits.low, limits.wanted
    )

    IDENTIFIED.write(rows)
    log.info(
        "identify: %d pictures, %d with a confidence of %g or more, %d below %g, %d of classes that lack pictures",
        len(rows),
        rows["high"].sum(),
        limits.high,
        rows["low"].sum(),
        limits.low,
        rows["wanted"].sum(),
    )


if __name__ == "__main__":
    run(main)
