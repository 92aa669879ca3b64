"""Say what the model takes each picture without a label for: the unlabelled and the unknown ones.

Distances are 1 less the cosine of embeddings. A picture is `novel` if it is farther from every training picture than
nearly all validation and test pictures are; novel pictures that are nearer than that to each other, directly or through
others, share a group.

Reads: data/model/, data/predictions/, data/shards/, data/fingerprints.parquet, data/images.parquet, data/confused.csv
Writes: data/identified.parquet (stages/tables/identified.py): one row per file that can be read, three best classes
    with confidences, distances, and the filters high, low, wanted, look_alike and novel
Params: evaluate, identify
"""

import logging
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.wording import counted
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.labels.names import renamed_classes
from stages.metrics.splits import EVALUATION_SPLITS
from stages.models import files
from stages.models.predict import predict_batches
from stages.shards.index import read_index
from stages.shards.tars import ShardReader
from stages.suspects.embeddings import read_embeddings
from stages.suspects.neighbours import Embedded, nearest, nearest_of_class, units
from stages.suspects.novelty import group_similar, novelty_threshold
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.matrices import read_class_names
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import BASE_CLASSES, CLASSES, ROWS
from stages.tables.shards import FOLDER

log = logging.getLogger(__name__)

UNLABELLED = "unlabelled/"
NUM_BEST = 3
LEAST_CONFUSED = 2  # pictures of a class that are taken for another: one alone may be chance
DIGITS = 6  # decimals of a distance: beyond them the order of summation shows


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
    """Arrange the best classes in the columns of the table.

    Args:
        image_ids: the pictures.
        columns: shape (pictures, n), of `best_classes`.
        confidences: shape (pictures, n), 0 to 100.
        class_names: in the order of the scores.

    Returns:
        Columns `image_id`, `class_1`, `confidence_1` to `class_3`, `confidence_3`; null where n is less than 3.
    """
    frame = pd.DataFrame({"image_id": image_ids})
    for index in range(NUM_BEST):
        known = index < columns.shape[1]
        frame[f"class_{index + 1}"] = np.asarray(class_names, object)[columns[:, index]] if known else None
        frame[f"confidence_{index + 1}"] = confidences[:, index] if known else np.nan
    return frame


