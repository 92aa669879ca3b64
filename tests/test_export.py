import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from conftest import ROOT
from pictures import draw
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2
from worlds import describe_network

from runtime import parameters
from runtime.errors import InputError
from stages import export, pretrained
from stages.embeddings import graph
from stages.embeddings.class_means import distances
from stages.embeddings.vectors import units
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.metrics.scaling import UNSCALED, Scaling, applied_scaling, scale
from stages.models import files, networks
from stages.models.description import read_description
from stages.served import preparation, warmup_requests
from stages.served.scope import Scope, answers_of_scope, scaled_to
from stages.tables.exported import EXPORT, ONNX, RELEASE
from stages.tables.model import CLASS_MEANS, DESCRIPTION
from stages.tables.model import FOLDER as MODEL
from stages.tables.pretrained import FOLDER as PRETRAINED
from stages.tables.pretrained import paths, read_published
from stages.tables.scores import FOLDER as SCORES

pytestmark = pytest.mark.slow

SIZE = 32
CLASS_NAMES = ["Schwarzer Tee", "café", "mug", "plate"]
REPORTS = (
    "against_base.csv",
    "benchmarks.csv",
    "confused_pairs.csv",
    "figures.csv",
    "per_class.csv",
    "threshold_report.csv",
)
# Softmax scores by the same numbers and another graph; and by pictures that differ by up to two levels of 255.
SAME_PIXELS, SAME_PICTURES = 1e-5, 5e-3
# Distances, by embeddings that were kept in half precision, and of pictures as above.
SAME_PLACE = 1e-2
LIMIT = 0.1
NETWORK = "efficientnet_lite0"


def write_model(root, class_names=CLASS_NAMES, class_means=None):
    folder = root / MODEL
    folder.mkdir(parents=True)
    network = networks.build("small", SIZE, len(class_names))
    files.save(folder, network, class_names, {name: [name] for name in class_names}, (), class_means)
    (folder / "history.csv").write_text("epoch,loss\n1,0.5\n")
    return network


def write_scores(root, **calibration):
    folder = root / SCORES
    folder.mkdir(parents=True)
    for name in ("gate.json", "metrics.json"):
        (folder / name).write_text("{}\n")
    (folder / "calibration.json").write_text(json.dumps({"temperature": 1.5, "applied": False, **calibration}))
    for name in (*REPORTS, "plot_threshold.csv"):
        (folder / name).write_text(f"{name}\n")


def start_export(root, hash_seed):
    """The stage as DVC runs it: in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(hash_seed)}
    return subprocess.Popen([sys.executable, "-m", "stages.export"], cwd=root, env=environment)


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def write_scope(root):
    """The frozen network with its published weights; a class mean for each of four pictures, and a limit."""
    with contextlib.chdir(root):
        pretrained.main()
        published = read_published(NETWORK)
    means = vectors(root, [prepared(encoded(seed)) for seed in range(4)])
    return files.ClassMeans(means, published.graph_sha256)


def vectors(root, pictures):
    """What `embed` sees in prepared pictures, as `evaluate` reads it."""
    graph_path = paths(NETWORK, root / PRETRAINED).graph
    digest = hashlib.sha256(graph_path.read_bytes()).hexdigest()
    return units(np.stack([graph.embed(pixels, graph_path, digest) for pixels in pictures]))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A network, the root in which it was exported, and another root in which it was exported too."""
    first, second = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("elsewhere") / "deeper"
    shutil.copy(ROOT / "params.yaml", first)
    network = write_model(first, class_means=write_scope(first))
    write_scores(first, scope_limit=LIMIT)
    shutil.copytree(first, second)
    (first / EXPORT / "000/000").mkdir(parents=True)  # of an earlier version
    for process in [start_export(first, 1), start_export(second, 2)]:
        assert process.wait() == 0
    return network, first, second


@pytest.fixture(scope="module")
def served(exported):
    return tf.saved_model.load(exported[1] / EXPORT / "001/001")


def encoded(seed, kind="PNG", size=(61, 40)):
    buffer = BytesIO()
    draw(seed, size).save(buffer, kind)
    return buffer.getvalue()


def prepared(data):
    return letterbox(decode(data, 100_000).image, SIZE)


def test_two_processes_write_the_same_bytes(exported):
    _, first, second = exported
    assert files_of(first / EXPORT) == files_of(second / EXPORT)


