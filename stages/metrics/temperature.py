"""Temperature scaling: one number that makes the confidences of a model true, fitted on the validation set."""

from collections.abc import Mapping
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from stages.metrics.truth import is_known

LIMITS = (0.05, 20.0)  # beyond them every confidence is 100, or none is far from 1 / classes
TINY = float(np.finfo(np.float32).tiny)  # a score of 0 was some positive number that float32 cannot hold
BLOCK = 2**20  # scores in a block that is widened to float64: 8 MB
DIGITS = 6  # decimals of a temperature: confidences then agree to a ten-thousandth


def fit_temperature(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> float | None:
    """Find the temperature with the least log loss. It changes no answer, only the confidence in it.

    Dividing logits by T, and dividing the logarithms of the scores by it, are the same once the result sums to 1.

    Args:
        scores: of shape (pictures, classes), float32: softmax scores of the validation set.
        truth: of shape (pictures,), int64: numbers of classes; pictures of classes that the model does not know
            are left out.

    Returns:
        From 0.05 to 20, above 1 where the model is too confident; None where no temperature is the best: without
        pictures, when the truth has the highest score in each (the colder the better), or when the best is at a limit.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    known = np.flatnonzero(is_known(truth, scores.shape[1]))
    logs = np.log(np.maximum(scores[known], TINY, dtype=np.float64))
    logs -= logs.max(axis=1, keepdims=True, initial=-np.inf)
    truth_logs = logs[np.arange(len(known)), truth[known]]
    if not truth_logs.any():
        return None

    def loss(log_temperature: float) -> float:
        coldness = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(logs * coldness).sum(axis=1)) - truth_logs * coldness))

    bounds = (np.log(LIMITS[0]), np.log(LIMITS[1]))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x
    at_limit = min(best - bounds[0], bounds[1] - best) < 1e-3
    return None if at_limit else round(float(np.exp(best)), DIGITS)


def applied_temperature(calibration: Mapping[str, Any]) -> float:
    """Say by what confidences are scaled.

    Args:
        calibration: what calibration.json holds.

    Returns:
        1 for not at all.
    """
    return float(calibration["temperature"]) if calibration["applied"] else 1.0


def scale(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Give scores the confidences of a temperature.

    Args:
        scores: of shape (pictures, classes), float32, rows that sum to 1.
        temperature: above 0; 1 changes nothing.

    Returns:
        Of the same shape and type; in each row the order of the classes is the same.
    """
    logs = np.log(np.maximum(scores.astype(np.float64), TINY)) / temperature
    logs -= logs.max(axis=1, keepdims=True)
    powers = np.exp(logs, out=logs)
    scaled: NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return scaled


def scaled_on_disk(scores: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Scale a matrix that need not fit into memory.

    Args:
        scores: as in `scale`; read by blocks, so a memory map will do.
        temperature: above 0.

    Returns:
        Of the same shape and type: a memory map of a file without a name, which is deleted once the map is not used
        any more.
    """
    with TemporaryFile(dir=".") as file:
        out: NDArray[np.float32] = np.memmap(file, np.float32, "w+", shape=scores.shape)
    step = max(1, BLOCK // max(1, scores.shape[1]))
    for start in range(0, len(scores), step):
        out[start : start + step] = scale(scores[start : start + step], temperature)
    return out
