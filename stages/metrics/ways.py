"""Ways to a confidence, of one model: how sure each says that every judged picture is answered rightly."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from runtime.memory_map import release_pages
from stages.metrics.scaling import BLOCK, UNSCALED, Scaling, scale
from stages.metrics.temperature import fit_scaling

Ways = dict[str, NDArray[np.float64]]


def fit_ways(scores: NDArray[np.float32], truth: NDArray[np.int64]) -> dict[str, Scaling | None]:
    """Fit the ways that have something to fit.

    Args:
        scores: of the validation set, of shape (pictures, classes), float32.
        truth: of shape (pictures,), int64.

    Returns:
        By the name that score.confidence gives it; None where the validation set does not tell.
    """
    return {
        "softmax": UNSCALED,
        "temperature": fit_scaling(scores, truth, normalise=False),
        "normalised_logits": fit_scaling(scores, truth, normalise=True),
    }


def confidences(
    scores: NDArray[np.float32],
    log_partition: NDArray[np.float64],
    scalings: Mapping[str, Scaling | None],
    rows: NDArray[np.int64],
) -> Ways:
    """Compute the confidence of some pictures in every way.

    Args:
        scores: of shape (pictures, classes), float32; read by blocks, so a memory map will do.
        log_partition: of shape (pictures,): minus the energy.
        scalings: what `fit_ways` returned.
        rows: which pictures are judged.

    Returns:
        Way to confidence of shape (pictures,), higher where the model is surer; NaN where a picture is not judged. The
        scaled ones and the softmax are from 0 to 100.

    Source: Hendrycks and Gimpel 2017, "A baseline for detecting misclassified and out-of-distribution examples", for
        the highest softmax score; Liu et al. 2020, "Energy-based out-of-distribution detection", for the energy;
        Hendrycks et al. 2022, "Scaling out-of-distribution detection for real-world settings", for the highest logit.
    """
    ways = {name: np.full(len(scores), np.nan) for name, scaling in scalings.items() if scaling is not None}
    step = max(1, BLOCK // max(1, scores.shape[1]))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        for name, values in ways.items():
            scaling = scalings[name] or UNSCALED
            scaled = scores[block] if scaling == UNSCALED else scale(scores[block], scaling)
            values[block] = 100.0 * scaled.max(axis=1)
    release_pages(scores)
    highest_logit = np.log(ways["softmax"] / 100.0) + log_partition
    return {**ways, "highest_logit": highest_logit, "energy": log_partition}
