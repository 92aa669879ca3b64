"""Max pooling as the maximum of slices."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from stages.models import files, inception_v4, networks
from stages.models.maximum import Maximum

pytestmark = pytest.mark.slow


def values_and_gradient(layer: keras.Layer, pictures: np.ndarray, training: bool) -> tuple[np.ndarray, np.ndarray]:
    given = tf.constant(pictures)
    with tf.GradientTape() as tape:
        tape.watch(given)
        values = layer(given, training=training) if isinstance(layer, Maximum) else layer(given)
        weighted = tf.reduce_sum(values * tf.constant(np.arange(values.shape.num_elements()), tf.float32, values.shape))
    return values.numpy(), tape.gradient(weighted, given).numpy()


@pytest.mark.parametrize("height", [3, 8, 9, 17])
@pytest.mark.parametrize("training", [True, False])
def test_values_and_gradients_are_those_of_max_pooling(height, training):
    pictures = np.random.default_rng(height).permutation(2 * height * 11 * 3).reshape(2, height, 11, 3)
    expected = values_and_gradient(keras.layers.MaxPooling2D(3, 2), pictures.astype(np.float32), training)
    got = values_and_gradient(Maximum(), pictures.astype(np.float32), training)
    for one, other in zip(got, expected, strict=True):
        assert np.array_equal(one, other)
    assert got[0].shape == Maximum().compute_output_shape(pictures.shape)


def test_a_model_of_before_goes_on_with_the_same_scores(monkeypatch, tmp_path):
    with monkeypatch.context() as before:
        before.setattr(inception_v4, "_maximum", lambda x: keras.layers.MaxPooling2D(3, 2)(x))
        old = networks.build("inception_v4", 75, 3)
    files.write_weights(old, tmp_path / "model.weights.h5")
    new = networks.build("inception_v4", 75, 3)
    assert files.fits(new, tmp_path / "model.weights.h5")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 75, 75, 3)).astype(np.float32)
    assert np.array_equal(old(pictures)["scores"], new(pictures)["scores"])
