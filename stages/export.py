"""Write the model as the SavedModel that TensorFlow Serving loads, with the files that say what it is.

Reads: data/model, params.yaml; data/scores/calibration.json, data/scores/gate.json, data/scores/metrics.json and the
    reports data/scores/against_base.csv, data/scores/benchmarks.csv, data/scores/confused_pairs.csv,
    data/scores/figures.csv, data/scores/per_class.csv, data/scores/threshold_report.csv
Writes: data/export/NNN/NNN/ (the SavedModel; NNN is export.version; in its assets.extra the requests that TensorFlow
    Serving warms up with), data/export/NNN/ (model.onnx: `pixels` to `scores`, for ONNX Runtime; release.json: version,
    threshold, temperature, norm_order and the weights' SHA-256; classes.json: the label map, model.json, history.csv:
    the training log, calibration.json, metrics.json, gate.json, the reports, params.yaml). Nothing of another version
    stays in data/export
Params: fingerprint, score, export; those of the other stages travel in the copy of params.yaml

The signature `serving_default` takes encoded pictures (`image_bytes`), `pixels` prepared ones. Both give one row
per picture: `classes` and `confidences` (the three best, best first, 0 to 100), `scores` (all, in the order of
classes.json; scaled as calibration.json says where it is applied, and the confidences with them),
`version` and `weights_sha256` (an answer over TensorFlow Serving's REST would not say whose it is).
"""

import hashlib
import logging
import shutil
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import tensorflow as tf
from tensorflow.core.protobuf import fingerprint_pb2

from runtime import parameters
from runtime.command import run
from runtime.errors import InputError
from runtime.outputs import whole, write_json
from runtime.wording import counted
from stages.metrics.scaling import TINY, UNSCALED, Scaling, applied_scaling
from stages.models import files
from stages.models.description import Description
from stages.models.files import TrainedModel
from stages.models.onnx_graph import to_onnx
from stages.served import warmup_requests
from stages.served.preparation import prepare_batch
from stages.tables.documents import read_calibration
from stages.tables.exported import EXPORT, ONNX, RELEASE
from stages.tables.model import CLASSES, DESCRIPTION, HISTORY
from stages.tables.model import FOLDER as MODEL
from stages.tables.scores import (
    AGAINST_BASE,
    BENCHMARKS,
    CALIBRATION,
    CONFUSED_PAIRS,
    FIGURES,
    GATE,
    METRICS,
    PER_CLASS,
    THRESHOLD_REPORT,
)

log = logging.getLogger(__name__)

NUM_BEST = 3
_OF_MODEL = (CLASSES, DESCRIPTION, HISTORY)
# Neither the points of plots, which nobody reads, nor the review table, which has the pictures' paths.
_OF_REPORTS = (AGAINST_BASE, BENCHMARKS, CONFUSED_PAIRS, FIGURES, PER_CLASS, THRESHOLD_REPORT)
_OF_SCORES = (CALIBRATION, GATE, METRICS, *_OF_REPORTS)


