"""Run a network's ONNX graph on single pictures, on one core."""

import hashlib
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runtime.errors import InputError
from runtime.regular_files import read_small
from stages.shards.tars import REMEDY

FORMATS = ("PNG", "WEBP")  # of shards
MAX_BYTES = 2**31  # more than any network of keras.applications takes
_LARGEST = float(np.finfo(np.float16).max)


def embed(pixels: NDArray[np.uint8], graph: Path, sha256: str) -> NDArray[np.float16]:
    """Embed one picture.

    Pictures go through the network one by one: on a CPU that is as fast as in batches, and what is said of one
    then depends on no other.

    Args:
        pixels: shape (side, side, 3), uint8, as shards have it; is scaled to the side that the network takes.
        graph: path of the network.
        sha256: of its file.

    Returns:
        Of shape (features,), float16.

    Raises:
        InputError: the graph's file is absent or another.
    """
    session = _session(graph, sha256)
    side = session.get_inputs()[0].shape[1]
    if pixels.shape[0] != side:
        pixels = np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC))
    embedding = session.run(None, {"pictures": pixels[None].astype(np.float32)})[0][0]
    if not np.isfinite(embedding).all():
        raise InputError(f"{graph} gives what is no number. `dvc repro --force pretrained` writes it again.")
    narrow: NDArray[np.float16] = np.clip(embedding, -_LARGEST, _LARGEST).astype(np.float16)
    return narrow


@lru_cache(maxsize=1)
def _session(graph: Path, sha256: str) -> Any:
    """Open the graph, once in each process; a file that is not the expected one is not parsed."""
    remedy = "`dvc repro --force pretrained` writes it again."
    content = read_small(graph, MAX_BYTES, remedy)
    if (digest := hashlib.sha256(content).hexdigest()) != sha256:
        raise InputError(f"{graph} has the SHA-256 {digest}, where the file beside it says {sha256}. {remedy}")
    import onnxruntime  # not where nothing is embedded

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def decoded(content: bytes, side: int, image_id: str) -> NDArray[np.uint8]:
    """Decode a picture of a shard, without TensorFlow.

    Args:
        content: a PNG or WebP, as `stages.shards.codec.encode` writes it.
        side: of the picture in pixels.
        image_id: for the message.

    Returns:
        Of shape (side, side, 3), uint8.

    Raises:
        InputError: it is no such picture.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            is_square = image.size == (side, side) and image.mode == "RGB"
            pixels = np.asarray(image) if is_square else None
    except (OSError, ValueError, SyntaxError):  # what Pillow raises for bytes that are no picture
        pixels = None
    if pixels is None:
        raise InputError(f"data/shards holds no picture of {side} x {side} pixels for {image_id}. {REMEDY}")
    return pixels
