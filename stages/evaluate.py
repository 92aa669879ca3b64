"""Score every picture of every set with the new model and, when there is one, with the base.

The base answers in its classes' names of now, so that a class whose folder was renamed is compared with itself.

Reads: data/model/, data/base/ (model), data/shards/, data/embeddings/, data/splits.parquet, data/images.parquet
    (sub_class, class_name, was, group, source)
Writes: data/predictions/ (rows.parquet: image_id, split, truth, predicted, confidence, scope_distance, log_partition,
    base_predicted, base_confidence, base_scope_distance, base_log_partition; scores.npy, embeddings.npy, classes.json,
    base_scores.npy, base_classes.json)
Params: evaluate
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import BaseError, InputError
from runtime.outputs import whole, write_json
from runtime.wording import counted
from stages.embeddings.class_means import distances, left_out_distances
from stages.embeddings.discriminant import known_together
from stages.embeddings.vectors import read_vectors
from stages.labels.names import names_now, renamed_classes
from stages.models import compilation, determinism, files
from stages.models.base import BASE_MODEL, has_base
from stages.models.description import remedy
from stages.models.precision import calculating_in
from stages.models.predict import predict_batches
from stages.shards.index import read_index
from stages.shards.tars import ShardReader
from stages.tables.images import IMAGES
from stages.tables.model import CLASS_MEANS
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, EMBEDDINGS, FOLDER, ROWS, SCORES
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.splits import SPLITS

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

Matrix = NDArray[Any]
Batch = tuple[slice, NDArray[np.float32], NDArray[np.float64], NDArray[np.float16]]


def what_is_read(rows: pd.DataFrame, model: files.TrainedModel, base: files.TrainedModel | None) -> str:
    """Say in one line what is scored, and by what; `rows` has the column `image_id`."""
    pictures = counted(rows["image_id"].nunique(), "picture")
    classes = counted(len(model.class_names), "class", "classes")
    also = "no base" if base is None else f"and by the base of {counted(len(base.class_names), 'class', 'classes')}"
    return f"{pictures}, by the network {model.description.network} of {classes}, {also}"


def in_order(splits: pd.DataFrame) -> pd.DataFrame:
    """Sort the pictures of all sets as the rows of ROWS are.

    Args:
        splits: columns `image_id`, `class_name`, `split`.

    Returns:
        Columns `image_id`, `split`, `truth`; the index counts from 0.
    """
    rows = splits.rename(columns={"class_name": "truth"})[["image_id", "split", "truth"]]
    return rows.sort_values(list(ROWS.order), kind="stable", ignore_index=True)


def outputs(network: "keras.Model", num_rows: int, scores: Path, embeddings: Path | None = None) -> list[Matrix]:
    """Open the matrices that a network's results are written to, on disk and not in memory.

    Args:
        network: from `networks.build`.
        num_rows: of each matrix.
        scores: path of its scores, float32.
        embeddings: path of its embeddings, float16; None if they are not wanted.
    """
    num_features, num_classes = (network.output[name].shape[1] for name in ("embedding", "scores"))
    matrices: list[Matrix] = [open_memmap(scores, "w+", np.float32, (num_rows, num_classes))]
    if embeddings is not None:
        matrices.append(open_memmap(embeddings, "w+", np.float16, (num_rows, num_features)))
    return matrices


def fill(codes: NDArray[np.intp], batches: Iterator[Batch], matrices: Sequence[Matrix]) -> None:
    """Write the results of each picture to every row of that picture.

    Args:
        codes: shape (rows,): the number of each row's picture.
        batches: a slice of the pictures, then their scores, logarithms of the partition function and embeddings.
        matrices: for each of the three, the last only if it is wanted, shape (rows, ...); written to.
    """
    rows = np.argsort(codes, kind="stable")
    for pictures, *results in batches:
        first, last = np.searchsorted(codes[rows], [pictures.start, pictures.stop])
        batch_rows = rows[first:last]
        for matrix, values in zip(matrices, results, strict=False):
            matrix[batch_rows] = np.asarray(values)[codes[batch_rows] - pictures.start]


def log_partitions(
    network: "keras.Model", scores: NDArray[np.float32], embeddings: NDArray[np.float16]
) -> NDArray[np.float64]:
    """Compute what a softmax forgets of its logits: the logarithm of the sum of their exponentials.

    It is the best class's logit less the logarithm of its score.

    Args:
        network: from `networks.build`.
        scores: shape (pictures, classes).
        embeddings: shape (pictures, features): their half precision moves a logit by about a thousandth of itself.

    Returns:
        Shape (pictures,): minus the energy of Liu et al. 2020, "Energy-based out-of-distribution detection".
    """
    kernel, bias = (np.asarray(values, np.float64) for values in network.get_layer("scores").get_weights())
    columns = scores.argmax(axis=1)
    logits = np.einsum("ij,ij->i", embeddings.astype(np.float64), kernel.T[columns]) + bias[columns]
    partitions: NDArray[np.float64] = logits - np.log(scores.max(axis=1), dtype=np.float64)
    return partitions


def best(scores: NDArray[np.float32], class_names: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
    """Find the best class of each row.

    Args:
        scores: shape (rows, classes), 0 to 1.
        class_names: in the order of the columns.

    Returns:
        Names, and confidences of shape (rows,), float64, 0 to 100.
    """
    columns = scores.argmax(axis=1)
    confidences = scores[np.arange(len(scores)), columns].astype(np.float64) * 100
    return [class_names[column] for column in columns], np.minimum(confidences, 100.0)


def answer(
    model: files.TrainedModel, reader: ShardReader, image_ids: pd.Series, batch_size: int, paths: Sequence[Path]
) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Score the picture of each row, each picture once, and write the scores to disk.

    Args:
        model: that scores.
        reader: of the shards.
        image_ids: of the rows.
        batch_size: pictures at a time.
        paths: where the matrix of scores is written, and where that of embeddings if it is wanted.

    Returns:
        The best class of each row, and its confidence, see `best`; and what `log_partitions` has of it.
    """
    codes, uniques = pd.factorize(image_ids)
    predicted = predict_batches(model.network, reader, [str(image_id) for image_id in uniques], batch_size)
    batches = (
        (pictures, scores, log_partitions(model.network, scores, embeddings), embeddings)
        for pictures, scores, embeddings in predicted
    )
    scores, *embeddings = outputs(model.network, len(image_ids), *paths)
    partitions = np.empty(len(image_ids))
    fill(codes, batches, [scores, partitions, *embeddings])
    return *best(scores, model.class_names), partitions


