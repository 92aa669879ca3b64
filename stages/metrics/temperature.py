"""Temperature scaling, of logits as they are or normalised, fitted on the validation set to the log loss."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from stages.metrics.risk_coverage import aurc
from stages.metrics.scaling import Scaling, recovered_logits, scale
from stages.metrics.truth import is_known

LIMITS = (0.05, 20.0)  # beyond them every confidence is 100, or none is far from 1 / classes
NORMALISED_LIMITS = (1e-4, 20.0)  # a normalised logit is at most 1, and small where there are many classes
ORDERS = range(2, 11)  # of the norms that are tried
NUM_PARTS = 2  # of the validation set, in each of which a norm must do better: else chance would choose one
FIT_PICTURES = 2000  # that choose among them: more would take minutes with 1,500 classes
DIGITS = 6  # of a temperature, significant ones: confidences then agree to a ten-thousandth


def fit_scaling(scores: NDArray[np.float32], truth: NDArray[np.int64], *, normalise: bool) -> Scaling | None:
    """Find the temperature, and the norm whose confidences rank right answers best before wrong ones.

    A picture with large logits, all of them, is not more surely right. Divided by their norm, logits say how far the
    best one stands out. Logarithms of scores less their mean are logits less theirs, so scores are all it takes. A
    score that float32 cannot hold counts as the smallest that it can.

    Args:
        scores: as in `fit_temperature`.
        truth: as in `fit_temperature`.
        normalise: whether a norm is looked for. None is taken unless it has the lower AURC in each of NUM_PARTS.

    Returns:
        None where no temperature is the best.

    Source: Cattelan and Silva 2023, "How to fix a broken confidence estimator" (arXiv 2305.15508), whose first version
        has this one, p-NormSoftmax, and whose last takes the highest normalised logit, which is no probability. Guo et
        al. 2017 for the temperature; there it is fitted to AURC too, here to log loss, so that 95 keeps its meaning.
    """
    temperature = fit_temperature(scores, truth)
    if temperature is None or not normalise:
        return None if temperature is None else Scaling(temperature, None)
    known = np.flatnonzero(is_known(truth, scores.shape[1]))
    chosen = known[:: -(-len(known) // FIT_PICTURES)]
    some, some_truth = scores[chosen], truth[chosen]
    tried = [Scaling(temperature, None)]
    tried += [Scaling(found, order) for order in ORDERS if (found := fit_temperature(some, some_truth, order))]
    risks = np.array([_risks(some, some_truth, scaling) for scaling in tried])
    better = np.flatnonzero((risks[1:] < risks[0]).all(axis=1)) + 1
    if not len(better):
        return tried[0]
    order = tried[better[np.argmin(risks[better].sum(axis=1))]].norm_order
    return Scaling(fit_temperature(scores, truth, order) or temperature, order)


def _risks(scores: NDArray[np.float32], truth: NDArray[np.int64], scaling: Scaling) -> list[float]:
    """Compute the AURC of each part."""
    confidence, right = scale(scores, scaling).max(axis=1).astype(np.float64), scores.argmax(axis=1) == truth
    return [aurc(confidence[part::NUM_PARTS], right[part::NUM_PARTS]) or 0.0 for part in range(NUM_PARTS)]


def fit_temperature(
    scores: NDArray[np.float32], truth: NDArray[np.int64], norm_order: int | None = None
) -> float | None:
    """Find the temperature with the least log loss. It changes no answer, only the confidence in it.

    Dividing logits by T, and dividing the logarithms of the scores by it, are the same once the result sums to 1.

    Args:
        scores: of shape (pictures, classes), float32: softmax scores of the validation set.
        truth: of shape (pictures,), int64: numbers of classes; pictures of classes that the model does not know
            are left out.
        norm_order: as in `Scaling`.

    Returns:
        Within LIMITS, or NORMALISED_LIMITS with a norm. Without one it is above 1 where the model is too confident.
        None where no temperature is the best: without pictures, when the truth has the highest score in each (the
        colder the better), or when the best is at a limit.

    Source: Guo et al. 2017, "On calibration of modern neural networks", section 4.2.
    """
    known = np.flatnonzero(is_known(truth, scores.shape[1]))
    logs = recovered_logits(scores[known], norm_order)
    logs -= logs.max(axis=1, keepdims=True, initial=-np.inf)
    truth_logs = logs[np.arange(len(known)), truth[known]]
    if not truth_logs.any():
        return None

    def loss(log_temperature: float) -> float:
        coldness = np.exp(-log_temperature)
        return float(np.mean(np.log(np.exp(logs * coldness).sum(axis=1)) - truth_logs * coldness))

    lowest, highest = LIMITS if norm_order is None else NORMALISED_LIMITS
    bounds = (np.log(lowest), np.log(highest))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-8}).x
    at_limit = min(best - bounds[0], bounds[1] - best) < 1e-3
    return None if at_limit else float(f"{np.exp(best):.{DIGITS}g}")
