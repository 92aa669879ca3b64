"""Answer pictures with the ONNX model of an export: ONNX Runtime and the pipeline's own preparation, no TensorFlow."""

import logging
from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from runtime.json_files import read_json
from runtime.regular_files import read_small
from serving.projection import project
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.tables.exported import ONNX, RELEASE
from stages.tables.model import CLASSES, read_label_map

log = logging.getLogger(__name__)

MAX_BYTES = 2**31  # of a model: protobuf allows no more
NUM_BEST = 3
_REMEDY = "`dvc repro --force export` writes the export again."


class _Release(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)
    version: Annotated[int, Field(ge=1, le=999)]
    weights_sha256: str


_RELEASE = TypeAdapter(_Release)


class Answer(TypedDict):
    """What is answered of one picture; the names are those of the SavedModel's signatures."""

    classes: list[str]  # the three best, best first
    confidences: list[float]  # of these, 0 to 100
    scores: list[float]  # of all classes, in the order of classes.json
    in_scope: bool  # false: the picture is too far from every class for an answer to mean anything
    scope_distance: NotRequired[float]  # to the nearest class mean, where there is a limit
    embedding: NotRequired[list[float]]  # what `project` makes of the features, where it was asked for
    version: int
    weights_sha256: str


class OnnxModel:
    """The model of an export.

    Args:
        export: its folder, such as data/export/007.
        max_pixels: a picture with more is refused before it is decoded.
        num_threads: that one picture may use; 0 for as many as there are cores.
        embeds: give each answer an embedding too, where the graph has an output layer. It takes the package onnx.

    Attributes:
        side: of the square of prepared pixels that it takes.
        digest: MD5 of the file of its graph, which holds the weights, the scaling and the limit of the scope.

    Raises:
        InputError: a file is absent, or is not what it should be.
    """

    def __init__(self, export: Path, max_pixels: int, num_threads: int = 0, embeds: bool = False) -> None:
        self._release = read_json(export / RELEASE, _RELEASE, "description of a release", _REMEDY)
        self.class_names = read_label_map(export / CLASSES, _REMEDY)
        self._max_pixels = max_pixels
        graph = read_small(export / ONNX, MAX_BYTES, _REMEDY)
        self.digest = md5_of_bytes(graph)
        self._features = None
        if embeds:
            graph, self._features = _with_features(graph, len(self.class_names), export)
        self._session = open_graph(export / ONNX, graph, num_threads)
        given, taken = {it.name: it.shape for it in self._session.get_outputs()}, self._session.get_inputs()[0]
        if given.get("scores", [])[1:] != [len(self.class_names)] or taken.name != "pixels":
            raise InputError(
                f"{export / ONNX} gives {given} of {taken.name}; expected scores of the {len(self.class_names)} "
                f"classes of {CLASSES}, of pixels. {_REMEDY}"
            )
        self._outputs = [name for name in ("scores", "in_scope", "scope_distance", self._features) if name in given]
        self.side: int = taken.shape[1]

    def answer(self, data: bytes) -> Answer:
        """Answer one picture.

        Args:
            data: bytes of its file, in any format that the library may have.

        Raises:
            UnreadableError: they are no picture, or one beyond the limits; in words.
        """
        return self.answer_pixels(letterbox(decode(data, self._max_pixels).image, self.side))

    def answer_pixels(self, pixels: NDArray[np.uint8]) -> Answer:
        """Answer one prepared picture.

        Args:
            pixels: of shape (side, side, 3), as `letterbox` makes them.
        """
        outputs = self._session.run(self._outputs, {"pixels": pixels[None]})
        given = {name: values[0] for name, values in zip(self._outputs, outputs, strict=True)}
        scores = given["scores"]
        best = np.argsort(-scores, kind="stable")[:NUM_BEST]
        answer: Answer = {
            "classes": [self.class_names[number] for number in best],
            "confidences": [100 * float(scores[number]) for number in best],
            "scores": scores.tolist(),
            "in_scope": bool(given.get("in_scope", True)),  # of before there was a limit
            "version": self._release.version,
            "weights_sha256": self._release.weights_sha256,
        }
        if "scope_distance" in given:
            answer["scope_distance"] = float(given["scope_distance"])
        if self._features is not None:
            answer["embedding"] = project(given[self._features][None])[0].tolist()
        return answer


def _with_features(graph: bytes, num_classes: int, export: Path) -> tuple[bytes, str | None]:
    """Have a graph give its features too; None in place of their name where it has no output layer that is known."""
    from serving.output_layer import with_features

    try:
        return with_features(graph, num_classes)
    except InputError as error:
        log.warning("%s: answers have no embeddings (%s)", export, error)
        return graph, None


def open_graph(path: Path, graph: bytes, num_threads: int = 0) -> Any:
    """Let ONNX Runtime read a graph.

    Args:
        path: where it comes from, for the message.
        graph: its bytes.
        num_threads: that one picture may use; 0 for as many as there are cores.

    Returns:
        An `InferenceSession`.

    Raises:
        InputError: they are no graph, or one that cannot be run.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    # What ONNX Runtime raises has no type in common; of a damaged name it says nothing that can be read.
    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented,
                UnicodeDecodeError)  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(f"{path} is no model that ONNX Runtime can run ({reason}). {_REMEDY}") from None