def with_filters(
    guessed: pd.DataFrame, num_real: pd.Series, relying: Collection[str], high: float, low: float, wanted: int
) -> pd.DataFrame:
    """Add what people filter the pictures by, as far as it follows from the guesses.

    Args:
        guessed: columns `class_1`, `confidence_1`.
        num_real: real pictures that are used, by class name; a class that is not there has none.
        relying: classes that are trained with staged or synthetic pictures.
        high: confidence, 0 to 100, from which a guess is likely right.
        low: confidence below which a picture is probably not worth labelling.
        wanted: a class with fewer real pictures needs more.

    Returns:
        The same rows with the columns `high`, `low` and `wanted`.
    """
    short = guessed["class_1"].map(num_real).fillna(0) < wanted
    return guessed.assign(
        high=guessed["confidence_1"] >= high,
        low=guessed["confidence_1"] < low,
        wanted=short | guessed["class_1"].isin(relying),
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


def relying_classes(images: pd.DataFrame, rows: pd.DataFrame) -> set[str]:
    """Find the classes that are trained with pictures that are not real.

    Args:
        images: columns `image_id`, `origin`, `set`, `dropped`.
        rows: columns `image_id`, `split`, `truth`, of the predictions.
    """
    used = images[(images["set"] == "library") & (images["origin"] != "real") & images["dropped"].isna()]
    return set(rows.loc[(rows["split"] == "train") & rows["image_id"].isin(used["image_id"]), "truth"])


def confused_by_model(rows: pd.DataFrame, share: float) -> set[frozenset[str]]:
    """Find the pairs of classes of which the model takes one for the other.

    Args:
        rows: columns `split`, `truth`, `predicted`, of the predictions; validation and test pictures count.
        share: of a class's pictures that are taken for the other at least, 0 to 1; and two of them at least.

    Returns:
        Pairs without a direction.
    """
    judged = rows[rows["split"].isin(EVALUATION_SPLITS)]
    counts = judged.groupby(["truth", "predicted"], as_index=False).size()
    total = counts["truth"].map(judged["truth"].value_counts())
    often = counts[(counts["truth"] != counts["predicted"]) & (counts["size"] >= LEAST_CONFUSED)]
    often = often[often["size"] >= share * total[often.index]]
    return {frozenset(pair) for pair in zip(often["truth"], often["predicted"], strict=True)}


def look_alike(guessed: pd.DataFrame, pairs: Collection[frozenset[str]]) -> list[bool]:
    """Tell where the two best classes, columns `class_1` and `class_2`, are one of the pairs."""
    return [frozenset(best) in pairs for best in zip(guessed["class_1"], guessed["class_2"], strict=True)]


def with_distances(
    guessed: pd.DataFrame, vectors: NDArray[np.float32], rows: pd.DataFrame, known: NDArray[np.float32], quantile: float
) -> pd.DataFrame:
    """Say how far the pictures are from those that the model was trained on, and which are far from everything.

    Args:
        guessed: column `class_1`, one row per picture.
        vectors: their embeddings, shape (pictures, features), float32, of length 1.
        rows: columns `split`, `truth`, of the predictions.
        known: embeddings of the rows, of shape (rows, features), float32, of length 1.
        quantile: share of the validation and test pictures that are nearer than a novel picture.

    Returns:
        The same rows with the columns `distance`, `distance_to_any`, `novel` and `novel_group`.
    """
    names = pd.Index(sorted({*guessed["class_1"], *rows["truth"].dropna()}))
    everyone = Embedded(known, _numbers(names, rows["truth"]), np.arange(len(rows)))
    training = everyone.take((rows["split"] == "train").to_numpy())
    held_out = everyone.take(rows["split"].isin(EVALUATION_SPLITS).to_numpy())
    pictures = Embedded(vectors, _numbers(names, guessed["class_1"]), -1 - np.arange(len(guessed)))
    usual, to_any = (_distances(nearest(each, training, 1).similarity[:, 0]) for each in (held_out, pictures))
    far = novelty_threshold(usual, quantile)
    novel = to_any > far
    groups = np.zeros(len(guessed), np.int64)
    if novel.any():
        groups[novel] = group_similar(pictures.take(novel), far)
    return guessed.assign(
        distance=_distances(nearest_of_class(pictures, training)),
        distance_to_any=to_any,
        novel=novel,
        novel_group=pd.Series(groups, guessed.index, dtype="Int64").where(groups > 0),
    )


def _numbers(names: pd.Index, classes: pd.Series) -> NDArray[np.int64]:
    return names.get_indexer(pd.Index(classes)).astype(np.int64)


def _distances(similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn cosines into distances; equal embeddings have 0, whatever rounding gives."""
    distances: NDArray[np.float64] = np.maximum(1.0 - similarity.astype(np.float64), 0.0)
    return distances.round(DIGITS)


def identify(image_ids: Sequence[str], batch_size: int) -> tuple[pd.DataFrame, NDArray[np.float32]]:
    """Score the pictures with the model; of the scores only the best of each batch are kept.

    Returns:
        What `guesses` returns, and embeddings of shape (pictures, features), float32, of length 1.
    """
    trained = files.load(Path(MODEL))
    with ShardReader(FOLDER, read_index()) as reader:
        batches = [
            (*best_classes(scores), embeddings)
            for _, scores, embeddings in predict_batches(trained.network, reader, image_ids, batch_size)
        ]
    columns, confidences, embeddings = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return guesses(image_ids, columns, confidences, trained.class_names), units(embeddings)


def read_predictions(images: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the rows of the predictions, and confused.csv against all classes that there are.

    Args:
        images: columns `sub_class`, `class_name`, `was`.
    """
    known_classes = {*images["class_name"].dropna(), *read_class_names(CLASSES), *read_class_names(BASE_CLASSES)}
    return ROWS.read(), read_confused(CONFUSED, known_classes, renamed_classes(images))


def describe(
    guessed: pd.DataFrame,
    vectors: NDArray[np.float32],
    images: pd.DataFrame,
    predictions: tuple[pd.DataFrame, pd.DataFrame],
    limits: parameters.Identify,
) -> pd.DataFrame:
    """Add everything that people filter the pictures by.

    Args:
        guessed: from `identify`.
        vectors: from `identify`.
        images: columns `image_id`, `class_name`, `origin`, `set`, `dropped`.
        predictions: from `read_predictions`.
        limits: of the filters.

    Returns:
        The same rows with the columns of `data/identified.parquet`, but for `path`.
    """
    rows, confused = predictions
    guessed = with_distances(guessed, vectors, rows, read_embeddings(rows), limits.novel)
    by_people = {frozenset(pair) for pair in zip(confused["truth"], confused["predicted"], strict=True)}
    guessed["look_alike"] = look_alike(guessed, by_people | confused_by_model(rows, limits.confused))
    relying = relying_classes(images, rows)
    return with_filters(guessed, real_pictures(images), relying, limits.high, limits.low, limits.wanted)


def summarise(table: pd.DataFrame, limits: parameters.Identify) -> str:
    """Say how many pictures each filter leaves."""
    count = {name: int(table[name].sum()) for name in ("high", "low", "wanted", "look_alike", "novel")}
    return (
        f"{counted(count['high'], 'picture')} with a confidence of {limits.high:g} or more, {count['low']:,} below "
        f"{limits.low:g}; {count['wanted']:,} of classes that lack pictures, {count['look_alike']:,} of two classes "
        f"that look alike, {count['novel']:,} far from everything"
    )


def main() -> None:
    """Run the stage."""
    batch_size, limits = parameters.read(parameters.Evaluate).batch_size, parameters.read(parameters.Identify)
    images = IMAGES.read()
    pictures = without_label(FINGERPRINTS.read(), images)
    if pictures.empty:
        IDENTIFIED.write(pictures.reindex(columns=IDENTIFIED.schema.names))
        log.info("identify: nothing to do: data/unlabelled has no picture, and no sub-class is unknown")
        return
    predictions = read_predictions(images)
    log.info("identify: %s without a label", counted(len(pictures), "picture"))

    guessed, vectors = identify(list(pictures["image_id"].unique()), batch_size)
    table = pictures.merge(describe(guessed, vectors, images, predictions, limits), on="image_id")

    IDENTIFIED.write(table)
    log.info("identify: %s", summarise(table, limits))


if __name__ == "__main__":
    run(main)
