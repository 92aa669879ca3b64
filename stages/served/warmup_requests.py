"""Write requests that TensorFlow Serving answers by itself before it calls a model available.

The first answers of a model are slow: TensorFlow plans its graph, and a GPU's libraries choose their algorithms.
TensorFlow Serving therefore replays `assets.extra/tf_serving_warmup_requests`, a file of TFRecords that each hold a
message `tensorflow.serving.PredictionLog`.
Source: https://www.tensorflow.org/tfx/serving/saved_model_warmup; the messages' fields by their numbers in
https://github.com/tensorflow/serving/tree/master/tensorflow_serving/apis. They are encoded here: the package that has
the messages ties itself to versions of TensorFlow, and four nested fields are all that is needed.
"""

from io import BytesIO
from pathlib import Path

import tensorflow as tf
from PIL import Image

from stages.served.preparation import FORMATS

PATH = "assets.extra/tf_serving_warmup_requests"
# PredictionLog.predict_log, PredictLog.request; of PredictRequest: model_spec, inputs; ModelSpec.signature_name.
_PREDICT_LOG, _REQUEST, _MODEL_SPEC, _INPUTS, _SIGNATURE_NAME = 6, 1, 1, 2, 3
_KEY, _VALUE = 1, 2  # of an entry of a map


def write(saved_model: Path, size: int) -> None:
    """Write the requests into a SavedModel of `stages.export`: one picture, one of every format, one prepared.

    Args:
        saved_model: its folder.
        size: side of the prepared pictures.
    """
    pictures = [_picture(kind) for kind in FORMATS]
    requests = [
        ("serving_default", "image_bytes", tf.constant(pictures[:1])),
        ("serving_default", "image_bytes", tf.constant(pictures)),
        ("pixels", "pixels", tf.zeros((1, size, size, 3), tf.uint8)),
    ]
    path = saved_model / PATH
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, name, value in requests:
            writer.write(prediction_log(signature, name, value))


def prediction_log(signature: str, name: str, value: tf.Tensor) -> bytes:
    """Encode one request of one input.

    Args:
        signature: that answers it.
        name: of the input.
        value: of the input.

    Returns:
        A `tensorflow.serving.PredictionLog`.
    """
    tensor = tf.make_tensor_proto(value).SerializeToString(deterministic=True)
    inputs = _field(_KEY, name.encode()) + _field(_VALUE, tensor)
    model_spec = _field(_SIGNATURE_NAME, signature.encode())
    return _field(_PREDICT_LOG, _field(_REQUEST, _field(_MODEL_SPEC, model_spec) + _field(_INPUTS, inputs)))


def _field(number: int, content: bytes) -> bytes:
    """Encode a field of bytes, text or a message: number and wire type, length, content."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    """Encode a number in groups of seven bits, the lowest first, each but the last marked by the eighth."""
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(rest) if rest else bytes([low])


def _picture(kind: str) -> bytes:
    buffer = BytesIO()
    Image.linear_gradient("L").convert("RGB").save(buffer, kind)
    return buffer.getvalue()
