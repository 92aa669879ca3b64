"""Give scores the confidences of a temperature, of logits as they are or normalised, here and in what is served."""

from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TINY = float(np.finfo(np.float32).tiny)  # a score of 0 was some positive number that float32 cannot hold
BLOCK = 2**20  # scores in a block that is widened to float64: 8 MB


class Scaling(NamedTuple):
    """How confidences are scaled.

    Attributes:
        temperature: by which logits are divided, above 0.
        norm_order: p of the p-norm by which each picture's logits, less their mean, are divided before; None for not
            at all.
    """

    temperature: float
    norm_order: int | None


UNSCALED = Scaling(1.0, None)


def applied_scaling(calibration: Mapping[str, Any]) -> Scaling:
    """Say by what confidences are scaled.

    Args:
        calibration: what calibration.json holds.

    Returns:
        UNSCALED for not at all.
    """
    if not calibration["applied"]:
        return UNSCALED
    return Scaling(float(calibration["temperature"]), calibration.get("norm_order"))


def scale(scores: NDArray[np.float32], scaling: Scaling) -> NDArray[np.float32]:
    """Give scores other confidences.

    Args:
        scores: of shape (pictures, classes), float32, rows that sum to 1.
        scaling: UNSCALED changes nothing.

    Returns:
        Of the same shape and type; in each row the order of the classes is the same.
    """
    logs = recovered_logits(scores, scaling.norm_order) / scaling.temperature
    logs -= logs.max(axis=1, keepdims=True)
    powers = np.exp(logs, out=logs)
    scaled: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def recovered_logits(scores: NDArray[np.float32], norm_order: int | None) -> NDArray[np.float64]:
    """Recover logits, but for a number that each picture has added to all of them; or normalise them.

    Args:
        scores: of shape (pictures, classes), float32.
        norm_order: as in `Scaling`.
    """
    logs: NDArray[np.float64] = np.log(np.maximum(scores, TINY, dtype=np.float64))
    if norm_order is None or not logs.size:
        return logs
    logs -= logs.mean(axis=1, keepdims=True)
    logs /= np.maximum(np.linalg.norm(logs, ord=norm_order, axis=1, keepdims=True), TINY)
    return logs


def scaled_on_disk(scores: NDArray[np.float32], scaling: Scaling) -> NDArray[np.float32]:
    """Scale a matrix that need not fit into memory.

    Args:
        scores: as in `scale`; read by blocks, so a memory map will do.
        scaling: as in `scale`.

    Returns:
        Of the same shape and type: a memory map of a file without a name, which is deleted once the map is not used
        any more.
    """
    with TemporaryFile(dir=".") as file:
        out: NDArray[np.float32] = np.memmap(file, np.float32, "w+", shape=scores.shape)
    step = max(1, BLOCK // max(1, scores.shape[1]))
    for start in range(0, len(scores), step):
        out[start : start + step] = scale(scores[start : start + step], scaling)
    return out
