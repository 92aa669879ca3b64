"""What temperature scaling does to each set: the figures on confidence without it, and with it."""

from collections.abc import Mapping

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.figures import figures
from stages.metrics.reliability import expected_calibration_error, reliability
from stages.tables.scores import CALIBRATION_COLUMNS


def calibration_report(by_temperature: Mapping[float, Mapping[str, Answers]], threshold: float) -> pd.DataFrame:
    """Make the table of the figures that a temperature changes.

    Args:
        by_temperature: temperature to the answers by set; 1 is without.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        One row per set and temperature with CALIBRATION_COLUMNS, set by set.
    """
    rows = [
        {"set": name, "temperature": temperature, **_figures(sets[name], threshold)}
        for name in next(iter(by_temperature.values()))
        for temperature, sets in by_temperature.items()
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
