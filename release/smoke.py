"""Try an export before it is promoted: loaded in a fresh process, it must answer as `evaluate` did.

What is tried is what a commit names, not what stands in the workspace: the export, and ten pictures as files.
`evaluate` saw them prepared by the pipeline; the export prepares them in its graph. So this holds label map, weights,
version, temperature, the limit of what is in scope, and preparation together. A picture that the export refuses, as it
refuses a TIFF, blocks nothing: it is named, and others are tried.
Source: the component InfraValidator of TFX, which loads a model into its server and sends it examples.
"""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.errors import GateError, InputError
from runtime.json_files import read_json
from runtime.temporary import temporary_folder
from runtime.tracked_files import TrackedFiles
from runtime.wording import counted
from serving.onnx_model import OnnxModel
from stages.images.errors import UnreadableError
from stages.metrics.scaling import Scaling, scale
from stages.metrics.splits import EVALUATION_SPLITS
from stages.tables.exported import EXPORT, ONNX, RELEASE
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.matrix import read_header
from stages.tables.model import parse_label_map
from stages.tables.predictions import CLASSES, ROWS, SCORES

log = logging.getLogger(__name__)

NUM_PICTURES = 10
MAX_PIXELS = 2**31  # the pictures were read before, under the limit of then
# Points of confidence, 0 to 100, by which an answer may differ: `python -m bench.serving` measures by how much they do.
TOLERANCE = 1.0
SCOPE_TOLERANCE = 0.02  # likewise, of the distance to the nearest class mean, 0 to 2
# So many times other pictures are tried, as long as the export refuses all of them.
NUM_TRIES = 5
# The export takes none of these: they are tried last.
_REFUSED = ("TIFF", "AVIF")
_LONGEST_HEADER = 4096  # bytes of an .npy before its numbers; NumPy writes 128 for a matrix


