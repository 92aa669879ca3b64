"""Models that answer prepared pictures: one embedded in a process of its own, or a server that speaks a known protocol.

    data/export/007                              embedded: ONNX Runtime and the export's model.onnx
    http://serving:8501/v1/models/retrain        TensorFlow Serving's REST protocol
    http://serving:8000/v2/models/retrain        KServe's Open Inference Protocol (v2), with the export's model.onnx

Which version answered is in each answer. What a version's threshold is stands in the export of that version.
"""

import asyncio
import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

import aiohttp
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.errors import InputError
from runtime.json_files import read_json
from serving.onnx_model import OnnxModel
from serving.prepare import Prepared
from serving.processes import DiedError, Processes, Work
from serving.transactions import NUM_BEST
from stages.tables.exported import RELEASE
from stages.tables.model import CLASSES, read_label_map

_REMEDY = "`make repro` writes an export, `dvc pull data/export` brings it."
_MOST_CONFIDENT = 100.01  # 100, and what float32 adds
_MAX_REPLY_BYTES = 16 * 2**20


class ModelError(Exception):
    """The model did not answer, or not as expected; the message says which and why, for the log."""


class Reply(NamedTuple):
    """What a model says of a picture."""

    version: int
    threshold: float
    classes: list[str]  # the three best, best first
    confidences: list[float]  # of these, 0 to 100
    scores: NDArray[np.float32]
    in_scope: bool | None  # None where the model has no rule for it
    scope_distance: float | None  # to the nearest class mean; None where there is no limit
    embedding: NDArray[np.float32] | None = None  # as `project` makes it; None where a server answered

    @property
    def shown(self) -> bool:
        """Whether users are told the best class."""
        return self.confidences[0] >= self.threshold and self.in_scope is not False


class Model(Protocol):
    """What answers pictures."""

    name: str

    async def side(self) -> int | None:
        """Say the side of the square of prepared pixels that it takes; None where it takes files."""

    async def answer(self, prepared: Prepared) -> Reply:
        """Answer a picture, or raise ModelError."""

    def export(self, version: int) -> Path:
        """Say where the export of a version that it answered with is, or would be."""

    async def is_ready(self) -> bool:
        """Say whether it would answer."""

    async def close(self) -> None:
        """End what it holds."""


class _Release(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)
    version: Annotated[int, Field(ge=1, le=999)]
    threshold: Annotated[float, Field(ge=0, le=100)]


class Export(NamedTuple):
    """What an export says of its version."""

    version: int
    threshold: float
    class_names: list[str]


def read_export(folder: Path) -> Export:
    """Read an export's description.

    Raises:
        InputError: a file is absent or is not what it should be.
    """
    release = read_json(folder / RELEASE, TypeAdapter(_Release), "description of a release", _REMEDY)
    return Export(release.version, release.threshold, read_label_map(folder / CLASSES, _REMEDY))


class Exports:
    """The exports of a folder, each read once: servers may change their version while we run.

    Args:
        folder: holds a folder NNN for each version.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[int, Export] = {}

    def newest(self) -> Path:
        """Give the folder of the newest version.

        Raises:
            InputError: there is none.
        """
        folders = [path for path in self._folder.glob("[0-9][0-9][0-9]") if (path / RELEASE).exists()]
        if not folders:
            raise InputError(f"{self._folder} holds no export. {_REMEDY}")
        return max(folders)

    def folder(self, version: int) -> Path:
        """Say where a version's export is, or would be."""
        return self._folder / f"{version:03d}"

    def of(self, version: int) -> Export:
        """Give what is said of a version, or raise ModelError."""
        if version not in self._known:
            try:
                self._known[version] = read_export(self.folder(version))
            except InputError as error:
                raise ModelError(f"version {version} answered, but its threshold is not known: {error}") from None
        return self._known[version]


