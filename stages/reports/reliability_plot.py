"""The points of the reliability diagram: how often answers of a confidence are right."""

from collections.abc import Mapping

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.interval import fraction_intervals
from stages.metrics.reliability import bin_numbers, reliability
from stages.tables.scores import RELIABILITY_PLOT_COLUMNS


def reliability_plot(sets: Mapping[str, Answers]) -> pd.DataFrame:
    """Make the points, one per bin that holds pictures.

    Args:
        sets: answers by set.

    Returns:
        One row per bin with RELIABILITY_PLOT_COLUMNS, by set and confidence.
    """
    return pd.concat([_points(name, answers) for name, answers in sets.items()], ignore_index=True)


def _points(name: str, answers: Answers) -> pd.DataFrame:
    bins = reliability(answers.confidence, answers.right)
    frame = pd.DataFrame({"confidence": bins.confidence, "accuracy": 100 * bins.accuracy})
    parts = bin_numbers(answers.confidence)
    frame[["low", "high"]] = 100 * fraction_intervals(answers.right, parts, answers.source)
    return frame.assign(set=name, num_pictures=bins.num_pictures)[list(RELIABILITY_PLOT_COLUMNS)]