def scope_distances(
    rows: pd.DataFrame, vectors: NDArray[np.float32], model: files.TrainedModel, together: pd.Series
) -> NDArray[np.float64]:
    """Compute how far each row's picture is from the nearest mean of a class that the model was trained on.

    Args:
        rows: columns `image_id`, `split`, `truth`.
        vectors: embeddings of shape (rows, features), float32, of length 1.
        model: with its class means.
        together: from `known_together`.

    Returns:
        Of shape (rows,), 0 to 2: of a training picture from the means as they are without it and what is known together
        with it.

    Raises:
        InputError: the model has no class means.
    """
    if model.class_means is None:
        raise InputError(f"{MODEL} has no {CLASS_MEANS}, as train writes it. {remedy(Path(MODEL))}")
    trained = (rows["split"] == "train").to_numpy()
    classes = pd.Index(model.class_names).get_indexer(pd.Index(rows.loc[trained, "truth"]))
    groups = pd.factorize(together.reindex(rows.loc[trained, "image_id"]))[0]
    found = distances(vectors, model.class_means)
    found[trained] = left_out_distances(vectors[trained], classes, groups, len(model.class_names))
    return found


def base_scope_distances(
    vectors: NDArray[np.float32], model: files.TrainedModel, base: files.TrainedModel | None
) -> NDArray[np.float64] | float:
    """Compute how far each row's picture is from the nearest class mean of the base; NaN where that has none."""
    if base is None:
        return np.nan
    if base.class_means is None or base.description.embedded_by != model.description.embedded_by:
        log.info("evaluate: the base has no class means of these embeddings: its answers count as if all were in scope")
        return np.nan
    return distances(vectors, base.class_means)


def load_base() -> files.TrainedModel:
    """Load the base with the names that its classes have now."""
    base = files.load(Path(BASE_MODEL), BaseError)
    return replace(base, class_names=names_now(base.class_names, renamed_classes(IMAGES.read())))


def main() -> None:
    """Run the stage."""
    params = parameters.read(parameters.Evaluate)
    rows, index = in_order(SPLITS.read()), read_index()
    determinism.enable(seed=0)  # nothing is drawn at random, and nothing was calculated yet
    compilation.keep_compiled()
    with calculating_in(params.precision, "evaluate.precision"):
        model = files.load(Path(MODEL))
        base = load_base() if has_base() else None
    log.info("evaluate: %s", what_is_read(rows, model, base))

    vectors = read_vectors(rows["image_id"])
    rows["scope_distance"] = scope_distances(rows, vectors, model, known_together(IMAGES.read()))
    rows["base_scope_distance"] = base_scope_distances(vectors, model, base)
    del vectors

    rows["base_predicted"], rows["base_confidence"], rows["base_log_partition"] = None, np.nan, np.nan
    with whole(FOLDER) as folder, ShardReader(SHARDS, index) as reader:
        folder.mkdir()
        scores, embeddings, base_scores = (folder / Path(path).name for path in (SCORES, EMBEDDINGS, BASE_SCORES))
        answers = answer(model, reader, rows["image_id"], params.batch_size, [scores, embeddings])
        rows["predicted"], rows["confidence"], rows["log_partition"] = answers
        if base is None:
            np.save(base_scores, np.zeros((0, 0), np.float32))
        else:
            answers = answer(base, reader, rows["image_id"], params.batch_size, [base_scores])
            rows["base_predicted"], rows["base_confidence"], rows["base_log_partition"] = answers
        write_json(folder / Path(CLASSES).name, model.class_names)
        write_json(folder / Path(BASE_CLASSES).name, base.class_names if base else [])
        ROWS.write(rows, str(folder / Path(ROWS.path).name))
    log.info("evaluate: %s: %s in %s", FOLDER, counted(len(rows), "row"), counted(rows["split"].nunique(), "set"))


if __name__ == "__main__":
    run(main)
