"""Find the layer of an exported graph that makes logits of a network's features."""

from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper

from runtime.errors import InputError


class OutputLayer(NamedTuple):
    """The output layer of a graph.

    Attributes:
        node: the product of features and weights.
        weights: of shape (features, classes), float32.
        features: name of the value of shape (pictures, features) that is multiplied by them.
    """

    node: onnx.NodeProto
    weights: NDArray[np.float32]
    features: str


class Graph:
    """A graph that is looked through from its scores to its pixels.

    Args:
        graph: of an exported network.
    """

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._made = {name: node for node in graph.node for name in node.output}
        self.numbers: dict[str, Any] = {each.name: each for each in graph.initializer}

    def output_layer(self, num_classes: int) -> OutputLayer:
        """Find the last product before the scores that gives a number for each class.

        Raises:
            InputError: there is none.
        """
        node = self._made.get("scores")
        while node is not None and not self._is_output_layer(node, num_classes):
            node = self.before(node)
        if node is None:
            raise InputError(f"the graph has no output layer of {num_classes} classes.")
        weights = numpy_helper.to_array(self.numbers[node.input[1]])
        if any(each.name == "transB" and each.i for each in node.attribute):
            weights = weights.T
        return OutputLayer(node, weights, node.input[0])

    def before(self, node: onnx.NodeProto) -> onnx.NodeProto | None:
        """Give the node that made the first input which is no constant."""
        return next((self._made.get(name) for name in node.input if name not in self.numbers), None)

    def _is_output_layer(self, node: onnx.NodeProto, num_classes: int) -> bool:
        is_product = node.op_type in ("MatMul", "Gemm") and node.input[1] in self.numbers
        return is_product and num_classes in self.numbers[node.input[1]].dims


def with_features(graph: bytes, num_classes: int) -> tuple[bytes, str]:
    """Have a graph give the features before its output layer, beside what it gives.

    Args:
        graph: bytes of a model.
        num_classes: that it knows.

    Returns:
        The bytes of the changed model, and the name of the new output, of shape (pictures, features).

    Raises:
        InputError: they are no model, or it has no output layer of these classes.
    """
    try:
        model = onnx.load_from_string(graph)
    except DecodeError:
        raise InputError("it is no model.") from None
    name = Graph(model.graph).output_layer(num_classes).features
    model.graph.output.append(onnx.ValueInfoProto(name=name))
    return model.SerializeToString(), name