class ServedModel(tf.Module):  # type: ignore[misc]
    """A trained model with what is computed before it and after it when it is served.

    Args:
        trained: the model.
        version: under which it is served.
        max_pixels: a picture with more is refused before it is decoded.
        scaling: of the scores.
    """

    def __init__(self, trained: TrainedModel, version: int, max_pixels: int, scaling: Scaling) -> None:
        super().__init__(name="served_model")
        # The numbers only: were the Keras model an attribute, its layers would be saved along with them.
        self.weights = [weight.value for weight in trained.network.weights]
        self.size, class_names = trained.description.size, tf.constant(trained.class_names)
        size, digest = self.size, trained.description.weights_sha256

        def scores(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"scores": scaled(trained.network(tf.cast(pixels, tf.float32), training=False)["scores"], scaling)}

        def pixels(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            return answers(scores(pixels)["scores"], class_names, version, digest)

        def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            return pixels(prepare_batch(image_bytes, size, max_pixels))

        encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
        prepared = tf.TensorSpec((None, size, size, 3), tf.uint8, name="pixels")
        self.image_bytes = tf.function(image_bytes, input_signature=[encoded], autograph=False)
        self.pixels = tf.function(pixels, input_signature=[prepared], autograph=False)
        self.onnx = partial(to_onnx, scores, [prepared])


def answers(scores: tf.Tensor, class_names: tf.Tensor, version: int, weights_sha256: str) -> dict[str, tf.Tensor]:
    """Give what an application is answered.

    Args:
        scores: of shape (pictures, classes), float32.
        class_names: in the order of the scores.
        version: of the model.
        weights_sha256: of the model.

    Returns:
        Tensors by name, each with one row per picture; the names are in this module's docstring.
    """
    best = tf.math.top_k(scores, min(NUM_BEST, len(class_names)))
    rows = tf.shape(scores)[:1]
    return {
        "classes": tf.gather(class_names, best.indices),
        "confidences": best.values * 100,
        "scores": scores,
        "version": tf.fill(rows, tf.constant(version, tf.int64)),
        "weights_sha256": tf.fill(rows, weights_sha256),
    }


def scaled(scores: tf.Tensor, scaling: Scaling) -> tf.Tensor:
    """Give scores other confidences, as `stages.metrics.scaling.scale` does.

    Args:
        scores: of shape (pictures, classes), float32.
        scaling: UNSCALED leaves every bit as it is.
    """
    if scaling == UNSCALED:
        return scores
    logits = tf.math.log(tf.maximum(scores, TINY))
    if scaling.norm_order is not None:
        logits -= tf.reduce_mean(logits, axis=1, keepdims=True)
        logits /= tf.maximum(tf.norm(logits, scaling.norm_order, axis=1, keepdims=True), TINY)
    return tf.nn.softmax(logits / scaling.temperature)


def save(served: ServedModel, folder: Path) -> None:
    """Write the SavedModel, the same bytes for the same model.

    Args:
        served: the model.
        folder: to write; does not exist.
    """
    tf.saved_model.save(served, folder, {"serving_default": served.image_bytes, "pixels": served.pixels})
    fingerprint = folder / "fingerprint.pb"
    content = fingerprint_pb2.FingerprintDef.FromString(fingerprint.read_bytes())
    content.uuid = ""
    # TensorFlow draws an identity for every writing; ours follows from what was written.
    digest = hashlib.sha256(content.SerializeToString(deterministic=True)).digest()
    content.uuid = str(uuid.UUID(bytes=digest[:16], version=5))
    fingerprint.write_bytes(content.SerializeToString(deterministic=True))


def companions(model: Path) -> list[Path]:
    """List the files that travel with the SavedModel.

    Args:
        model: folder of the model.

    Returns:
        Their paths; no two have one name.

    Raises:
        InputError: a file is absent.
    """
    paths = [model / name for name in _OF_MODEL] + [Path(name) for name in _OF_SCORES]
    for path in paths:
        if not path.is_file():
            stage = "train" if path.parent == model else "score"
            raise InputError(f"{path} is not there, and would be exported: `dvc repro {stage}` writes it.")
    return [*paths, Path(parameters.PATH)]


def describe(description: Description, version: int, threshold: float, scaling: Scaling) -> dict[str, object]:
    """Say what an application must know of a release in addition to the label map; see `RELEASE`.

    Args:
        description: of the model.
        version: 1 to 999.
        threshold: confidence from which a user is shown an answer, 0 to 100.
        scaling: of the served scores.
    """
    digest = description.weights_sha256
    return {"version": version, "threshold": threshold, **scaling._asdict(), "weights_sha256": digest}


def write_release(served: ServedModel, description: Mapping[str, object], copied: Sequence[Path], folder: Path) -> Path:
    """Write everything of one version.

    Args:
        served: the model.
        description: from `describe`.
        copied: files to copy next to the SavedModel.
        folder: of the exports; is made.

    Returns:
        The version's folder.
    """
    name = f"{description['version']:03d}"
    release = folder / name
    release.mkdir(parents=True)
    save(served, release / name)
    (release / ONNX).write_bytes(served.onnx())
    warmup_requests.write(release / name, served.size)
    write_json(release / RELEASE, description)
    for path in copied:
        shutil.copyfile(path, release / path.name)
    return release


def main() -> None:
    """Run the stage."""
    max_pixels, version = parameters.read(parameters.Fingerprint).max_pixels, parameters.read(parameters.Export).version
    threshold = parameters.read(parameters.Score).threshold
    copied = companions(Path(MODEL))
    scaling = applied_scaling(read_calibration(CALIBRATION, "`dvc repro --force score` writes it."))
    trained = files.load(Path(MODEL))

    classes = counted(len(trained.class_names), "class", "classes")
    log.info("export: %s of %s, temperature %.3g", trained.description.network, classes, scaling.temperature)

    served = ServedModel(trained, version, max_pixels, scaling)
    description = describe(trained.description, version, threshold, scaling)

    with whole(EXPORT) as folder:
        release = write_release(served, description, copied, folder)
        num_bytes = sum(path.stat().st_size for path in release.rglob("*") if path.is_file())
    where = f"{EXPORT}/{version:03d}"
    log.info("export: %s: %.1f MB, with %d files next to the SavedModel", where, num_bytes / 1e6, len(copied) + 1)


if __name__ == "__main__":
    run(main)
