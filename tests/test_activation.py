"""Where a model saw a class: the activation from the exported graph is Grad-CAM of the network that was exported."""

import json
import shutil
from contextlib import suppress
from io import BytesIO

import keras
import numpy as np
import pytest
import tensorflow as tf
from exports import write_export
from pictures import draw, saved
from PIL import Image

from runtime.errors import InputError
from serving.activation import Activation, Task, explain
from stages.images.letterbox import letterbox
from stages.models import networks
from stages.models.onnx_graph import to_onnx
from stages.tables.exported import ONNX

pytestmark = pytest.mark.slow

CLASSES = ["a", "b", "c", "d"]
SIDE = 32


def exported(network, folder):
    """Write a network's graph as `export` does."""
    pixels = tf.TensorSpec((None, *network.input_shape[1:]), tf.uint8, name="pixels")

    def scores(pixels):
        return {"scores": network(tf.cast(pixels, tf.float32), training=False)["scores"]}

    folder.mkdir()
    (folder / ONNX).write_bytes(to_onnx(scores, [pixels]))
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    return folder


def grad_cam(network, pixels, class_number):
    """Grad-CAM by its definition: gradients of the logit, averaged over positions, weigh the features."""
    body, layer = network.get_layer("body"), network.get_layer("scores")
    to_features = keras.Model(body.input, body.layers[-1].input)
    with tf.GradientTape() as tape:
        features = to_features(tf.cast(pixels[None], tf.float32), training=False)
        tape.watch(features)
        logits = tf.reduce_mean(features, (1, 2)) @ layer.kernel + layer.bias
        logit = logits[0, class_number]
    weights = tf.reduce_mean(tape.gradient(logit, features), (1, 2))
    cam = np.maximum(np.asarray(features[0]) @ np.asarray(weights[0]), 0)
    return cam / (cam.max() or 1)  # where nothing speaks for the class, nowhere


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(1)
    return networks.build("small", SIDE, len(CLASSES))


def test_it_is_grad_cam_of_a_network_for_photographs_too(tmp_path):
    keras.utils.set_random_seed(1)
    photographs = networks.build("efficientnet_lite0", 96, len(CLASSES))
    activation = Activation(exported(photographs, tmp_path / "007"))
    pixels = letterbox(draw(1, (200, 140)), 96)
    expected = [grad_cam(photographs, pixels, number) for number in range(len(CLASSES))]
    for number, each in enumerate(expected):
        np.testing.assert_allclose(activation.of(pixels, number), each, atol=1e-5)
    assert expected[0].shape == (3, 3)
    assert max(np.ptp(each) for each in expected) > 0.01


def test_it_is_grad_cam_and_another_network_sees_elsewhere(network, tmp_path):
    activation = Activation(exported(network, tmp_path / "007"))
    pixels = letterbox(draw(1, (60, 40)), SIDE)
    seen = [activation.of(pixels, number) for number in range(len(CLASSES))]
    for number, spoken in enumerate(seen):
        np.testing.assert_allclose(spoken, grad_cam(network, pixels, number), atol=1e-5)
    keras.utils.set_random_seed(2)
    shuffled = keras.models.clone_model(network)
    shuffled.set_weights([np.random.default_rng(0).permutation(each.ravel()).reshape(each.shape)
                          for each in network.get_weights()])  # fmt: skip
    other = Activation(exported(shuffled, tmp_path / "008"))
    assert max(np.abs(other.of(pixels, number) - seen[number]).max() for number in range(len(CLASSES))) > 0.1


def test_it_is_drawn_over_the_upright_picture(network, tmp_path):
    folder = exported(network, tmp_path / "007")
    picture = saved(draw(1, (1200, 800)), "JPEG")
    with Image.open(BytesIO(explain(Task(folder, "b", picture)))) as drawn:
        assert (drawn.format, drawn.size) == ("PNG", (640, 427))
    with pytest.raises(InputError, match="classes.json does not name 'no class'"):
        explain(Task(folder, "no class", picture))


def test_a_damaged_graph_explains_or_is_refused_in_words(tmp_path):
    whole, rng = (write_export(tmp_path) / ONNX).read_bytes(), np.random.default_rng(0)
    picture, explained = saved(draw(1, (60, 40)), "PNG"), 0
    for number in range(150):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        damaged = tmp_path / f"{number}"
        shutil.copytree(tmp_path / "007", damaged)
        (damaged / ONNX).write_bytes(data)
        with suppress(InputError):
            explained += bool(explain(Task(damaged, "red", picture)))
    assert 0 < explained < 150


def test_a_network_that_ends_in_another_way_is_refused(tmp_path):
    export = write_export(tmp_path)
    Activation(export)  # its means of colours are such an end, too
    (export / "classes.json").write_text(json.dumps([*CLASSES, "e"]))
    with pytest.raises(InputError, match="no output layer of 5 classes"):
        Activation(export)
