"""Every figure of one set of pictures that is a count, a mean or a share; reports and the gate choose among them."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from stages.metrics.accuracy import top_k_accuracy
from stages.metrics.agreement import balanced_accuracy, class_weights
from stages.metrics.answers import Answers
from stages.metrics.confidence import count_shown
from stages.metrics.interval import fraction_interval

Figures: TypeAlias = dict[str, float | int | None]

# Fractions of the set's pictures, and what each one counts. The other figures are no such fractions.
COUNTED = {
    "top_1_accuracy": "num_right",
    "true_positive_fraction": "true_positives",
    "false_positive_fraction": "false_positives",
    "coverage": "num_at_or_above",
}
BY_CONFIDENCE = ("coverage_by_confidence", "false_positive_fraction_by_confidence")
NEED_TRUTH = (
    "num_classes",
    "num_classes_total",
    "num_right",
    "num_errors",
    "truth_not_in_model",
    "top_1_accuracy",
    "top_5_accuracy",
    "balanced_accuracy",
    "log_loss",
    "weighted_log_loss",
    "true_positives",
    "true_positive_fraction",
    "macro_true_positive_fraction",
    "macro_false_positive_fraction",
    "selective_risk",
)


def figures(answers: Answers, threshold: float) -> Figures:
    """Compute the figures of a set.

    Args:
        answers: those of the set's pictures.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Counts (`num_*`, `true_positives`, `truth_not_in_model`), fractions of the set's pictures from 0 to 1, with the
        ends of the interval of each of COUNTED (`*_low`, `*_high`), log
        losses in nats (lower is better), confidences from 0 to 100. None where a figure means nothing: everything
        but the counts without pictures, NEED_TRUTH where no picture belongs to a class, `selective_risk` where nothing
        is shown.
    """
    shown = count_shown(answers.decisive, answers.right, np.array([threshold]))
    true_positives, false_positives = int(shown.true_positives[0]), int(shown.false_positives[0])
    num_shown, num_right = true_positives + false_positives, int(answers.right.sum())
    values: Figures = {
        "num_pictures": len(answers),
        "num_classes": len(np.unique(answers.truth[answers.known])),
        "num_classes_total": answers.num_classes,
        "num_right": num_right,
        "num_errors": len(answers) - num_right,
        "truth_not_in_model": int((~answers.known).sum()),
        "true_positives": true_positives,
        "false_positives": false_positives,
        "num_at_or_above": num_shown,
        "num_below": len(answers) - num_shown,
        "top_5_accuracy": top_k_accuracy(answers.rank, answers.num_classes, 5),
        "balanced_accuracy": balanced_accuracy(answers.truth, answers.predicted),
        "selective_risk": false_positives / num_shown if num_shown else None,
        **_by_confidence(answers, threshold),
        **_means(answers),
        **_macro_means(answers, threshold),
    }
    for fraction, count in COUNTED.items():
        values[fraction] = int(values[count] or 0) / len(answers) if len(answers) else None
        ends = fraction_interval(what_counts(answers, fraction, threshold), answers.source)
        values[f"{fraction}_low"], values[f"{fraction}_high"] = ends or (None, None)
    return {**values, **dict.fromkeys(NEED_TRUTH)} if answers.out_of_scope else values


def what_counts(answers: Answers, fraction: str, threshold: float) -> NDArray[np.bool_]:
    """Say of which pictures holds what one of COUNTED counts."""
    shown = answers.shown(threshold)
    values = {
        "top_1_accuracy": answers.right,
        "true_positive_fraction": answers.right & shown,
        "false_positive_fraction": ~answers.right & shown,
        "coverage": shown,
    }
    return values[fraction]


def _by_confidence(answers: Answers, threshold: float) -> Figures:
    """Compute what would be shown, and wrong, if pictures that are not in scope were answered like others."""
    if not len(answers):
        return dict.fromkeys(BY_CONFIDENCE)
    confident = answers.confidence >= threshold
    shares = float(confident.mean()), float((confident & ~answers.right).mean())
    return dict(zip(BY_CONFIDENCE, shares, strict=True))


def _macro_means(answers: Answers, threshold: float) -> Figures:
    """Compute the means in which every class that has pictures weighs the same."""
    weights, shown = class_weights(answers.truth), answers.shown(threshold)
    some = bool(weights.any())
    return {
        "macro_true_positive_fraction": float(np.mean((shown & answers.right) * weights)) if some else None,
        "macro_false_positive_fraction": float(np.mean((shown & ~answers.right) * weights)) if some else None,
    }


def _means(answers: Answers) -> Figures:
    if not len(answers):
        names = ("log_loss", "weighted_log_loss", *(f"{name}_confidence" for name in ("min", "max", "median", "mean")))
        return dict.fromkeys(names)
    return {
        "log_loss": float(answers.log_loss.mean()),
        "weighted_log_loss": float(answers.weighted_log_loss.mean()),
        "min_confidence": float(answers.confidence.min()),
        "max_confidence": float(answers.confidence.max()),
        "median_confidence": float(np.median(answers.confidence)),
        "mean_confidence": float(answers.confidence.mean()),
    }
