"""An export answers without TensorFlow: by ONNX Runtime, and the pipeline's own preparation of pictures."""

import json
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from conftest import ROOT
from pictures import draw, save

from runtime.errors import InputError
from serving.onnx_model import OnnxModel
from serving.projection import project
from stages.images.errors import UnreadableError
from stages.images.letterbox import letterbox
from stages.models import networks
from stages.models.onnx_graph import to_onnx
from stages.tables.exported import ONNX, RELEASE

pytestmark = pytest.mark.slow

CLASSES = ["blue", "green", "red"]
# All that answering takes, and what these packages are made of.
PACKAGES = ("numpy", "numpy.libs", "PIL", "pillow.libs", "onnxruntime", "google", "flatbuffers", "packaging", "tqdm")
PACKAGES += ("pydantic", "pydantic_core", "annotated_types", "typing_extensions.py", "typing_inspection", "yaml")


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    """An export of a model that tells colours apart."""
    folder = tmp_path_factory.mktemp("export") / "007"
    folder.mkdir()

    def scores(pixels):
        means = tf.reduce_mean(tf.cast(pixels, tf.float32), axis=(1, 2))
        brightness = tf.reduce_mean(means, axis=1)
        scope = {"in_scope": brightness <= 100.0, "scope_distance": brightness}
        return {"scores": tf.nn.softmax(means[:, ::-1] / 50), **scope}

    folder.joinpath(ONNX).write_bytes(to_onnx(scores, [tf.TensorSpec((None, 16, 16, 3), tf.uint8, name="pixels")]))
    folder.joinpath(RELEASE).write_text(json.dumps({"version": 7, "weights_sha256": "0" * 64, "threshold": 95.0}))
    folder.joinpath("classes.json").write_text(json.dumps(CLASSES))
    return folder


def test_a_picture_is_answered_as_prepared_pictures_are(export, tmp_path):
    save(tmp_path / "a.png", 3)
    answer = OnnxModel(export, 10**6).answer((tmp_path / "a.png").read_bytes())
    means = letterbox(draw(3), 16).mean(axis=(0, 1))[::-1]
    expected = np.exp(means / 50) / np.exp(means / 50).sum()
    np.testing.assert_allclose(answer["scores"], expected, rtol=1e-4)
    assert answer["classes"] == [CLASSES[number] for number in np.argsort(-expected)]
    np.testing.assert_allclose(answer["confidences"], 100 * np.sort(expected)[::-1], rtol=1e-4)
    assert (answer["version"], answer["weights_sha256"]) == (7, "0" * 64)
    assert answer["scope_distance"] == pytest.approx(means.mean(), rel=1e-4)
    assert answer["in_scope"] is bool(means.mean() <= 100)


def test_an_embedding_is_that_of_evaluate_and_changes_nothing_else(tmp_path):
    keras.utils.set_random_seed(1)
    network = networks.build("small", 32, len(CLASSES))
    pixels = np.stack([letterbox(draw(number, (60, 40)), 32) for number in range(3)])
    spec = tf.TensorSpec((None, 32, 32, 3), tf.uint8, name="pixels")

    def scores(pixels):
        return {"scores": network(tf.cast(pixels, tf.float32), training=False)["scores"]}

    (tmp_path / ONNX).write_bytes(to_onnx(scores, [spec]))
    (tmp_path / RELEASE).write_text(json.dumps({"version": 7, "weights_sha256": "0" * 64}))
    (tmp_path / "classes.json").write_text(json.dumps(CLASSES))
    embedding, plain = OnnxModel(tmp_path, 1, embeds=True), OnnxModel(tmp_path, 1)
    answers = [embedding.answer_pixels(each) for each in pixels]
    evaluated = network.predict_on_batch(pixels)["embedding"].astype(np.float16)
    expected = project(evaluated)
    assert len(np.unique(expected)) > 30, "pictures differ"
    tolerance = 2e-3 * np.abs(expected).max()  # of float16, once on either side
    np.testing.assert_allclose([answer.pop("embedding") for answer in answers], expected, atol=tolerance)
    assert answers == [plain.answer_pixels(each) for each in pixels]


def test_where_the_output_layer_is_not_found_there_is_no_embedding(export, caplog):
    answer = OnnxModel(export, 10**6, embeds=True).answer_pixels(letterbox(draw(3), 16))
    assert "embedding" not in answer
    assert "answers have no embeddings (the graph has no output layer of 3 classes.)" in caplog.text
    assert answer == OnnxModel(export, 10**6).answer_pixels(letterbox(draw(3), 16))


def test_what_is_no_picture_is_refused_in_words_and_a_damaged_export_too(export, tmp_path):
    model = OnnxModel(export, 10**6)
    with pytest.raises(UnreadableError):
        model.answer(b"no picture")
    with pytest.raises(InputError, match="release.json is not there"):
        OnnxModel(tmp_path, 10**6)
    shutil.copytree(export, tmp_path / "007")
    (tmp_path / "007/classes.json").write_text(json.dumps(CLASSES[:2]))
    with pytest.raises(InputError, match=r"gives .*'scores': .*; expected scores of the 2 classes"):
        OnnxModel(tmp_path / "007", 10**6)


def test_pictures_are_answered_where_neither_tensorflow_nor_keras_is_installed(export, tmp_path):
    there, installed = tmp_path / "site-packages", Path(sysconfig.get_path("purelib"))
    there.mkdir()
    for name in PACKAGES:
        there.joinpath(name).symlink_to(installed / name)
    save(tmp_path / "a.png", 3)
    tmp_path.joinpath("b.txt").write_text("no picture")
    paths = [str(there), str(ROOT)]
    run = f"import sys; sys.path[:0] = {paths}; import runpy; runpy.run_module('serving.answer', run_name='__main__')"
    command = [sys.executable, "-S", "-I", "-c", run, export, tmp_path / "a.png", tmp_path / "b.txt"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, done.stdout.splitlines())
    assert first["classes"] == OnnxModel(export, 10**6).answer((tmp_path / "a.png").read_bytes())["classes"]
    assert "refused" in second
    absent = subprocess.run([*command[:4], run.replace("serving.answer", "tensorflow")], capture_output=True, text=True)
    assert "No module named tensorflow" in absent.stderr


def graph_of(*layers):
    """The answers of layers, and of their graph, for the same pictures."""
    network = keras.Sequential([keras.Input((4, 4, 6)), *layers])
    pixels = tf.TensorSpec((None, 4, 4, 6), tf.float32, name="pixels")
    graph = onnxruntime.InferenceSession(to_onnx(lambda pixels: {"out": network(pixels)}, [pixels]))
    pictures = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype(np.float32)
    return graph.run(None, {"pixels": pictures})[0], network(pictures)


@pytest.mark.parametrize(
    "layers",
    [
        (keras.layers.Normalization(mean=[1, 2, 3, 4, 5, 6], variance=[4] * 6),),
        (keras.layers.Conv2D(6, 3, groups=6), keras.layers.Activation("gelu")),
    ],
    ids=["numbers that EfficientNetV2 holds beside its weights", "grouped convolution and GELU of ConvNeXt"],
)
def test_a_graph_calculates_what_published_networks_are_made_of(layers):
    answered, expected = graph_of(*layers)
    np.testing.assert_allclose(answered, expected, rtol=1e-4, atol=1e-6)
