"""Score every picture of every set with the new model and, when there is one, with the base.

Reads: data/model/, data/base/ (model), data/shards/, data/splits.parquet
Writes: data/predictions/ (rows.parquet: image_id, split, truth, predicted, confidence, base_predicted,
    base_confidence; scores.npy, embeddings.npy, classes.json, base_scores.npy, base_classes.json)
Params: evaluate
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import BaseError
from runtime.outputs import whole, write_json
from stages.models import files
from stages.models.base import BASE_MODEL, has_base
from stages.models.predict import predict_batches
from stages.shards.tars import ShardReader
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, EMBEDDINGS, FOLDER, ROWS, SCORES
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.shards import INDEX
from stages.tables.splits import SPLITS

if TYPE_CHECKING:
    import keras

log = logging.getLogger(__name__)

Matrix = NDArray[Any]
Batch = tuple[slice, NDArray[np.float32], NDArray[np.float16]]


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
    """Open the matrices that a network's answers are written to, on disk and not in memory.

    Args:
        network: from `networks.build`.
        num_rows: of each matrix.
        scores: where its scores belong, float32.
        embeddings: where its embeddings belong, float16; None where nobody asks for them.
    """
    num_features, num_classes = (network.output[name].shape[1] for name in ("embedding", "scores"))
    matrices: list[Matrix] = [open_memmap(scores, "w+", np.float32, (num_rows, num_classes))]
    if embeddings is not None:
        matrices.append(open_memmap(embeddings, "w+", np.float16, (num_rows, num_features)))
    return matrices


def fill(codes: NDArray[np.intp], batches: Iterator[Batch], matrices: Sequence[Matrix]) -> Matrix:
    """Write what is reckoned once a picture to every row of that picture.

    Args:
        codes: shape (rows,): which of the pictures each row shows.
        batches: a slice of the pictures, then scores and embeddings of these.
        matrices: as many of the two as are wanted, shape (rows, columns); written to.

    Returns:
        The first of the matrices.
    """
    rows = np.argsort(codes, kind="stable")
    for pictures, scores, embeddings in batches:
        first, last = np.searchsorted(codes[rows], [pictures.start, pictures.stop])
        here = rows[first:last]
        for matrix, values in zip(matrices, (scores, embeddings), strict=False):
            matrix[here] = np.asarray(values)[codes[here] - pictures.start]
    return matrices[0]


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


def main() -> None:
    """Run the stage."""
    batch_size = parameters.read(parameters.Evaluate).batch_size
    rows, index = in_order(SPLITS.read()), INDEX.read()
    model = files.load(Path(MODEL))
    base_model = files.load(Path(BASE_MODEL), BaseError) if has_base() else None

    codes, uniques = pd.factorize(rows["image_id"])
    image_ids = [str(image_id) for image_id in uniques]
    with whole(FOLDER) as partial, ShardReader(SHARDS, index) as reader:
        partial.mkdir()
        scores, embeddings, base_scores = (partial / Path(path).name for path in (SCORES, EMBEDDINGS, BASE_SCORES))
        batches = predict_batches(model.network, reader, image_ids, batch_size)
        answers = fill(codes, batches, outputs(model.network, len(rows), scores, embeddings))
        rows["predicted"], rows["confidence"] = best(answers, model.class_names)
        rows["base_predicted"], rows["base_confidence"] = None, np.nan
        if base_model is None:
            np.save(base_scores, np.zeros((0, 0), np.float32))
        else:
            batches = predict_batches(base_model.network, reader, image_ids, batch_size)
            answers = fill(codes, batches, outputs(base_model.network, len(rows), base_scores))
            rows["base_predicted"], rows["base_confidence"] = best(answers, base_model.class_names)
        write_json(partial / Path(CLASSES).name, model.class_names)
        write_json(partial / Path(BASE_CLASSES).name, base_model.class_names if base_model else [])
        ROWS.write(rows, str(partial / Path(ROWS.path).name))
    log.info(
        "%s: %d rows, %d pictures, %s", FOLDER, len(rows), len(image_ids), "with base" if base_model else "no base"
    )


if __name__ == "__main__":
    run(main)