def test_the_release_holds_the_model_and_what_tells_what_it_is_and_no_other_version(exported):
    _, root, _ = exported
    folder = root / EXPORT
    companions = {"classes.json", "model.json", "history.csv", "gate.json", "metrics.json", *REPORTS, "params.yaml"}
    companions |= {"calibration.json", "release.json", ONNX}
    assert [path.name for path in folder.iterdir()] == ["001"]
    assert {path.name for path in (folder / "001").iterdir()} == {"001", *companions}
    sources = {**files_of(root / MODEL), **files_of(root / SCORES), **files_of(ROOT / "params.yaml")}
    for name in companions - {"params.yaml", "release.json", ONNX}:
        assert (folder / "001" / name).read_bytes() == sources[name]
    assert (folder / "001/params.yaml").read_bytes() == (ROOT / "params.yaml").read_bytes()


def test_version_threshold_temperature_and_checksum_travel_with_the_model(exported, monkeypatch):
    _, root, _ = exported
    monkeypatch.chdir(root)
    release = json.loads((root / EXPORT / "001" / RELEASE).read_text())
    assert release == {
        "version": 1,
        "threshold": parameters.read(parameters.Score).threshold,
        "temperature": 1.0,
        "norm_order": None,
        "scope_limit": LIMIT,
        "weights_sha256": read_description(root / MODEL).weights_sha256,
    }


def test_the_requests_to_warm_up_with_are_messages_of_tensorflow_serving_that_both_signatures_answer(exported, served):
    path = exported[1] / EXPORT / "001/001" / warmup_requests.PATH
    records = [record.numpy() for record in tf.data.TFRecordDataset([str(path)])]
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [request.model_spec.signature_name for request in requests] == ["serving_default"] * 2 + ["pixels"]
    rows = [0, 0, 0]
    for number, request in enumerate(requests):
        inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        answer = served.signatures[request.model_spec.signature_name](**{k: tf.constant(v) for k, v in inputs.items()})
        rows[number] = len(answer["scores"])
    assert rows == [1, len(preparation.FORMATS), 1]


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 300_000])
def test_a_request_of_any_length_is_encoded_as_protobuf_does(length):
    value = tf.constant([b"x" * length])
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "a"
    log.predict_log.request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(value))
    assert warmup_requests.prediction_log("a", "image_bytes", value) == log.SerializeToString(deterministic=True)


def test_the_saved_model_holds_the_network_s_numbers_and_nothing_of_keras(exported, served):
    network, root, _ = exported
    saved = root / EXPORT / "001/001"
    assert not (saved / "keras_metadata.pb").exists()
    names = [name for name, _ in tf.train.list_variables(str(saved / "variables/variables"))]
    assert sum(name.startswith("weights/") for name in names) == len(served.weights)
    frozen = networks.build(NETWORK, 224, 1).get_layer("body")
    assert len(served.weights) == len(network.weights) + len(frozen.weights)
    assert not any("optimizer" in name or "layer" in name for name in names)


def test_prepared_pictures_are_answered_as_the_keras_model_answers(exported, served):
    network, _, _ = exported
    pixels = np.stack([prepared(encoded(seed)) for seed in range(5)])
    answer = served.signatures["pixels"](pixels=tf.constant(pixels))
    expected = network.predict_on_batch(pixels)["scores"]
    np.testing.assert_allclose(answer["scores"], expected, rtol=0, atol=SAME_PIXELS)


def test_the_onnx_model_answers_as_the_saved_model_does_to_prepared_pictures(exported, served):
    _, root, _ = exported
    pixels = np.stack([prepared(encoded(seed)) for seed in range(5)])
    session = onnxruntime.InferenceSession(root / EXPORT / "001" / ONNX)
    expected = served.signatures["pixels"](pixels=tf.constant(pixels))["scores"]
    np.testing.assert_allclose(session.run(["scores"], {"pixels": pixels})[0], expected, rtol=0, atol=SAME_PIXELS)
    assert [opset.version for opset in onnx.load(root / EXPORT / "001" / ONNX).opset_import if not opset.domain] == [18]


def test_encoded_pictures_are_answered_as_the_keras_model_answers(exported, served):
    network, _, _ = exported
    pictures = [encoded(seed, kind) for seed, kind in enumerate(["PNG", "JPEG", "WEBP", "GIF", "BMP"])]
    answer = served.signatures["serving_default"](image_bytes=tf.constant(pictures))
    expected = network.predict_on_batch(np.stack([prepared(picture) for picture in pictures]))["scores"]
    np.testing.assert_allclose(answer["scores"], expected, rtol=0, atol=SAME_PICTURES)