def open_model(place: str, exports: Exports, timeout_seconds: float, num_threads: int) -> Model:
    """Open the model at a place.

    Args:
        place: a folder or a URL; see this module's docstring.
        exports: of the versions that may answer.
        timeout_seconds: that an answer may take.
        num_threads: that an embedded model may use for a picture.

    Raises:
        InputError: the place is of no kind that is known, or the export there is damaged.
    """
    if re.match(r"https?://.*/v1/models/[^/]+", place):
        return TensorFlowServing(place, exports, timeout_seconds)
    if re.match(r"https?://.*/v2/models/[^/]+", place):
        return KServe(place, exports, timeout_seconds)
    if "://" in place:
        raise InputError(
            f"{place} is no model that can be asked: expected http://host:8501/v1/models/NAME (TensorFlow Serving), "
            "http://host:8000/v2/models/NAME (KServe's protocol), or the folder of an export."
        )
    return Embedded(Path(place), timeout_seconds, num_threads)


class Embedded:
    """The model of an export, in a process of its own, which is started again when it dies.

    Args:
        folder: of the export.
        timeout_seconds: that an answer may take.
        num_threads: that it may use for a picture.
    """

    def __init__(self, folder: Path, timeout_seconds: float, num_threads: int) -> None:
        self._export, self.folder = read_export(folder), folder
        self.name = f"version {self._export.version}"
        # Opened here once, so that a damaged one is said at once, and another one later.
        model = OnnxModel(folder, 1)
        self._side = model.side
        answering = partial(_answering, folder, num_threads, model.digest)
        self.processes = Processes(self.name, answering, 1, timeout_seconds)

    async def side(self) -> int:
        """Say the side of the square of prepared pixels that it takes."""
        return self._side

    async def answer(self, prepared: Prepared) -> Reply:
        """Answer a picture."""
        try:
            given = await asyncio.wrap_future(self.processes.do(prepared.pixels[self._side]))
        except DiedError as error:
            raise ModelError(str(error)) from None
        with _expected(self.name, given):
            embedding = np.asarray(given["embedding"], np.float32) if "embedding" in given else None
            return _reply(given, self._export)._replace(embedding=embedding)

    def export(self, version: int) -> Path:
        """Say where the export of a version is."""
        return self.folder if version == self._export.version else self.folder.parent / f"{version:03d}"

    async def is_ready(self) -> bool:
        """Say whether its process is there."""
        return bool(self.processes.pids)

    async def close(self) -> None:
        """End its process."""
        await asyncio.to_thread(self.processes.close)


def _answering(folder: Path, num_threads: int, digest: str) -> Work:
    """Open the model, unless `make repro` has written another one under the same number since the gateway started."""
    model = OnnxModel(folder, 1, num_threads, embeds=True)
    if model.digest != digest:
        raise InputError(
            f"{folder} holds another model than when the gateway started, and its answers would pass for those of the "
            "first one. Start the gateway again."
        )
    return model.answer_pixels


class _Server:
    """A server of models that is asked over HTTP."""

    def __init__(self, url: str, exports: Exports, timeout_seconds: float) -> None:
        self.name, self._exports = url.rstrip("/"), exports
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._opened: aiohttp.ClientSession | None = None

    def export(self, version: int) -> Path:
        return self._exports.folder(version)

    async def close(self) -> None:
        if self._opened:
            await self._opened.close()

    async def _ask(self, method: str, path: str, content: object = None) -> Any:
        if self._opened is None:  # belongs to the loop that runs
            self._opened = aiohttp.ClientSession(timeout=self._timeout)
        try:
            async with self._opened.request(method, self.name + path, json=content) as response:
                body = await response.content.read(_MAX_REPLY_BYTES)
                while len(body) < _MAX_REPLY_BYTES and not response.content.at_eof():
                    body += await response.content.read(_MAX_REPLY_BYTES - len(body))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ModelError(f"{self.name} does not answer: {str(error) or type(error).__name__}") from None
        if response.status != 200:
            raise ModelError(f"{self.name} answers {response.status}: {body[:200].decode(errors='replace')}")
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ModelError(f"{self.name} answers what is no JSON: {body[:200].decode(errors='replace')}") from None


