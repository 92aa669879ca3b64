"""The threshold report: what users would have been shown of each set; and the same over many thresholds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.confidence import count_shown
from stages.metrics.figures import Figures
from stages.tables.scores import THRESHOLD_COLUMNS, THRESHOLD_PLOT_COLUMNS

# Wide steps where few teams set their threshold, narrow ones where one answer in a hundred matters.
THRESHOLDS = np.concatenate([np.arange(500, 950, 10), np.arange(950, 1000)]) / 10


def threshold_report(figures: Mapping[str, Figures]) -> pd.DataFrame:
    """Make the table of right and wrong answers at or above the threshold, in counts and shares.

    Args:
        figures: of each set, in the order of the rows.

    Returns:
        One row per set with THRESHOLD_COLUMNS.
    """
    rows = [{"set": name, **values, **_ends(values)} for name, values in figures.items()]
    return pd.DataFrame(rows, columns=list(THRESHOLD_COLUMNS))


def threshold_curves(sets: Mapping[str, Answers], in_use: float) -> pd.DataFrame:
    """Compute the report over THRESHOLDS.

    Args:
        sets: answers by set; those without pictures have no rows.
        in_use: confidence from which an answer is shown, 0 to 100, which the plot marks.

    Returns:
        One row per threshold in each set with THRESHOLD_PLOT_COLUMNS.
    """
    curves = [_curves(name, answers) for name, answers in sets.items() if len(answers)]
    return pd.concat(curves, ignore_index=True).assign(in_use=in_use)[list(THRESHOLD_PLOT_COLUMNS)]


def _ends(values: Figures) -> Figures:
    """Give the ends of the intervals of the two fractions."""
    ends: Figures = {}
    for name in ("true_positive", "false_positive"):
        if values[f"{name}_fraction"] is not None:
            ends |= {f"{name}_{end}": values[f"{name}_fraction_{end}"] for end in ("low", "high")}
    return ends


def _curves(name: str, answers: Answers) -> pd.DataFrame:
    shown = count_shown(answers.decisive, answers.right, THRESHOLDS)
    num_shown = shown.true_positives + shown.false_positives
    risk = np.full(len(THRESHOLDS), np.nan)
    np.divide(shown.false_positives, num_shown, out=risk, where=num_shown > 0)
    frame = pd.DataFrame(
        {
            "set": name,
            "threshold": THRESHOLDS,
            "true_positives": shown.true_positives,
            "false_positives": shown.false_positives,
            "true_positive_fraction": shown.true_positives / len(answers),
            "false_positive_fraction": shown.false_positives / len(answers),
            "coverage": num_shown / len(answers),
            "selective_risk": risk,
        }
    )
    return (
        frame.assign(true_positives=None, true_positive_fraction=None, selective_risk=None)
        if answers.out_of_scope
        else frame
    )
