"""Say how far pictures are from every class, by TensorFlow operations: the part of the exported model that sees scope.

It equals what `embed` and `evaluate` compute of prepared pictures; a test holds the two together.
"""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from runtime.digest import sha256_of_file
from runtime.errors import InputError
from stages.metrics.scaling import TINY
from stages.models import files, networks
from stages.tables.model import DISTANCE_DIGITS
from stages.tables.pretrained import Published, paths

_REMEDY = "`dvc repro --force pretrained` writes it again."


class Scope(NamedTuple):
    """What it takes to say whether a picture is in scope.

    Attributes:
        body: the frozen network: pictures of shape (n, side, side, 3), values 0 to 255, to embeddings.
        class_means: of shape (classes, features), float32, of length 1.
        limit: the distance up to which a picture is in scope.
    """

    body: keras.Model
    class_means: NDArray[np.float32]
    limit: float


def frozen_network(published: Published) -> keras.Model:
    """Rebuild the network that embeds, with its published weights.

    Raises:
        InputError: the weights are absent, or others.
    """
    weights = paths(published.network).weights
    if not weights.is_file() or (digest := sha256_of_file(weights)) != published.weights_sha256:
        found = f"has the SHA-256 {digest}, not {published.weights_sha256}" if weights.is_file() else "is not there"
        raise InputError(f"{weights} {found}. {_REMEDY}")
    body = networks.build(published.network, published.side, 1).get_layer("body")
    if not files.fits(body, Path(weights)):
        raise InputError(f"{weights} does not hold the weights of {published.network}. {_REMEDY}")
    return body


def answers_of_scope(pixels: tf.Tensor, scope: Scope | None) -> dict[str, tf.Tensor]:
    """Say which pictures are in scope.

    Args:
        pixels: of shape (pictures, size, size, 3), uint8, as shards have them.
        scope: None where there is no limit.

    Returns:
        `in_scope`, of shape (pictures,), bool; where there is a limit also `scope_distance`, float32: to the nearest
        class mean, 1 less the cosine.
    """
    if scope is None:
        return {"in_scope": tf.ones(tf.shape(pixels)[:1], tf.bool)}
    embeddings = scope.body(scaled_to(pixels, scope.body.input.shape[1]), training=False)
    lengths = tf.sqrt(tf.reduce_sum(embeddings * embeddings, axis=1))
    nearest = tf.reduce_max(tf.matmul(embeddings, scope.class_means.T), axis=1)
    distance = tf.round((1.0 - nearest / tf.maximum(lengths, TINY)) * 10**DISTANCE_DIGITS) / 10**DISTANCE_DIGITS
    return {"in_scope": distance <= scope.limit, "scope_distance": distance}


def scaled_to(pixels: tf.Tensor, side: int) -> tf.Tensor:
    """Scale square pictures as Pillow does with BICUBIC: first across, then down, rounded to 8 bits after each.

    Args:
        pixels: of shape (pictures, size, size, 3), uint8.
        side: to which they are scaled, in pixels.

    Returns:
        Of shape (pictures, side, side, 3), float32, whole numbers from 0 to 255.
    """
    size, pixels = pixels.shape[1], tf.cast(pixels, tf.float32)
    if size == side:
        return pixels
    # What Pillow makes of single lit pixels are its weights.
    lit = Image.fromarray(np.eye(size, dtype=np.float32))
    weights = tf.constant(np.asarray(lit.resize((side, size), Image.Resampling.BICUBIC)))
    across = _rounded(tf.matmul(tf.transpose(pixels, (0, 1, 3, 2)), weights))  # pictures, rows, colours, columns
    down = _rounded(tf.matmul(tf.transpose(across, (0, 3, 2, 1)), weights))  # pictures, columns, colours, rows
    return tf.transpose(down, (0, 3, 1, 2))


def _rounded(values: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(tf.floor(values + 0.5), 0.0, 255.0)
