"""Say what the model takes each picture without a label for: the unlabelled and the unknown ones.

Candidates come from a linear classifier on embeddings that know no label (`embed`). It knows every class that has
pictures, those that are too small for the model included.

Distances are 1 less the cosine of these embeddings. A picture is `novel` if it is farther from every labelled picture
than nearly all labelled ones are from the others; novel pictures that are nearer than that to each other, directly or
through others, share a group.

Reads: data/model/, data/predictions/, data/embeddings/, data/shards/, data/fingerprints.parquet, data/images.parquet,
    data/confused.csv
Writes: data/identified.parquet (stages/tables/identified.py): one row per file that can be read, three best classes
    with confidences, the candidate, distances, and the filters high, low, wanted, look_alike and novel;
    data/candidates.parquet (stages/tables/candidates.py): for each class that lacks pictures the likeliest ones
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
from stages.embeddings.discriminant import folds_of, known_together
from stages.embeddings.vectors import read_vectors
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.labels.folders import UNLABELLED
from stages.labels.names import renamed_classes
from stages.metrics.splits import EVALUATION_SPLITS
from stages.models import compilation, determinism, files
from stages.models.precision import calculating_in
from stages.models.predict import predict_batches
from stages.shards.index import read_index
from stages.shards.tars import ShardReader
from stages.suspects.candidates import Candidates, find_candidates, first_of_each
from stages.suspects.neighbours import Embedded, nearest, nearest_of_class
from stages.suspects.novelty import group_similar, novelty_threshold
from stages.tables.candidates import CANDIDATES
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.matrices import read_class_names
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import BASE_CLASSES, CLASSES, ROWS
from stages.tables.shards import FOLDER

log = logging.getLogger(__name__)

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


def guesses(columns: NDArray[np.intp], confidences: NDArray[np.float64], class_names: Sequence[str]) -> pd.DataFrame:
    """Arrange the best classes in the columns of the table.

    Args:
        columns: shape (pictures, n), of `best_classes`.
        confidences: shape (pictures, n), 0 to 100.
        class_names: in the order of the scores.

    Returns:
        Columns `class_1`, `confidence_1` to `class_3`, `confidence_3`; null where n is less than 3.
    """
    frame = pd.DataFrame(index=range(len(columns)))
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
        guessed: columns `class_1`, `confidence_1`, `candidate`.
        num_real: real pictures that are used, by class name; a class that is not there has none.
        relying: classes that are trained with staged or synthetic pictures.
        high: confidence, 0 to 100, from which a guess is likely right.
        low: confidence below which a picture is probably not worth labelling.
        wanted: a class with fewer real pictures needs more.

    Returns:
        The same rows with the columns `high`, `low` and `wanted`.
    """
    enough = num_real.index[num_real >= wanted]
    short = ~guessed[["class_1", "candidate"]].isin(enough).all(axis=1)
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


def labelled_pictures(images: pd.DataFrame) -> pd.DataFrame:
    """List the pictures of the library that have a class, one that is too small for the model included.

    Args:
        images: columns `image_id`, `class_name`, `group`, `source`, `set`, `dropped`.

    Returns:
        Columns `image_id`, `class_name`, and `together`, which pictures of one source or group share; sorted by
        image_id, each picture once.
    """
    used = images[(images["set"] == "library") & images["dropped"].isna() & images["class_name"].notna()]
    unique = used.drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
    together = known_together(unique).to_numpy()
    return unique[["image_id", "class_name"]].assign(together=together)


def list_candidates(
    guessed: pd.DataFrame, candidates: Candidates, wanted: Sequence[str], num_first: int
) -> pd.DataFrame:
    """List, for each class that lacks pictures, those that most probably are of it and are not far from everything.

    Args:
        guessed: columns `image_id`, `path`, `class_1`, `novel`, one row per picture.
        candidates: of these pictures.
        wanted: names of the classes whose confidences it has.
        num_first: how many of each class at most.

    Returns:
        The columns of data/candidates.parquet.
    """
    parts = [
        guessed.iloc[rows][["image_id", "path", "class_1"]].assign(
            class_name=name, rank=np.arange(1, len(rows) + 1), confidence=candidates.wanted[rows, number]
        )
        for number, (name, rows) in enumerate(
            zip(wanted, first_of_each(candidates.wanted, ~guessed["novel"].to_numpy(bool), num_first), strict=True)
        )
    ]
    columns = CANDIDATES.schema.names
    listed: pd.DataFrame = pd.concat(parts) if parts else pd.DataFrame(columns=columns)
    return listed.rename(columns={"class_1": "predicted"}).reindex(columns=columns)


