"""The points of the reliability diagram: how often answers of a confidence are right."""

from collections.abc import Mapping

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.interval import clopper_pearson
from stages.metrics.reliability import reliability
from stages.tables.scores import RELIABILITY_PLOT_COLUMNS


def reliability_plot(sets: Mapping[str, Answers]) -> pd.DataFrame:
    """Lay out the bins of each set that hold pictures.

    Args:
        sets: answers by set.

    Returns:
        A row a bin with RELIABILITY_PLOT_COLUMNS, by set and confidence.
    """
    rows = []
    for name, answers in sets.items():
        bins = reliability(answers.confidence, answers.right)
        for confidence, accuracy, num_pictures, num_right in zip(*bins, strict=True):
            low, high = clopper_pearson(int(num_right), int(num_pictures)) or (0.0, 1.0)
            rows.append((name, confidence, 100 * accuracy, 100 * low, 100 * high, num_pictures))
    return pd.DataFrame(rows, columns=list(RELIABILITY_PLOT_COLUMNS))
