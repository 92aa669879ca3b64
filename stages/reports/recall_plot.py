"""The points of the plot of every class's recall, worst first: which classes users are let down by."""

import numpy as np
import pandas as pd

from stages.metrics.agreement import count_classes
from stages.metrics.answers import Answers
from stages.metrics.interval import fraction_intervals
from stages.tables.scores import RECALL_PLOT_COLUMNS


def recall_plot(answers: Answers) -> pd.DataFrame:
    """Make the points, one per class that has pictures.

    Args:
        answers: those of one set.

    Returns:
        One row per class with RECALL_PLOT_COLUMNS, lowest recall first; of equal recalls, more pictures first.
    """
    counts = count_classes(answers.truth, answers.predicted, len(answers.names))
    has = counts.support > 0
    support, hits = counts.support[has], counts.hits[has]
    frame = pd.DataFrame({"class_name": np.array(answers.names, dtype=object)[has], "support": support})
    frame["recall"] = hits / support
    of_class = answers.take(answers.truth >= 0)
    frame[["low", "high"]] = fraction_intervals(of_class.right, of_class.truth, of_class.source)
    frame = frame.sort_values(["recall", "support", "class_name"], ascending=[True, False, True])
    return frame.assign(rank=np.arange(1, len(frame) + 1))[list(RECALL_PLOT_COLUMNS)]
