"""Which way to a confidence ranks right answers first, and keeps out what is out of scope at the same coverage."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.answers import Answers
from stages.metrics.risk_coverage import aurc, coverage_at_risk
from stages.metrics.scaling import Scaling
from stages.metrics.separation import separation
from stages.metrics.ways import Ways
from stages.tables.scores import CONFIDENCE_COLUMNS, HELD_OUT


def confidence_report(
    answers: Answers,
    ways: Ways,
    scalings: Mapping[str, Scaling | None],
    sets: Mapping[str, NDArray[np.int64]],
    threshold: float,
    wanted_error: float,
) -> pd.DataFrame:
    """Compare the ways of one model.

    Args:
        answers: to all pictures.
        ways: name to confidence of shape (pictures,); `softmax` is one of them.
        scalings: of those that are fitted.
        sets: name to its pictures; HELD_OUT is one of them.
        threshold: confidence from which an answer is shown, 0 to 100. What the softmax shows of HELD_OUT at it is the
            coverage at which all ways are compared out of scope.
        wanted_error: share of wrong answers among those that are shown.

    Returns:
        Rows with CONFIDENCE_COLUMNS but for the model, set by set.
    """
    num_shown = int((ways["softmax"][sets[HELD_OUT]] >= threshold).sum())
    rows = []
    for set_name, pictures in sets.items():
        own = answers.take(pictures)
        for name, confidence in ways.items():
            row = {"set": set_name, "confidence": name, "num_pictures": len(own)}
            row |= scaling._asdict() if (scaling := scalings.get(name)) else {}
            if own.out_of_scope:
                row |= _out_of_scope(confidence[sets[HELD_OUT]], confidence[pictures], num_shown)
            else:
                row["aurc"] = aurc(confidence[pictures], own.right)
                row["coverage_at_wanted_error"] = coverage_at_risk(confidence[pictures], own.right, wanted_error)
            rows.append(row)
    return pd.DataFrame(rows, columns=list(CONFIDENCE_COLUMNS))


def _out_of_scope(held_out: NDArray[np.float64], outside: NDArray[np.float64], num_shown: int) -> dict[str, Any]:
    """Compare the confidences of a set out of scope with those of the pictures in scope."""
    row: dict[str, Any] = {"roc_auc_against_held_out": separation(held_out, outside)}
    if num_shown:
        threshold = np.sort(held_out)[-num_shown]
        row["coverage"] = num_shown / len(held_out)
        row["false_accept_rate"] = float(np.mean(outside >= threshold))
    return row