class TensorFlowServing(_Server):
    """TensorFlow Serving, asked by REST; it prepares pictures itself."""

    async def side(self) -> None:
        """It takes files."""

    async def answer(self, prepared: Prepared) -> Reply:
        """Answer a picture."""
        encoded = base64.b64encode(prepared.kept).decode()
        given = await self._ask("POST", ":predict", {"instances": [{"b64": encoded}]})
        with _expected(self.name, given):
            (row,) = given["predictions"]
            return _reply(row, self._exports.of(int(row["version"])))

    async def is_ready(self) -> bool:
        """Say whether it has a version that is available."""
        try:
            given = await self._ask("GET", "")
            with _expected(self.name, given):
                return any(each["state"] == "AVAILABLE" for each in given["model_version_status"])
        except ModelError:
            return False


class KServe(_Server):
    """A server of KServe's protocol that has the model.onnx of exports; it says its version, or its URL does."""

    _side: int | None = None

    async def side(self) -> int:
        """Say the side of the square of prepared pixels that it takes."""
        if self._side is None:
            metadata = await self._ask("GET", "")
            with _expected(self.name, metadata):
                (pixels,) = (each for each in metadata["inputs"] if each["name"] == "pixels")
                self._side = int(pixels["shape"][1])
        return self._side

    async def answer(self, prepared: Prepared) -> Reply:
        """Answer a picture."""
        pixels = prepared.pixels[await self.side()]
        tensor = {"name": "pixels", "shape": [1, *pixels.shape], "datatype": "UINT8", "data": pixels.ravel().tolist()}
        try:
            given = await self._ask("POST", "/infer", {"inputs": [tensor]})
        except ModelError:
            self._side = None  # another version may take another one
            raise
        with _expected(self.name, given):
            outputs = {each["name"]: each["data"] for each in given["outputs"]}
            of_url = re.search(r"/versions/(\d+)", self.name)
            export = self._exports.of(int(of_url[1] if of_url else given["model_version"]))
            scores = np.asarray(outputs["scores"], np.float32)
            best = np.argsort(-scores, kind="stable")[:NUM_BEST]
            row = {
                "classes": [export.class_names[number] for number in best],
                "confidences": [100 * float(scores[number]) for number in best],
                "scores": scores,
            }
            row |= {name: outputs[name][0] for name in ("in_scope", "scope_distance") if name in outputs}
            return _reply(row, export)

    async def is_ready(self) -> bool:
        """Say whether it says so."""
        try:
            await self._ask("GET", "/ready")
            return await self.side() > 0
        except ModelError:
            return False


@contextmanager
def _expected(name: str, given: object) -> Iterator[None]:
    """Turn what another form of an answer raises into a ModelError."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise ModelError(f"{name} answers in another form than expected ({error}): {str(given)[:200]}") from None


def _reply(given: Mapping[str, Any], export: Export) -> Reply:
    """Check an answer against its export, and raise ValueError and its like where it is another."""
    scores = np.asarray(given["scores"], np.float32)
    if scores.shape != (len(export.class_names),) or not np.isfinite(scores).all():
        raise ValueError(
            f"version {export.version} gave scores of shape {scores.shape}; expected {len(export.class_names)} numbers"
        )
    classes, confidences = list(given["classes"]), [float(confidence) for confidence in given["confidences"]]
    if not 0 < len(classes) == len(confidences) <= NUM_BEST or not set(classes) <= set(export.class_names):
        raise ValueError(f"expected the {NUM_BEST} best of the classes of version {export.version}, with confidences")
    if not all(0 <= confidence <= _MOST_CONFIDENT for confidence in confidences):
        raise ValueError("a confidence is not from 0 to 100")
    in_scope = given.get("in_scope")
    if in_scope not in (None, True, False):
        raise ValueError("in_scope is not true or false")
    best = [min(confidence, 100.0) for confidence in confidences]
    is_inside = None if in_scope is None else bool(in_scope)
    return Reply(export.version, export.threshold, classes, best, scores, is_inside, _distance(given))


def _distance(given: Mapping[str, Any]) -> float | None:
    distance = given.get("scope_distance")
    if distance is not None and not np.isfinite(distance := float(distance)):
        raise ValueError("scope_distance is no number")
    return distance
