"""Show where in a picture a model saw a class: its class activation, drawn over the picture.

The networks end in a mean over positions and one matrix of weights, so what each position adds to a class's logit can
be said exactly, from the numbers of the exported graph.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from runtime.errors import InputError
from runtime.regular_files import read_small
from serving.onnx_model import MAX_BYTES, open_graph
from serving.output_layer import Graph
from serving.processes import Work
from stages.images.decode import decode
from stages.images.letterbox import fitted, letterbox
from stages.tables.exported import ONNX
from stages.tables.model import CLASSES, read_label_map

_LARGEST_SIDE = 640  # pixels of what is drawn
_STRENGTH = 0.6  # share of the colour where the activation is highest
_COLOUR = np.array([255, 64, 0])
_MEANS = ("ReduceMean", "GlobalAveragePool")
_AGAIN = "`dvc repro --force export` writes the export again."
_REMEDY = "Class activation needs a network that ends in global average pooling and one dense layer."


class Task(NamedTuple):
    """What is to be drawn."""

    export: Path  # folder of the export that answered
    class_name: str
    picture: bytes  # as it is kept


class Activation:
    """The activations of an exported network.

    Args:
        export: its folder.

    Raises:
        InputError: the graph is damaged, or the network ends in another way.

    Source: Zhou et al. 2016, "Learning deep features for discriminative localization". Selvaraju et al. 2017 show that
        Grad-CAM is the same for such networks, up to a factor.
    """

    def __init__(self, export: Path) -> None:
        self._path = export / ONNX
        data = read_small(self._path, MAX_BYTES, _AGAIN)
        open_graph(self._path, data)  # says in words what is damaged
        self.class_names = read_label_map(export / CLASSES, _AGAIN)
        with _refusing(self._path):
            model = onnx.load_from_string(data)
            try:
                self._weights, self._features, self._is_last = _head(Graph(model.graph), len(self.class_names))
            except InputError as error:
                raise InputError(f"{error} {_REMEDY}") from None
            model.graph.output.append(onnx.ValueInfoProto(name=self._features))
            self._session = open_graph(self._path, model.SerializeToString())
            self.side: int = self._session.get_inputs()[0].shape[1]

    def of(self, pixels: NDArray[np.uint8], class_number: int) -> NDArray[np.float32]:
        """Say how much each position speaks for a class.

        Args:
            pixels: of shape (side, side, 3).
            class_number: in the order of classes.json.

        Returns:
            Shape (rows, columns): 0 for what does not speak for it, 1 for what does most.

        Raises:
            InputError: the graph is damaged.
        """
        with _refusing(self._path):
            features = self._session.run([self._features], {"pixels": pixels[None]})[0][0]
            features = features if self._is_last else np.moveaxis(features, 0, -1)
            spoken: NDArray[np.float32] = np.maximum(features @ self._weights[:, class_number], 0)
        return spoken / (spoken.max() or 1)


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Say that a graph is damaged; what one raises that ONNX Runtime could read has no type in common.

    Raises:
        InputError: it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path} is damaged ({str(error)[:200]}). {_AGAIN}") from error


def _head(graph: Graph, num_classes: int) -> tuple[NDArray[np.float32], str, bool]:
    """Find the weights of the output layer, the name of what is averaged before it, and whether channels come last."""
    layer = graph.output_layer(num_classes)
    node: onnx.NodeProto | None = layer.node
    while node is not None and node.op_type not in _MEANS:
        node = graph.before(node)
    if node is None:
        raise InputError("the graph takes no mean before its output layer.")
    return layer.weights, node.input[0], node.op_type == "ReduceMean" and sorted(_axes(node, graph.numbers)) == [1, 2]


def _axes(node: onnx.NodeProto, numbers: Mapping[str, Any]) -> list[int]:
    attributes = [list(each.ints) for each in node.attribute if each.name == "axes"]
    if not attributes and len(node.input) > 1:
        attributes = [numpy_helper.to_array(numbers[node.input[1]]).tolist()]
    return [axis % 4 for axis in attributes[0]] if attributes else []


def explaining() -> Work:
    """Give the function that draws a task."""
    return explain


def explain(task: Task) -> bytes:
    """Draw a class's activation over a picture.

    Returns:
        A PNG.

    Raises:
        InputError: the export is not there, is damaged or of other classes, or its network ends in another way.
    """
    activation = _of_export(task.export)
    image = decode(task.picture, 2**31).image
    if task.class_name not in activation.class_names:
        raise InputError(f"{task.export / CLASSES} does not name {task.class_name!r}. {_AGAIN}")
    number = activation.class_names.index(task.class_name)
    spoken = activation.of(letterbox(image, activation.side), number)
    image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    buffer = BytesIO()
    _drawn(image, spoken, activation.side).save(buffer, "PNG")
    return buffer.getvalue()


@lru_cache(maxsize=2)
def _of_export(export: Path) -> Activation:
    return Activation(export)


def _drawn(image: Image.Image, spoken: NDArray[np.float32], side: int) -> Image.Image:
    """Colour a picture where it speaks for the class."""
    square = Image.fromarray(spoken.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    width, height = fitted(image.width, image.height, side)
    left, top = (side - width) // 2, (side - height) // 2
    mask = square.crop((left, top, left + width, top + height)).resize(image.size, Image.Resampling.BILINEAR)
    share = _STRENGTH * np.asarray(mask)[:, :, None]
    return Image.fromarray(np.rint(np.asarray(image) * (1 - share) + _COLOUR * share).astype(np.uint8))