def with_distances(
    guessed: pd.DataFrame,
    vectors: NDArray[np.float32],
    labelled: Embedded,
    class_names: Sequence[str],
    quantile: float,
) -> pd.DataFrame:
    """Say how far the pictures are from the labelled ones, and which are far from everything.

    Args:
        guessed: column `class_1`, one row per picture.
        vectors: their embeddings, shape (pictures, features), float32, of length 1.
        labelled: the labelled pictures, with the numbers of their classes.
        class_names: by number, sorted.
        quantile: share of the labelled pictures that are nearer to another than a novel picture is to any.

    Returns:
        The same rows with the columns `distance`, `distance_to_any`, `novel` and `novel_group`.
    """
    classes = pd.Index(class_names).get_indexer(pd.Index(guessed["class_1"])).astype(np.int64)
    pictures = Embedded(vectors, classes, -1 - np.arange(len(guessed)))
    usual, to_any = (_distances(nearest(each, labelled, 1).similarity[:, 0]) for each in (labelled, pictures))
    far = novelty_threshold(usual[np.isfinite(usual)], quantile)
    novel = to_any > far
    groups = np.zeros(len(guessed), np.int64)
    if novel.any():
        groups[novel] = group_similar(pictures.take(novel), far)
    return guessed.assign(
        distance=_distances(nearest_of_class(pictures, labelled)),
        distance_to_any=to_any,
        novel=novel,
        novel_group=pd.Series(groups, guessed.index, dtype="Int64").where(groups > 0),
    )


def _distances(similarity: NDArray[np.float32]) -> NDArray[np.float64]:
    """Turn cosines into distances; equal embeddings have 0, whatever rounding gives."""
    distances: NDArray[np.float64] = np.maximum(1.0 - similarity.astype(np.float64), 0.0)
    return distances.round(DIGITS)


def identify(image_ids: Sequence[str], how: parameters.Evaluate) -> pd.DataFrame:
    """Score the pictures with the model; of the scores only the best of each batch are kept.

    Returns:
        Column `image_id` and what `guesses` returns.
    """
    determinism.enable(seed=0)  # nothing is drawn at random, and nothing was calculated yet
    compilation.keep_compiled()
    with calculating_in(how.precision, "evaluate.precision"):
        trained = files.load(Path(MODEL))
    with ShardReader(FOLDER, read_index()) as reader:
        batches = [
            best_classes(scores) for _, scores, _ in predict_batches(trained.network, reader, image_ids, how.batch_size)
        ]
    columns, confidences = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return guesses(columns, confidences, trained.class_names).assign(image_id=image_ids)


def read_predictions(images: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the rows of the predictions, and confused.csv against all classes that there are.

    Args:
        images: columns `sub_class`, `class_name`, `was`.
    """
    known_classes = {*images["class_name"].dropna(), *read_class_names(CLASSES), *read_class_names(BASE_CLASSES)}
    return ROWS.read(), read_confused(CONFUSED, known_classes, renamed_classes(images))


def describe(
    guessed: pd.DataFrame,
    images: pd.DataFrame,
    predictions: tuple[pd.DataFrame, pd.DataFrame],
    limits: parameters.Identify,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Add everything that people filter the pictures by, and list the candidates of classes that lack pictures.

    Args:
        guessed: from `identify`, with the column `path`.
        images: columns `image_id`, `class_name`, `origin`, `set`, `dropped`, `group`.
        predictions: from `read_predictions`.
        limits: of the filters.

    Returns:
        The same rows with the columns of `data/identified.parquet`, and the rows of `data/candidates.parquet`.
    """
    (rows, confused), pictures = predictions, labelled_pictures(images)
    names, numbers = np.unique(pictures["class_name"].to_numpy(dtype=object), return_inverse=True)
    groups = pd.factorize(pictures["together"])[0].astype(np.int64)
    labelled = Embedded(read_vectors(pictures["image_id"]), numbers.astype(np.int64), groups)
    vectors, num_real = read_vectors(guessed["image_id"]), real_pictures(images)
    wanted = np.flatnonzero(num_real.reindex(names).fillna(0).to_numpy() < limits.wanted)
    candidates = find_candidates(vectors, labelled, folds_of(pictures["together"]), len(names), wanted)
    guessed["candidate"], guessed["candidate_confidence"] = (
        np.append(names, [None])[candidates.best],
        candidates.confidence,
    )
    guessed = with_distances(guessed, vectors, labelled, names.tolist(), limits.novel)
    by_people = {frozenset(pair) for pair in zip(confused["truth"], confused["predicted"], strict=True)}
    guessed["look_alike"] = look_alike(guessed, by_people | confused_by_model(rows, limits.confused))
    relying = relying_classes(images, rows)
    filtered = with_filters(guessed, num_real, relying, limits.high, limits.low, limits.wanted)
    return filtered, list_candidates(filtered, candidates, names[wanted].tolist(), limits.candidates)


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
    how, limits = parameters.read(parameters.Evaluate), parameters.read(parameters.Identify)
    images = IMAGES.read()
    pictures = without_label(FINGERPRINTS.read(), images)
    if pictures.empty:
        for output in (IDENTIFIED, CANDIDATES):
            output.write(pictures.reindex(columns=output.schema.names))
        log.info("identify: nothing to do: data/unlabelled has no picture, and no sub-class is unknown")
        return
    predictions = read_predictions(images)
    log.info("identify: %s without a label", counted(len(pictures), "picture"))

    unique = pictures.drop_duplicates("image_id", ignore_index=True)
    guessed = unique.merge(identify(unique["image_id"].tolist(), how), on="image_id")
    described, candidates = describe(guessed, images, predictions, limits)
    table = pictures.merge(described.drop(columns="path"), on="image_id")

    IDENTIFIED.write(table)
    CANDIDATES.write(candidates)
    log.info("identify: %s", summarise(table, limits))


if __name__ == "__main__":
    run(main)
