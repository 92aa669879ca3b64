"""What scaling does to the confidences of each set: their figures without it, and with it."""

from collections.abc import Mapping

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.figures import figures
from stages.metrics.reliability import expected_calibration_error, reliability
from stages.metrics.scaling import Scaling
from stages.tables.scores import CALIBRATION_COLUMNS


def calibration_report(
    by_way: Mapping[str, Mapping[str, Answers]], scalings: Mapping[str, Scaling], threshold: float
) -> pd.DataFrame:
    """Make the table of the figures that scaling changes.

    Args:
        by_way: what score.confidence calls it, to the answers by set.
        scalings: of each.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        One row per set and way with CALIBRATION_COLUMNS, set by set.
    """
    rows = [
        {"set": name, "confidence": way, **scalings[way]._asdict(), **_figures(sets[name], threshold)}
        for name in next(iter(by_way.values()))
        for way, sets in by_way.items()
    ]
    return pd.DataFrame(rows, columns=list(CALIBRATION_COLUMNS))


def _figures(answers: Answers, threshold: float) -> dict[str, float | int | None]:
    values = figures(answers, threshold)
    if not len(answers) or answers.out_of_scope:
        return values
    return {
        **values,
        "brier_score": float(answers.squared_error.mean()),
        "ece": expected_calibration_error(reliability(answers.confidence, answers.right)),
    }
