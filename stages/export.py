"""Write the model as the SavedModel that TensorFlow Serving loads, with the files that say what it is.

Reads: data/model, data/pretrained, params.yaml; data/scores/calibration.json, data/scores/gate.json,
    data/scores/metrics.json and the reports data/scores/against_base.csv, data/scores/benchmarks.csv,
    data/scores/confused_pairs.csv, data/scores/figures.csv, data/scores/per_class.csv, data/scores/threshold_report.csv
Writes: data/export/NNN/NNN/ (the SavedModel; NNN is export.version; in its assets.extra the requests that TensorFlow
    Serving warms up with), data/export/NNN/ (model.onnx: `pixels` to `scores`, `in_scope` and `scope_distance`, for
    ONNX Runtime; release.json: version, threshold, temperature, norm_order, scope_limit and the weights' SHA-256;
    classes.json: the label map, model.json, history.csv: the training log, calibration.json, metrics.json, gate.json,
    the reports, params.yaml). Nothing of another version stays in data/export
Params: fingerprint, pretrained, score, export; those of the other stages travel in the copy of params.yaml

The signature `serving_default` takes encoded pictures (`image_bytes`), `pixels` prepared ones. Both give one row
per picture: `classes` and `confidences` (the three best, best first, 0 to 100), `scores` (all, in the order of
classes.json; scaled as calibration.json says where it is applied, and the confidences with them), `in_scope` (false:
the picture is too far from every class to be answered) and, where there is a limit, `scope_distance` (the frozen
network is in the graph then), `version` and `weights_sha256` (an answer over TensorFlow Serving's REST would not say
whose it is).
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
from stages.served.scope import Scope, answers_of_scope, frozen_network
from stages.tables.documents import read_calibration
from stages.tables.exported import EXPORT, ONNX, RELEASE
from stages.tables.model import CLASSES, DESCRIPTION, HISTORY
from stages.tables.model import FOLDER as MODEL
from stages.tables.pretrained import read_published
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
        scope: what says which pictures are in scope; None for no limit.
    """

    def __init__(
        self, trained: TrainedModel, version: int, max_pixels: int, scaling: Scaling, scope: Scope | None = None
    ) -> None:
        super().__init__(name="served_model")
        # The numbers only: were the Keras model an attribute, its layers would be saved along with them.
        networks = [trained.network, *([scope.body] if scope else [])]
        self.weights = [weight.value for network in networks for weight in network.weights]
        self.size, class_names = trained.description.size, tf.constant(trained.class_names)
        size, digest = self.size, trained.description.weights_sha256

        def computed(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            scores = trained.network(tf.cast(pixels, tf.float32), training=False)["scores"]
            return {"scores": scaled(scores, scaling), **answers_of_scope(pixels, scope)}

        def pixels(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            found = computed(pixels)
            return {**found, **answers(found["scores"], class_names, version, digest)}

        def image_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
            return pixels(prepare_batch(image_bytes, size, max_pixels))

        encoded = tf.TensorSpec((None,), tf.string, name="image_bytes")
        prepared = tf.TensorSpec((None, size, size, 3), tf.uint8, name="pixels")
        self.image_bytes = tf.function(image_bytes, input_signature=[encoded], autograph=False)
        self.pixels = tf.function(pixels, input_signature=[prepared], autograph=False)
        self.onnx = partial(to_onnx, computed, [prepared])


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


def describe(
    description: Description, version: int, threshold: float, scaling: Scaling, scope_limit: float | None
) -> dict[str, object]:
    """Say what an application must know of a release in addition to the label map; see `RELEASE`.

    Args:
        description: of the model.
        version: 1 to 999.
        threshold: confidence from which a user is shown an answer, 0 to 100.
        scaling: of the served scores.
        scope_limit: distance up to which a picture is in scope; None for no limit.
    """
    how = {"threshold": threshold, **scaling._asdict(), "scope_limit": scope_limit}
    return {"version": version, **how, "weights_sha256": description.weights_sha256}


def load_scope(trained: TrainedModel, limit: float | None) -> Scope | None:
    """Load what says which pictures are in scope.

    Args:
        trained: the model, with its class means.
        limit: the distance up to which a picture is in scope; None for no limit.

    Raises:
        InputError: the model has no means of the embeddings by the frozen network that is here.
    """
    if limit is None:
        return None
    published = read_published(parameters.read(parameters.Pretrained).network)
    if trained.class_means is None or trained.description.embedded_by != published.graph_sha256:
        raise InputError(
            f"{MODEL} has no class means of the embeddings by {published.network} as data/pretrained has it. "
            "`dvc repro train` writes them."
        )
    return Scope(frozen_network(published), trained.class_means, limit)


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
    calibration = read_calibration(CALIBRATION, "`dvc repro --force score` writes it.")
    scaling, limit = applied_scaling(calibration), calibration["scope_limit"]
    trained = files.load(Path(MODEL))
    scope = load_scope(trained, limit)

    classes = counted(len(trained.class_names), "class", "classes")
    log.info("export: %s of %s, temperature %.3g", trained.description.network, classes, scaling.temperature)

    served = ServedModel(trained, version, max_pixels, scaling, scope)
    description = describe(trained.description, version, threshold, scaling, limit)

    with whole(EXPORT) as folder:
        release = write_release(served, description, copied, folder)
        num_bytes = sum(path.stat().st_size for path in release.rglob("*") if path.is_file())
    where = f"{EXPORT}/{version:03d}"
    log.info("export: %s: %.1f MB, with %d files next to the SavedModel", where, num_bytes / 1e6, len(copied) + 1)


if __name__ == "__main__":
    run(main)