def test_a_picture_is_as_far_from_every_class_where_it_is_served_as_where_it_is_evaluated(exported, served):
    _, root, _ = exported
    kinds = ["PNG", "JPEG", "WEBP", "GIF", "BMP"]
    pictures = [encoded(seed, kind, (61, 40 + seed)) for seed, kind in enumerate(kinds * 2)]
    pixels = np.stack([prepared(picture) for picture in pictures])
    expected = distances(vectors(root, pixels), np.load(root / MODEL / CLASS_MEANS))
    assert 0 < (expected <= LIMIT).sum() < len(expected)
    by_onnx = onnxruntime.InferenceSession(root / EXPORT / "001" / ONNX)
    distance, is_in_scope = by_onnx.run(["scope_distance", "in_scope"], {"pixels": pixels})
    answers = {
        "onnx": {"scope_distance": distance, "in_scope": is_in_scope},
        "prepared": served.signatures["pixels"](pixels=tf.constant(pixels)),
        "files": served.signatures["serving_default"](image_bytes=tf.constant(pictures)),
    }
    for what, answer in answers.items():
        tolerance = SAME_PLACE if what == "files" else SAME_PLACE / 10
        np.testing.assert_allclose(answer["scope_distance"], expected, rtol=0, atol=tolerance, err_msg=what)
        assert (np.asarray(answer["in_scope"]) == (np.asarray(answer["scope_distance"]) <= LIMIT)).all()


def test_a_picture_as_far_as_the_limit_is_in_scope_where_it_is_served_too():
    pixels = np.random.default_rng(0).integers(0, 256, (64, 1, 1, 3), np.uint8)
    given = keras.Input((1, 1, 3))
    body = keras.Model(given, keras.layers.Flatten()(given))
    means = np.eye(3, dtype=np.float32)
    for each, distance in zip(pixels, distances(units(pixels.reshape(64, 3).astype(np.float32)), means), strict=True):
        answer = answers_of_scope(tf.constant(each[None]), Scope(body, means, distance))
        assert answer["in_scope"].numpy().tolist() == [True]
        assert answers_of_scope(tf.constant(each[None]), Scope(body, means, distance - 1e-6))["in_scope"].numpy() == [
            False
        ]


@pytest.mark.parametrize(("size", "side"), [(32, 32), (32, 224), (29, 48), (299, 224), (64, 33)])
def test_a_picture_is_scaled_in_the_graph_as_pillow_scales_it(size, side):
    pixels = np.stack([np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8) for seed in range(2)])
    scaled = np.asarray(scaled_to(tf.constant(pixels), side))
    expected = [np.asarray(Image.fromarray(each).resize((side, side), Image.Resampling.BICUBIC)) for each in pixels]
    difference = np.abs(scaled - np.stack(expected))
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


def test_without_a_limit_every_picture_is_in_scope_and_no_frozen_network_is_needed(tmp_path):
    write_model(tmp_path)
    trained = files.load(tmp_path / MODEL)
    assert export.load_scope(trained, None) is None
    served = export.ServedModel(trained, 1, 100_000, UNSCALED)
    pixels = np.zeros((3, SIZE, SIZE, 3), np.uint8)
    answer = served.pixels(tf.constant(pixels))
    assert answer["in_scope"].numpy().tolist() == [True] * 3 and "scope_distance" not in answer
    (by_onnx,) = onnxruntime.InferenceSession(served.onnx()).run(["in_scope"], {"pixels": pixels})
    assert by_onnx.tolist() == [True] * 3


def test_means_of_other_embeddings_and_weights_of_another_network_are_refused(exported, tmp_path, monkeypatch):
    _, root, _ = exported
    trained = files.load(root / MODEL)
    shutil.copytree(root / PRETRAINED, tmp_path / PRETRAINED)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    weights = paths(NETWORK).weights
    weights.write_bytes(b"other")
    with pytest.raises(InputError, match=r"weights.h5 has the SHA-256 .*dvc repro --force pretrained"):
        export.load_scope(trained, LIMIT)
    weights.unlink()
    with pytest.raises(InputError, match=r"weights.h5 is not there"):
        export.load_scope(trained, LIMIT)
    describe_network(NETWORK, "1" * 64)
    with pytest.raises(InputError, match=r"no class means of the embeddings by efficientnet_lite0 .*dvc repro train"):
        export.load_scope(trained, LIMIT)


def test_an_answer_names_the_three_best_classes_and_the_model_that_gave_it(exported, served):
    _, root, _ = exported
    answer = served.signatures["serving_default"](image_bytes=tf.constant([encoded(1), encoded(2, "JPEG")]))
    scores = answer["scores"].numpy()
    best = np.argsort(-scores, axis=1)[:, :3]
    assert [[name.decode() for name in row] for row in answer["classes"].numpy()] == np.take(CLASS_NAMES, best).tolist()
    np.testing.assert_allclose(answer["confidences"], 100 * np.take_along_axis(scores, best, axis=1), rtol=1e-6)
    digest = json.loads((root / MODEL / DESCRIPTION).read_text())["weights_sha256"]
    assert answer["version"].numpy().tolist() == [1, 1]
    assert answer["weights_sha256"].numpy().tolist() == [digest.encode()] * 2