class _Release(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    version: int
    weights_sha256: str
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    norm_order: Annotated[int, Field(ge=1, le=1000)] | None = None  # a release of before there was one has none
    scope_limit: Annotated[float, Field(ge=0, le=2)] | None = None  # likewise


_RELEASE = TypeAdapter(_Release)


def choose(rows: pd.DataFrame, images: pd.DataFrame, fingerprints: pd.DataFrame, number: int) -> pd.DataFrame:
    """Choose pictures, as many of each benchmark as possible; held-out ones where the benchmarks have too few.

    Args:
        rows: of `data/predictions/rows.parquet`: columns `image_id`, `split`.
        images: columns `image_id`, `path`.
        fingerprints: columns `path`, `format`.
        number: of pictures, at most.

    Returns:
        Columns `row` (number in `rows`) and `path`, relative to data/.
    """
    known = fingerprints.loc[fingerprints["format"].notna(), ["path", "format"]]
    files = images[["image_id", "path"]].merge(known, on="path").drop_duplicates("image_id")
    judging = rows.assign(row=np.arange(len(rows)))
    judging = judging[judging["split"] != "train"].merge(files, on="image_id").sort_values("row")
    judging = judging.assign(refused=judging["format"].isin(_REFUSED), last=judging["split"].isin(EVALUATION_SPLITS))
    judging = judging.assign(turn=judging.groupby(["refused", "split"]).cumcount())
    ordered = judging.sort_values(["refused", "last", "turn", "split"])
    return ordered[["row", "path"]].head(number).reset_index(drop=True)


def faults(
    answers: Sequence[Mapping[str, Any]],
    scores: NDArray[np.float32],
    class_names: Sequence[str],
    release: Mapping[str, Any],
    tolerance: float,
) -> list[str]:
    """Say where answers are not those that are expected.

    Args:
        answers: of the signature, one per picture.
        scores: of `evaluate`, of the same pictures, shape (pictures, classes).
        class_names: in the order of the scores.
        release: what release.json holds.
        tolerance: points of confidence by which a class's may differ.

    Returns:
        One sentence per fault; none where all is well.
    """
    problems = []
    served = scale(scores, Scaling(release["temperature"], release["norm_order"]))
    for number, (answer, expected) in enumerate(zip(answers, served, strict=True)):
        problems += [
            f"picture {number} is answered with {key} {answer[key]}, {RELEASE} says {release[key]}"
            for key in ("version", "weights_sha256")
            if answer[key] != release[key]
        ]
        if len(answer["scores"]) != len(expected):
            problems.append(f"picture {number} has {len(answer['scores'])} scores, where evaluate had {len(expected)}")
            continue
        problems += _differences(number, answer, expected, class_names, tolerance)
    return problems


def _differences(
    number: int,
    answer: Mapping[str, Any],
    expected: NDArray[np.float32],
    class_names: Sequence[str],
    tolerance: float,
) -> list[str]:
    difference = 100 * float(np.max(np.abs(np.asarray(answer["scores"]) - expected)))
    named = answer["classes"][0]
    own = 100 * float(expected[class_names.index(named)]) if named in class_names else float("nan")
    if difference <= tolerance and abs(own - answer["confidences"][0]) <= tolerance:
        return []
    best = int(np.argmax(expected))
    return [
        f"picture {number} is {named} at {answer['confidences'][0]:.2f}, for evaluate it was {class_names[best]} at "
        f"{100 * expected[best]:.2f}; a class's confidence differs by up to {difference:.2f}, {tolerance:g} may be"
    ]


def scope_faults(answers: Sequence[Mapping[str, Any]], distances: Sequence[float], limit: float | None) -> list[str]:
    """Say where pictures are not as far from every class as is expected, or not in scope where they should be.

    Args:
        answers: of the signature, one per picture.
        distances: to the nearest class mean, as `evaluate` has them, of the same pictures.
        limit: distance up to which a picture is in scope; None for no limit.
    """
    problems = []
    for number, (answer, expected) in enumerate(zip(answers, distances, strict=True)):
        is_in_scope, distance = answer.get("in_scope", True), answer.get("scope_distance", np.nan)
        is_right = is_in_scope if limit is None else is_in_scope == (distance <= limit)
        if not is_right or (limit is not None and not abs(distance - expected) <= SCOPE_TOLERANCE):
            problems.append(
                f"picture {number} is answered with in_scope {is_in_scope} at a distance of {distance:.4f}, for "
                f"evaluate it was {expected:.4f}; the limit is {limit}, and {SCOPE_TOLERANCE:g} may be between the two"
            )
    return problems


def answers_of(saved_model: Path, pictures: Sequence[Path]) -> list[dict[str, Any]]:
    """Answer pictures in a fresh process.

    Args:
        saved_model: its folder.
        pictures: files.

    Returns:
        One answer per picture; for one that the model does not take, the key `refused` alone: why.

    Raises:
        GateError: the model does not load.
    """
    # By its path, and nothing of this repository within its reach.
    command = [sys.executable, "-P", str(Path(__file__).with_name("answer.py")), str(saved_model), *map(str, pictures)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        words = "\n".join(done.stderr.strip().splitlines()[-3:])
        raise GateError(f"the export does not answer: a fresh process that loads it ends with\n{words}\n{_REMEDY}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def onnx_answers(export: Path, pictures: Sequence[Path]) -> list[Mapping[str, Any]]:
    """Answer pictures with the ONNX model of an export; each was taken by the SavedModel.

    Raises:
        GateError: the model is absent or does not load, or refuses a picture.
    """
    try:
        model = OnnxModel(export, MAX_PIXELS)
        return [dict(model.answer(path.read_bytes())) for path in pictures]
    except (InputError, UnreadableError) as error:
        raise GateError(f"the export's {ONNX} does not answer: {error}\n{_REMEDY}") from None


_WHAT_IS_TAKEN = (
    "It takes JPEG, PNG, GIF, BMP and WebP (docs/guide/serving.md): put such pictures into data/benchmarks, run "
    "`make repro`, commit, then promote again."
)
_WRITTEN = "`dvc repro --force evaluate` writes it again; commit dvc.lock, then promote again."
_REMEDY = "`dvc repro --force export` writes the export again; commit dvc.lock, then promote again."


def require_answers(rev: str, version: int) -> None:
    """Refuse a commit whose export does not answer as its evaluation did.

    Args:
        rev: the commit.
        version: of the export.

    Raises:
        GateError: the export is absent, does not load, refuses all pictures, or answers otherwise.
        RepositoryError: what is needed is neither in the cache nor on the remote.
    """
    commit = TrackedFiles(rev)
    export = _list_export(commit, version)
    chosen = _choose(commit)
    with temporary_folder("smoke") as folder:
        folder = Path(folder)
        release, answers = _try_until_answered(commit, export, version, chosen["path"].tolist(), folder)
        answered = [path for path, answer in zip(chosen["path"], answers, strict=False) if "refused" not in answer]
        by_onnx = onnx_answers(folder / EXPORT / f"{version:03d}", [folder / "pictures" / path for path in answered])
    chosen = chosen.head(len(answers)).assign(answer=pd.Series(answers))
    is_refused = chosen["answer"].map(lambda answer: "refused" in answer)
    _tell_refused(chosen[is_refused])
    taken = chosen[~is_refused]
    if taken.empty:
        raise GateError(
            f"the export refuses every one of {counted(len(chosen), 'picture')} tried, so nothing shows that "
            f"it answers rightly. {_WHAT_IS_TAKEN}"
        )

    class_names = parse_label_map(commit.read(CLASSES), CLASSES, "`dvc repro evaluate` writes it.")
    expected = _rows(commit, list(taken["row"]), len(class_names))
    problems = []
    for by, answered_by in (("", list(taken["answer"])), (f"by {ONNX}, ", by_onnx)):
        found = faults(answered_by, expected, class_names, release, TOLERANCE)
        found += scope_faults(answered_by, list(taken["scope_distance"]), release["scope_limit"])
        problems += [f"{by}{fault}" for fault in found]
    if problems:
        raise GateError("the export does not answer as evaluate did:\n- " + "\n- ".join(problems) + f"\n{_REMEDY}")


def _list_export(commit: TrackedFiles, version: int) -> list[str]:
    folder = f"{EXPORT}/{version:03d}"
    paths = commit.find(folder)
    if not paths:
        raise GateError(f"{folder} is not in dvc.lock: `make repro` writes it. Commit, then promote again.")
    return paths


def _choose(commit: TrackedFiles) -> pd.DataFrame:
    rows = ROWS.parse(commit.read(ROWS.path), ["image_id", "split", "scope_distance"])
    chosen = choose(
        rows,
        IMAGES.parse(commit.read(IMAGES.path), ["image_id", "path"]),
        FINGERPRINTS.parse(commit.read(FINGERPRINTS.path), ["path", "format"]),
        NUM_PICTURES * NUM_TRIES,
    )
    if chosen.empty:
        raise GateError(f"no benchmark or test picture can be read, so the export cannot be tried. {_WHAT_IS_TAKEN}")
    return chosen.assign(scope_distance=rows["scope_distance"].to_numpy()[chosen["row"]])


def _try_until_answered(
    commit: TrackedFiles, export: Sequence[str], version: int, pictures: Sequence[str], folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Try some pictures, and further ones while none is taken."""
    answers: list[dict[str, Any]] = []
    for start in range(0, len(pictures), NUM_PICTURES):
        release, more = _try_out(commit, export, version, pictures[start : start + NUM_PICTURES], folder)
        answers += more
        if any("refused" not in answer for answer in more):
            break
    return release, answers


def _tell_refused(refused: pd.DataFrame) -> None:
    if len(refused):
        log.warning("promote: the export refuses %s of those tried:", counted(len(refused), "picture"))
    for path, answer in zip(refused["path"], refused["answer"], strict=True):
        log.warning("promote: data/%s: %s", path, answer["refused"])


def _try_out(
    commit: TrackedFiles, export: Sequence[str], version: int, pictures: Sequence[str], folder: Path
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Fetch an export and pictures into a folder; give what release.json holds, and the answers."""
    files = {f"data/{path}": folder / "pictures" / path for path in pictures}
    commit.fetch({path: folder / path for path in export} | files)
    exported = folder / EXPORT / f"{version:03d}"
    release = read_json(exported / RELEASE, _RELEASE, "description of a release", _REMEDY, GateError)
    return release.model_dump(), answers_of(exported / exported.name, list(files.values()))


def _rows(files: TrackedFiles, numbers: Sequence[int], num_classes: int) -> NDArray[np.float32]:
    """Read some rows of the matrix of scores, which may be larger than memory."""
    (beginning,) = files.read_parts(SCORES, [(0, _LONGEST_HEADER)])
    try:
        header = read_header(BytesIO(beginning))
    except (ValueError, TypeError):
        raise InputError(f"{SCORES} is no .npy file of a matrix. {_WRITTEN}") from None
    if len(header.shape) != 2 or header.shape[1] != num_classes or header.dtype != np.float32:
        raise InputError(
            f"{SCORES} should have {num_classes} columns of float32 after {CLASSES}; it is {header.shape} of "
            f"{header.dtype}. {_WRITTEN}"
        )
    size = num_classes * header.dtype.itemsize
    parts = files.read_parts(SCORES, [(header.num_bytes + number * size, size) for number in numbers])
    if any(len(part) < size for part in parts):
        raise InputError(f"{SCORES} has fewer rows than {ROWS.path}. {_WRITTEN}")
    return np.stack([np.frombuffer(part, header.dtype) for part in parts])
