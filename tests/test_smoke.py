"""The smoke test before a promotion: which pictures, what is a fault, and that a fresh process answers."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import repositories
import tensorflow as tf
from pictures import save
from repositories import commit, dvc, surroundings, write

from release import smoke
from release.smoke import choose, faults, require_answers, scope_faults
from runtime.errors import GateError, InputError
from stages.metrics.scaling import Scaling, scale
from stages.models.onnx_graph import to_onnx
from stages.tables.exported import ONNX
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.predictions import ROWS
from stages.tables.table import Table

pytestmark = pytest.mark.slow

CLASSES = ["café", "mug", "plate"]
DIGEST = 64 * "0"
SCORES = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], np.float32)
RELEASE = {"version": 7, "threshold": 95.0, "temperature": 1.0, "norm_order": None, "weights_sha256": DIGEST}
RELEASE |= {"scope_limit": 0.5}
DISTANCE = 0.25


def answer(softmax: np.ndarray, **changed: object) -> dict[str, object]:
    best = np.argsort(-softmax)
    classes, confidences = [CLASSES[column] for column in best], (100 * softmax[best]).tolist()
    given = {"classes": classes, "confidences": confidences, "scores": softmax.tolist()}
    return given | {"version": 7, "weights_sha256": DIGEST} | changed


def faults_of(*answers: dict[str, object], release: dict[str, object] = RELEASE) -> list[str]:
    return faults(answers, SCORES[: len(answers)], CLASSES, release, 1.0)


def test_what_answers_within_the_tolerance_has_no_fault() -> None:
    assert faults_of(*map(answer, SCORES)) == []
    assert faults_of(answer(SCORES[0] + [0.009, -0.009, 0])) == []


def test_a_confidence_beyond_the_tolerance_is_a_fault() -> None:
    (fault,) = faults_of(answer(SCORES[0] + [0.02, -0.02, 0]))
    assert "café at 72.00, for evaluate it was café at 70.00" in fault
    assert "by up to 2.00, 1 may be" in fault


def test_a_label_map_in_another_order_is_a_fault() -> None:
    (fault,) = faults_of(answer(SCORES[0], classes=["plate", "mug", "café"]))
    assert "picture 0 is plate at 70.00" in fault


def test_a_class_that_nobody_knows_is_a_fault() -> None:
    assert "picture 0 is cup" in faults_of(answer(SCORES[0], classes=["cup", "mug", "plate"]))[0]


@pytest.mark.parametrize(("key", "value"), [("version", 6), ("weights_sha256", 64 * "1")])
def test_an_answer_of_another_model_is_a_fault(key: str, value: object) -> None:
    assert (
        f"picture 0 is answered with {key} {value}, release.json says"
        in faults_of(answer(SCORES[0], **{key: value}))[0]
    )


def test_another_number_of_classes_is_a_fault() -> None:
    assert faults_of(answer(SCORES[0], scores=[0.5, 0.5])) == ["picture 0 has 2 scores, where evaluate had 3"]


def test_a_temperature_scales_what_is_expected() -> None:
    scaled = SCORES[0] ** 0.5 / (SCORES[0] ** 0.5).sum()
    assert faults_of(answer(scaled), release=RELEASE | {"temperature": 2.0}) == []
    assert faults_of(answer(SCORES[0]), release=RELEASE | {"temperature": 2.0}) != []
    normalised = RELEASE | {"temperature": 0.5, "norm_order": 2}
    (expected,) = scale(SCORES[:1], Scaling(0.5, 2))
    assert faults_of(answer(expected), release=normalised) == []
    assert faults_of(answer(SCORES[0]), release=normalised) != []


def test_every_benchmark_comes_before_the_held_out_pictures_and_none_has_more_than_its_turn() -> None:
    splits = ["train", "validation", "a", "a", "a", "b", "test", "test"]
    rows = pd.DataFrame({"image_id": list("01234567"), "split": splits})
    images = pd.DataFrame({"image_id": list("012345677"), "path": [f"{name}.png" for name in "012345678"]})
    fingerprints = pd.DataFrame({"path": images["path"], "format": "PNG"})
    assert choose(rows, images, fingerprints, 3)["row"].tolist() == [2, 5, 3]
    assert choose(rows, images, fingerprints, 10)["path"].tolist() == [f"{n}.png" for n in (2, 5, 3, 4, 6, 1, 7)]
    fingerprints.loc[2, "format"] = "TIFF"
    assert choose(rows, images, fingerprints, 2)["row"].tolist() == [3, 5]


@pytest.mark.parametrize(
    ("limit", "changed", "fault"),
    [
        (0.5, {"in_scope": True, "scope_distance": DISTANCE + 0.01}, False),
        (0.5, {"in_scope": True, "scope_distance": DISTANCE + 0.03}, True),
        (0.5, {"in_scope": False, "scope_distance": DISTANCE}, True),
        (0.2, {"in_scope": True, "scope_distance": DISTANCE}, True),
        (0.5, {"in_scope": True}, True),
        (None, {"in_scope": True}, False),
        (None, {}, False),
        (None, {"in_scope": False}, True),
    ],
)
def test_a_picture_elsewhere_than_evaluate_had_it_or_on_the_other_side_of_the_limit_is_a_fault(
    limit: float | None, changed: dict[str, object], fault: bool
) -> None:
    assert len(scope_faults([answer(SCORES[0], **changed)], [DISTANCE], limit)) == fault


class Constant(tf.Module):
    """Answers every picture with the same scores, as an export's signature does."""

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="image_bytes")], autograph=False)
    def image_bytes(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        is_tiff = tf.strings.substr(image_bytes, 0, 2) == b"II"
        known = tf.debugging.Assert(~tf.reduce_any(is_tiff), ["not a picture in one of the formats"])
        with tf.control_dependencies([known]):
            rows = tf.size(image_bytes)
        scores = tf.repeat(SCORES[:1], rows, 0)
        return {
            "classes": tf.repeat([CLASSES], rows, 0),
            "confidences": 100 * scores,
            "scores": scores,
            "in_scope": tf.fill([rows], True),
            "scope_distance": tf.fill([rows], DISTANCE),
            "version": tf.fill([rows], tf.constant(7, tf.int64)),
            "weights_sha256": tf.fill([rows], DIGEST),
        }


def onnx_of(scores: np.ndarray, distance: float = DISTANCE) -> bytes:
    """A model that answers every prepared picture with the same scores and distance."""
    pixels = tf.TensorSpec((None, 8, 8, 3), tf.uint8, name="pixels")

    def answered(pixels: tf.Tensor) -> dict[str, tf.Tensor]:
        looked_at = 0 * tf.reduce_sum(tf.cast(pixels, tf.float32), axis=(1, 2, 3))
        scope = {"in_scope": looked_at + distance <= RELEASE["scope_limit"], "scope_distance": looked_at + distance}
        return {"scores": looked_at[:, None] + scores[:1], **scope}

    return to_onnx(answered, [pixels])


def npy(values: np.ndarray) -> bytes:
    buffer = BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def with_header(text: bytes) -> bytes:
    return b"\x93NUMPY\1\0" + len(text).to_bytes(2, "little") + text


GOOD = npy(SCORES)
HOSTILE = {
    "no bytes": (b"", "is no .npy file of a matrix"),
    "a pickle": (b"\x80\x04" + bytes(99), "is no .npy file of a matrix"),
    "its beginning alone": (GOOD[:20], "is no .npy file of a matrix"),
    "a header that is no dictionary": (with_header(b"[1, 2]\n"), "is no .npy file of a matrix"),
    "brackets without end": (with_header(b"(" * 3000), "is no .npy file of a matrix"),
    "a header that names a function": (with_header(b"{'descr': open('x', 'w')}\n"), "is no .npy file of a matrix"),
    "by columns": (npy(np.asfortranarray(SCORES)), "is no .npy file of a matrix"),
    "objects": (npy(SCORES.astype(object)), r"it is \(2, 3\) of object"),
    "a class less": (npy(SCORES[:, :2]), r"should have 3 columns of float32 after .*; it is \(2, 2\) of float32"),
    "numbers of another type": (npy(SCORES.astype(np.float64)), r"it is \(2, 3\) of float64"),
    "one dimension": (npy(SCORES[0]), r"it is \(3,\) of float32"),
    "a row less": (GOOD[:-12], "has fewer rows than data/predictions/rows.parquet"),
    "a number less": (GOOD[:-4], "has fewer rows than data/predictions/rows.parquet"),
    "more rows in its header than in its bytes": (
        GOOD.replace(b"(2, 3)", b"(9, 3)"), "has fewer rows than data/predictions/rows.parquet"
    ),
}  # fmt: skip


class OneFile:
    """Stands for TrackedFiles: whatever is read of, it has these bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_parts(self, path: str, parts: Sequence[tuple[int, int]]) -> list[bytes]:
        return [self.content[offset : offset + size] for offset, size in parts]


@pytest.mark.parametrize("case", HOSTILE)
def test_a_matrix_of_scores_that_is_none_is_refused_in_one_message(case: str) -> None:
    content, match = HOSTILE[case]
    numbers = [5] if case.startswith("more rows") else [0, 1]
    with pytest.raises(InputError, match=rf"^data/predictions/scores\.npy (.* )?{match}.*evaluate` writes it again"):
        smoke._rows(OneFile(content), numbers, 3)


def test_rows_of_the_matrix_are_read_in_the_order_asked_for() -> None:
    assert smoke._rows(OneFile(GOOD), [1, 0, 1], 3).tolist() == SCORES[[1, 0, 1]].tolist()


@pytest.mark.filterwarnings("ignore:invalid value")
def test_scores_that_are_no_numbers_are_a_fault() -> None:
    scores = np.full_like(SCORES[:1], np.nan)
    assert len(faults([answer(SCORES[0])], scores, CLASSES, RELEASE, 1.0)) == 1


def write_table(table: Table, **columns: object) -> None:
    """Write a table of which these columns are known."""
    table.write(pd.DataFrame({name: columns.get(name) for name in table.schema.names}))


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository with an export, and what `evaluate` and `merge` would have said of two benchmark pictures."""
    folder = tmp_path_factory.mktemp("smoke") / "clone"
    folder.mkdir()
    with surroundings(folder):
        repositories.run("git", "init", "--quiet", "--initial-branch=main")
        write(".dvc/config", repositories.CONFIG)
        write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        for number in range(2):
            save(Path(f"data/benchmarks/difficult/mug/{number}.png"), number)
        save(Path("data/benchmarks/difficult/mug/2.tif"), 2)
        served = Constant()
        tf.saved_model.save(served, "data/export/007/007", {"serving_default": served.image_bytes})
        Path("data/export/007", ONNX).write_bytes(onnx_of(SCORES))
        write("data/export/007/release.json", json.dumps(RELEASE))
        write("data/export/007/classes.json", json.dumps(CLASSES))
        paths = [f"benchmarks/difficult/mug/{name}" for name in ("0.png", "1.png", "2.tif")]
        write_table(FINGERPRINTS, path=paths, format=["PNG", "WEBP", "TIFF"])
        write_table(IMAGES, path=paths, image_id=["a", "b", "d"])
        split = [*["difficult"] * 3, "train"]
        write_table(ROWS, image_id=["a", "b", "d", "c"], split=split, scope_distance=DISTANCE)
        write("data/predictions/classes.json", json.dumps(CLASSES))
        np.save("data/predictions/scores.npy", SCORES[[0, 0, 0, 1]])
        dvc("add", "data/benchmarks", "data/export", "data/predictions", *map(str, Path("data").glob("*.parquet")))
        commit("An export")
        yield folder


def test_an_export_that_answers_as_evaluate_did_is_accepted_from_the_cache_alone(clone: Path) -> None:
    for path in ("benchmarks", "export", "predictions"):
        shutil.rmtree(clone / "data" / path)
    require_answers("HEAD", 7)
    assert not list(clone.glob("*.partial"))


def test_a_picture_that_the_export_refuses_is_named_and_blocks_nothing(
    clone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require_answers("HEAD", 7)
    assert [record.getMessage() for record in caplog.records if record.name == "release.smoke"] == [
        "promote: the export refuses 1 picture of those tried:",
        "promote: data/benchmarks/difficult/mug/2.tif: not a picture in one of the formats",
    ]


def test_an_export_that_refuses_every_picture_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = pd.DataFrame({"row": [2], "path": ["benchmarks/difficult/mug/2.tif"]})
    monkeypatch.setattr(smoke, "choose", lambda *_: chosen)
    with pytest.raises(GateError, match=r"refuses every one of 1 picture tried(.|\n)*JPEG, PNG, GIF, BMP and WebP"):
        require_answers("HEAD", 7)


def test_pictures_of_every_format_may_be_tried_and_those_that_no_export_takes_come_last() -> None:
    rows = pd.DataFrame({"image_id": list("0123"), "split": "test"})
    images = pd.DataFrame({"image_id": list("0123"), "path": list("0123")})
    fingerprints = pd.DataFrame({"path": list("0123"), "format": ["TIFF", "WEBP", "MPO", None]})
    assert choose(rows, images, fingerprints, 10)["row"].tolist() == [1, 2, 0]


def test_an_onnx_model_that_answers_otherwise_or_not_at_all_is_refused(clone: Path) -> None:
    dvc("checkout", "--quiet", "--force")
    path = Path("data/export/007", ONNX)
    for other, match in (
        (onnx_of(SCORES[1:]), r"as evaluate did:\n- by model.onnx, picture 0 is plate at 80.00"),
        (
            onnx_of(SCORES, DISTANCE + 0.1),
            r"by model.onnx, picture 0 is .* of 0.3500, for evaluate it was 0.2500",
        ),
        (b"no protobuf", r"model.onnx does not answer: .*model.onnx is no model that ONNX Runtime can run"),
        (None, r"model.onnx does not answer: .*model.onnx is not there"),
        (onnx_of(SCORES), None),
    ):
        path.unlink(missing_ok=True)
        if other is not None:
            path.write_bytes(other)
        dvc("add", "data/export")
        commit("Another ONNX model")
        with pytest.raises(GateError, match=match) if match else nullcontext():
            require_answers("HEAD", 7)


def test_an_export_of_other_scores_is_refused(clone: Path) -> None:
    dvc("checkout", "--quiet")
    np.save("data/predictions/scores.npy", SCORES[[0, 1, 0, 0]])
    dvc("add", "data/predictions")
    commit("Other scores")
    match = r"as evaluate did:\n- picture 1 is café at 70.00, .* plate at 80.00.*\n- by model.onnx, picture 1 .*\n`dvc"
    with pytest.raises(GateError, match=match):
        require_answers("HEAD", 7)


def test_an_export_that_cannot_be_loaded_is_refused_in_its_own_words(clone: Path) -> None:
    dvc("checkout", "--quiet")
    saved = Path("data/export/007/007/saved_model.pb")
    saved.unlink()
    saved.write_bytes(b"no protobuf")
    dvc("add", "data/export")
    commit("A broken export")
    with pytest.raises(
        GateError, match=r"does not answer: a fresh process that loads it ends with\n(.|\n)*saved_model"
    ):
        require_answers("HEAD", 7)


def test_an_absent_export_is_refused(clone: Path) -> None:
    with pytest.raises(GateError, match=r"data/export/008 is not in dvc.lock: `make repro` writes it"):
        require_answers("HEAD", 8)
