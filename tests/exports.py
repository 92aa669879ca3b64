"""A small export that answers by colour, made without TensorFlow: for tests of what serves exports."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from stages.tables.exported import ONNX, RELEASE

CLASSES = ["blue", "green", "red"]
SIDE = 16


def write_export(folder: Path, version: int = 7, threshold: float = 60.0, sharpness: float = 0.1) -> Path:
    """Write an export whose scores are the softmax of the mean colours, blue first; what is unsure of them is far.

    Args:
        folder: of the exports.
        version: of this one.
        threshold: of release.json.
        sharpness: what the means, 0 to 255, are multiplied by before the softmax.
    """
    export = folder / f"{version:03d}"
    export.mkdir(parents=True)
    nodes = [
        helper.make_node("Cast", ["pixels"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real", "axes"], ["means"], keepdims=0),
        helper.make_node("MatMul", ["means", "turned"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["scores"], axis=-1),
        helper.make_node("Greater", ["logits", "least"], ["bright"]),
        helper.make_node("Cast", ["bright"], ["brights"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["brights", "last"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["in_scope"], to=TensorProto.BOOL),
        helper.make_node("ReduceMax", ["scores", "last"], ["surest"], keepdims=0),
        helper.make_node("Sub", ["one", "surest"], ["scope_distance"]),
    ]
    numbers = {
        "axes": np.array([1, 2]),
        "last": np.array([1]),
        "turned": sharpness * np.eye(3, dtype=np.float32)[::-1],
        "least": np.array([-1], np.float32),
        "one": np.array(1, np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIDE, SIDE, 3])],
        [
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", len(CLASSES)]),
            helper.make_tensor_value_info("in_scope", TensorProto.BOOL, ["n"]),
            helper.make_tensor_value_info("scope_distance", TensorProto.FLOAT, ["n"]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in numbers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    (export / ONNX).write_bytes(model.SerializeToString())
    release = {"version": version, "weights_sha256": "0" * 64, "threshold": threshold}
    (export / RELEASE).write_text(json.dumps(release))
    (export / "classes.json").write_text(json.dumps(CLASSES))
    return export
