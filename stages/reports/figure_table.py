"""The whole of the figures, a row a set, over all sets too, of the new model and of the base."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.agreement import count_classes, macro_f1, macro_recall, matthews_correlation, weighted_f1
from stages.metrics.answers import Answers
from stages.metrics.figures import Figures, figures
from stages.metrics.interval import clopper_pearson
from stages.metrics.ranking import Ranking
from stages.metrics.reliability import expected_calibration_error, reliability
from stages.metrics.risk_coverage import augrc, aurc
from stages.metrics.separation import false_positive_rate, separation
from stages.tables.scores import FIGURE_COLUMNS

_NAMES = tuple(name for name in FIGURE_COLUMNS if name not in ("model", "set"))


def all_figures(answers: Answers, ranking: Ranking, test: NDArray[np.float64], threshold: float) -> Figures:
    """Compute every figure of a set.

    Args:
        answers: those of the set's pictures.
        ranking: what `rank` returned of them.
        test: confidences of the test set, with which those of a set out of scope are compared.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        What `figures` returns, and the figures that look at all classes or at all thresholds. None where a figure means
        nothing, as those do without pictures, or where no picture belongs to a class.
    """
    values = figures(answers, threshold)
    if answers.out_of_scope:
        apart = {
            "roc_auc_against_test": separation(test, answers.confidence),
            "fpr_at_95_tpr": false_positive_rate(test, answers.confidence),
        }
        return {**dict.fromkeys(_NAMES), **values, **apart}
    low, high = clopper_pearson(_count(values["num_right"]), len(answers)) or (None, None)
    risk_low, risk_high = clopper_pearson(_count(values["false_positives"]), _count(values["num_at_or_above"])) or (
        None,
        None,
    )
    return {
        **dict.fromkeys(_NAMES),
        **values,
        "top_1_low": low,
        "top_1_high": high,
        "selective_risk_low": risk_low,
        "selective_risk_high": risk_high,
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        **_agreement(answers),
        "aurc": aurc(answers.confidence, answers.right),
        "augrc": augrc(answers.confidence, answers.right),
        "ece": expected_calibration_error(reliability(answers.confidence, answers.right)),
        "brier_score": float(answers.squared_error.mean()) if len(answers) else None,
    }


def figure_table(values: Mapping[str, Mapping[str, Figures]]) -> pd.DataFrame:
    """Lay out every figure of every set.

    Args:
        values: model (`new`, `base`) to what `all_figures` returned of each set.

    Returns:
        A row a set of each model with FIGURE_COLUMNS.
    """
    rows = [
        {**of_set, "model": model, "set": name} for model, by_set in values.items() for name, of_set in by_set.items()
    ]
    return pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))


def _agreement(answers: Answers) -> Figures:
    counts = count_classes(answers.truth, answers.predicted, len(answers.names))
    return {
        "macro_recall": macro_recall(counts),
        "macro_f1": macro_f1(counts),
        "weighted_f1": weighted_f1(counts),
        "matthews_correlation": matthews_correlation(counts),
    }


def _count(value: float | int | None) -> int:
    return int(value or 0)
