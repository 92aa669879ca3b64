"""Every figure of one set of pictures: also those that look at all classes or at all thresholds."""

import numpy as np
from numpy.typing import NDArray

from stages.metrics.agreement import macro_f1, matthews_correlation, weighted_f1
from stages.metrics.answers import Answers
from stages.metrics.figures import Figures, figures
from stages.metrics.interval import fraction_interval
from stages.metrics.ranking import Ranking
from stages.metrics.reliability import expected_calibration_error, reliability
from stages.metrics.risk_coverage import augrc, aurc
from stages.metrics.separation import false_positive_rate, separation

# They mean nothing where no picture belongs to a class, as those of `figures.NEED_TRUTH` do.
NEED_CLASSES = (
    "top_1_low",
    "top_1_high",
    "selective_risk_low",
    "selective_risk_high",
    "roc_auc",
    "average_precision",
    "macro_f1",
    "weighted_f1",
    "matthews_correlation",
    "aurc",
    "augrc",
    "ece",
    "brier_score",
)
AGAINST_HELD_OUT = ("roc_auc_against_held_out", "fpr_at_95_tpr")  # they mean something only there


def all_figures(answers: Answers, ranking: Ranking, held_out: NDArray[np.float64], threshold: float) -> Figures:
    """Compute every figure of a set.

    Args:
        answers: those of the set's pictures.
        ranking: what `rank` returned of them.
        held_out: confidences of validation and test, with which those of a set out of scope are compared.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        What `figures` returns, NEED_CLASSES and AGAINST_HELD_OUT. None where a figure means nothing, as those do
        without pictures, or where no picture belongs to a class.
    """
    values = figures(answers, threshold)
    if answers.out_of_scope:
        return {**values, **dict.fromkeys(NEED_CLASSES), **_against_held_out(answers.confidence, held_out)}
    return {
        **values,
        **dict.fromkeys(AGAINST_HELD_OUT),
        "top_1_low": values["top_1_accuracy_low"],
        "top_1_high": values["top_1_accuracy_high"],
        **_interval_of_risk(answers.take(answers.shown(threshold))),
        **ranking._asdict(),
        **_agreement(answers),
        **_on_confidence(answers),
    }


def _against_held_out(confidence: NDArray[np.float64], held_out: NDArray[np.float64]) -> Figures:
    apart = separation(held_out, confidence), false_positive_rate(held_out, confidence)
    return dict(zip(AGAINST_HELD_OUT, apart, strict=True))


def _interval_of_risk(shown: Answers) -> Figures:
    low, high = fraction_interval(~shown.right, shown.source) or (None, None)
    return {"selective_risk_low": low, "selective_risk_high": high}


def _agreement(answers: Answers) -> Figures:
    truth, predicted = answers.truth, answers.predicted
    return {
        "macro_f1": macro_f1(truth, predicted),
        "weighted_f1": weighted_f1(truth, predicted),
        "matthews_correlation": matthews_correlation(truth, predicted),
    }


def _on_confidence(answers: Answers) -> Figures:
    return {
        "aurc": aurc(answers.confidence, answers.right),
        "augrc": augrc(answers.confidence, answers.right),
        "ece": expected_calibration_error(reliability(answers.confidence, answers.right)),
        "brier_score": float(answers.squared_error.mean()) if len(answers) else None,
    }
