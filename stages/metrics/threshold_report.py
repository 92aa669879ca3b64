"""The threshold report: what users would have been shown of each set; and the same over many thresholds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.answers import Answers
from stages.metrics.confidence import count_shown
from stages.metrics.figures import COUNTED, Figures
from stages.metrics.interval import clopper_pearson
from stages.tables.scores import THRESHOLD_COLUMNS, THRESHOLD_PLOT_COLUMNS

# Wide steps where few set their threshold, narrow ones where an answer in a hundred matters.
THRESHOLDS = np.concatenate([np.arange(500, 950, 10), np.arange(950, 1000)]) / 10


def threshold_report(figures: Mapping[str, Figures]) -> pd.DataFrame:
    """Lay out right and wrong answers at or above the threshold, in counts and shares.

    Args:
        figures: of each set, in the order of the rows.

    Returns:
        A row a set with THRESHOLD_COLUMNS.
    """
    rows = [{"set": name, **values, **_ends(values)} for name, values in figures.items()]
    return pd.DataFrame(rows, columns=list(THRESHOLD_COLUMNS))


def threshold_curves(test: Answers, validation: Answers) -> pd.DataFrame:
    """Compute accuracy among shown answers, and coverage, over THRESHOLDS.

    Args:
        test: answers of the test set.
        validation: of the validation set.

    Returns:
        A row a threshold with THRESHOLD_PLOT_COLUMNS, fractions from 0 to 1; accuracy is NaN where nothing is shown.
    """
    curves = [THRESHOLDS, *_curves(test), *_curves(validation)]
    return pd.DataFrame(dict(zip(THRESHOLD_PLOT_COLUMNS, curves, strict=True)))


def _ends(values: Figures) -> Figures:
    """Give the ends of the intervals of the two fractions."""
    ends: Figures = {}
    for name in ("true_positive", "false_positive"):
        if values[f"{name}_fraction"] is not None:
            count, total = values[COUNTED[f"{name}_fraction"]], values["num_pictures"]
            interval = clopper_pearson(int(count or 0), int(total or 0))
            ends[f"{name}_low"], ends[f"{name}_high"] = interval or (None, None)
    return ends


def _curves(answers: Answers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    shown = count_shown(answers.confidence, answers.right, THRESHOLDS)
    total = shown.true_positives + shown.false_positives
    accuracy, coverage = np.full((2, len(THRESHOLDS)), np.nan)
    np.divide(shown.true_positives, total, out=accuracy, where=total > 0)
    np.divide(total, len(answers), out=coverage, where=len(answers) > 0)
    return accuracy, coverage