def test_the_signatures_are_those_that_clients_rely_on(served):
    outputs = {"classes", "confidences", "scores", "in_scope", "scope_distance", "version", "weights_sha256"}
    assert set(served.signatures) == {"serving_default", "pixels"}
    for signature in served.signatures.values():
        assert set(signature.structured_outputs) == outputs
    encoded_input = served.signatures["serving_default"].structured_input_signature[1]["image_bytes"]
    assert (encoded_input.dtype, encoded_input.shape.as_list()) == (tf.string, [None])
    pixels_input = served.signatures["pixels"].structured_input_signature[1]["pixels"]
    assert (pixels_input.dtype, pixels_input.shape.as_list()) == (tf.uint8, [None, SIZE, SIZE, 3])


def test_bytes_that_are_no_picture_are_refused_in_words(served):
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a picture in one of the formats"):
        served.signatures["serving_default"](image_bytes=tf.constant([b"hello"]))


def test_a_model_of_two_classes_names_two(tmp_path):
    write_model(tmp_path, ["cup", "mug"])
    served = export.ServedModel(files.load(tmp_path / MODEL), 7, 100, UNSCALED)
    answer = served.pixels(tf.zeros((3, SIZE, SIZE, 3), tf.uint8))
    assert answer["classes"].shape == (3, 2)
    assert answer["version"].numpy().tolist() == [7] * 3


def test_a_picture_above_the_limit_of_the_parameters_is_refused(tmp_path):
    write_model(tmp_path)
    served = export.ServedModel(files.load(tmp_path / MODEL), 1, 2 * (61 * 40 - 1), UNSCALED)
    with pytest.raises(tf.errors.InvalidArgumentError, match="more than the 2439 pixels that are decoded of a PNG"):
        served.image_bytes(tf.constant([encoded(1)]))


@pytest.mark.parametrize("norm", [{}, {"norm_order": 3}])
def test_confidences_are_scaled_where_calibration_says_so_as_score_scales_them(tmp_path, norm):
    network = write_model(tmp_path)
    write_scores(tmp_path)
    calibration = tmp_path / "data/scores/calibration.json"
    assert applied_scaling(json.loads(calibration.read_text())) == UNSCALED
    calibration.write_text(json.dumps({"temperature": 0.5, "applied": True} | norm))
    scaling = applied_scaling(json.loads(calibration.read_text()))
    assert scaling == (0.5, norm.get("norm_order"))
    pixels = np.stack([prepared(encoded(seed)) for seed in range(5)])
    served = export.ServedModel(files.load(tmp_path / MODEL), 1, 100_000, scaling)
    answer = served.pixels(tf.constant(pixels))
    expected = scale(network.predict_on_batch(pixels)["scores"], scaling)
    np.testing.assert_allclose(answer["scores"], expected, rtol=0, atol=SAME_PIXELS)
    np.testing.assert_allclose(answer["confidences"][:, 0], 100 * expected.max(axis=1), rtol=0, atol=100 * SAME_PIXELS)
    by_onnx = onnxruntime.InferenceSession(served.onnx()).run(["scores"], {"pixels": pixels})[0]
    np.testing.assert_allclose(by_onnx, expected, rtol=0, atol=SAME_PIXELS)


def test_a_score_of_0_is_scaled_in_the_graph_as_score_scales_it():
    scores = np.array([[0.0, 1.0, 0.0], [1e-30, 0.3, 0.7]], dtype=np.float32)
    for scaling in (Scaling(0.4, None), Scaling(3.0, None), Scaling(0.05, 2), Scaling(0.2, 10)):
        np.testing.assert_allclose(export.scaled(scores, scaling), scale(scores, scaling), rtol=1e-4)
    assert export.scaled(scores, UNSCALED) is scores


@pytest.mark.parametrize(
    ("path", "stage"),
    [
        ("data/model/history.csv", "train"),
        ("data/model/classes.json", "train"),
        ("data/scores/gate.json", "score"),
        ("data/scores/per_class.csv", "score"),
    ],
)
def test_a_file_that_would_be_exported_and_is_absent_stops_the_stage(tmp_path, monkeypatch, path, stage):
    monkeypatch.chdir(tmp_path)
    for name in ("model.json", "classes.json", "history.csv"):
        (tmp_path / MODEL).mkdir(parents=True, exist_ok=True)
        (tmp_path / MODEL / name).touch()
    write_scores(tmp_path)
    Path(path).unlink()
    with pytest.raises(InputError, match=f"{path} is not there, and would be exported: `dvc repro {stage}`"):
        export.companions(Path(MODEL))
