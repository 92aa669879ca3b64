"""Turn a function of TensorFlow into an ONNX graph, the same bytes for the same function and numbers."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import onnx
import tensorflow as tf

OPSET = 18  # since 2022; ONNX Runtime 1.14 and newer run it


def to_onnx(function: Callable[..., object], inputs: Iterable[tf.TensorSpec]) -> bytes:
    """Convert a function.

    Args:
        function: takes tensors, and gives a tensor or a dict of tensors.
        inputs: with names, which are those of the graph's inputs.

    Returns:
        An ONNX model. Its weights are in it.
    """
    import tf2onnx  # takes a second, which only those who convert pay

    signature = list(inputs)
    traced = tf.function(function, input_signature=signature, autograph=False)
    # Keras compiles a grouped convolution as a function of its own, into which the converter does not look.
    tf.config.run_functions_eagerly(True)
    try:
        captures = traced.get_concrete_function(*signature).graph.captures
    finally:
        tf.config.run_functions_eagerly(False)
    model, _ = tf2onnx.convert.from_function(
        traced, input_signature=signature, opset=OPSET, custom_op_handlers={"Erfc": (_erfc, [])}
    )
    # The converter freezes variables only: what else a layer holds, such as a Normalization's mean, it makes an input.
    constants = {inner.name: outer.numpy() for outer, inner in captures if outer.dtype != tf.resource}
    for value in [value for value in model.graph.input if value.name in constants]:
        model.graph.input.remove(value)
        model.graph.initializer.append(onnx.numpy_helper.from_array(constants[value.name], value.name))
    content: bytes = canonical(model).SerializeToString(deterministic=True)
    return content


def _erfc(graph: Any, node: Any, name: str, _: object) -> None:
    """Write TensorFlow's Erfc, of which GELU is made, as 1 - Erf: ONNX has no other."""
    shapes, types = node.output_shapes, node.output_dtypes
    one = graph.make_const(f"{name}_one", np.ones((), np.float32)).output[0]
    erf = graph.make_node("Erf", [node.input[0]]).output[0]
    graph.remove_node(name)
    graph.make_node("Sub", [one, erf], name=name, outputs=node.output, shapes=shapes, dtypes=types)


def canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """Rename and order everything in a graph that the converter names by counting, or holds in sets.

    Args:
        model: with a graph whose nodes come in an order in which they can be computed; is changed.

    Raises:
        ValueError: a node has a graph of its own.
    """
    graph = model.graph
    if any(attribute.type == onnx.AttributeProto.GRAPH for node in graph.node for attribute in node.attribute):
        raise ValueError("a graph inside a node, such as a loop's, would keep names that the rest of the graph loses")
    for value in (*graph.input, *graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_param = "n"  # the only size that is not known: how many pictures
    kept = {value.name for value in (*graph.input, *graph.output)}
    names: dict[str, str] = {"": ""}
    for number, node in enumerate(graph.node):
        node.name = f"node_{number}"
        for name in (*node.input, *node.output):
            names.setdefault(name, name if name in kept else f"value_{len(names)}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
    order = {name: number for number, name in enumerate(names)}
    weights = sorted((weight for weight in graph.initializer if weight.name in order), key=lambda it: order[it.name])
    for weight in weights:
        weight.name = names[weight.name]
    ordered = [onnx.TensorProto.FromString(weight.SerializeToString()) for weight in weights]
    del graph.initializer[:], graph.value_info[:]
    graph.initializer.extend(ordered)
    graph.name, graph.doc_string, model.doc_string = "network", "", ""
    return model
