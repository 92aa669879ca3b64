"""Scores and embeddings of many pictures, batch by batch."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.progress import progress
from stages.shards.batches import Pictures, batches, require
from stages.shards.tars import ShardReader

if TYPE_CHECKING:
    import keras

# How far a row of float32 probabilities may be from 1 by rounding alone, for tens of thousands of classes.
TOLERANCE = 1e-3
_LARGEST_FLOAT16 = float(np.finfo(np.float16).max)


def predict(
    model: "keras.Model", reader: ShardReader, image_ids: Sequence[str], batch_size: int
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Score pictures, all results in memory.

    Args:
        model: from `networks.build`.
        reader: holds the pictures, in the model's input size.
        image_ids: which pictures.
        batch_size: pictures at a time.

    Returns:
        Scores of shape (pictures, classes), float32, and embeddings of shape (pictures, features), float16, in the
        order of `image_ids`.

    Raises:
        InputError: a picture is in no shard or of another size, or a row of scores does not sum to 1.
    """
    num_features, num_classes = (model.output[name].shape[1] for name in ("embedding", "scores"))
    scores = np.empty((len(image_ids), num_classes), np.float32)
    embeddings = np.empty((len(image_ids), num_features), np.float16)
    for rows, batch_scores, batch_embeddings in predict_batches(model, reader, image_ids, batch_size):
        scores[rows], embeddings[rows] = batch_scores, batch_embeddings
    return scores, embeddings


def predict_batches(
    model: "keras.Model", reader: ShardReader, image_ids: Sequence[str], batch_size: int
) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float16]]]:
    """Score pictures batch by batch, while the next one is decoded; as `predict`.

    Yields:
        Which of `image_ids` these are, their scores and their embeddings.
    """
    pictures = Pictures(reader, model.input.shape[1])
    require(pictures, image_ids)
    starts = range(0, len(image_ids), batch_size)
    ahead = batches(pictures, image_ids, batch_size)
    for start, batch in progress(zip(starts, ahead, strict=True), total=len(starts), what="batches"):
        yield slice(start, start + len(batch)), *_scored(model, batch, batch_size)


def _scored(
    model: "keras.Model", pictures: NDArray[np.uint8], batch_size: int
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    # The last batch is filled up: one shape, so that the network is compiled once and sums in one order.
    filled = np.zeros((batch_size, *pictures.shape[1:]), np.uint8)
    filled[: len(pictures)] = pictures
    result = model.predict_on_batch(filled)
    scores = np.asarray(result["scores"], np.float32)[: len(pictures)]
    if not np.allclose(scores.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=TOLERANCE):
        raise InputError(
            f"the model {model.name} gives scores that do not sum to 1: its weights are not those of a trained model. "
            "Train it again: `dvc repro --force train`."
        )
    embeddings = np.clip(result["embedding"][: len(pictures)], -_LARGEST_FLOAT16, _LARGEST_FLOAT16)
    return scores, embeddings.astype(np.float16)
