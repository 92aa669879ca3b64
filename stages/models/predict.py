"""Scores and embeddings of many pictures, batch by batch, without waiting for one before the next is begun."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any

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
    """Score pictures batch by batch, while the next ones are decoded and copied to the device; as `predict`.

    Yields:
        Which of `image_ids` these are, their scores and their embeddings.
    """
    pictures = Pictures(reader, model.input.shape[1])
    require(pictures, image_ids)
    starts = range(0, len(image_ids), batch_size)
    ahead = batches(pictures, image_ids, batch_size)
    begin = _step(model)
    under_way = (
        (slice(start, start + len(batch)), begin(_filled(batch, batch_size)))
        for start, batch in progress(zip(starts, ahead, strict=True), total=len(starts), what="batches")
    )
    # What a batch gave is read when the next one has begun.
    for (rows, result), _ in pairwise(chain(under_way, [(slice(0), {})])):
        yield rows, *_read(model, result, rows.stop - rows.start)


def _filled(pictures: NDArray[np.uint8], batch_size: int) -> NDArray[np.uint8]:
    """Fill up the last batch: one shape, so that the network is compiled once and sums in one order."""
    filled = np.zeros((batch_size, *pictures.shape[1:]), np.uint8)
    filled[: len(pictures)] = pictures
    return filled


def _step(model: "keras.Model") -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    """Make what begins to score a batch; as Keras' `predict_on_batch`, but for that the result is not waited for."""
    import keras

    if keras.backend.backend() == "tensorflow":
        model.make_predict_function()
        return lambda pictures: model.predict_function([(pictures,)])
    if keras.backend.backend() == "jax":
        return _jax_step(model)
    return model.predict_on_batch  # type: ignore[no-any-return]


def _jax_step(model: "keras.Model") -> Callable[[NDArray[np.uint8]], Mapping[str, Any]]:
    import jax

    compiled = jax.jit(lambda state, pictures: model.predict_step(state, (pictures,))[0])
    groups = model.trainable_variables, model.non_trainable_variables

    def begin(pictures: NDArray[np.uint8]) -> Mapping[str, Any]:
        state = tuple([variable.value for variable in variables] for variables in groups)
        return compiled(state, jax.device_put(pictures))  # type: ignore[no-any-return]

    return begin


def _read(
    model: "keras.Model", result: Mapping[str, Any], num_pictures: int
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Wait for what a batch gave."""
    scores = np.asarray(result["scores"], np.float32)[:num_pictures]
    if not np.allclose(scores.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=TOLERANCE):
        raise InputError(
            f"the model {model.name} gives scores that do not sum to 1: its weights are not those of a trained model. "
            "Train it again: `dvc repro --force train`."
        )
    embeddings = np.asarray(result["embedding"]).astype(np.float32)[:num_pictures]
    return scores, np.clip(embeddings, -_LARGEST_FLOAT16, _LARGEST_FLOAT16).astype(np.float16)
