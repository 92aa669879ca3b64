"""Which classes are taken for which others: the table, and the pairs that the plot shows."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.confusion import count_confused
from stages.tables.scores import CONFUSED_COLUMNS, CONFUSED_PLOT_COLUMNS

NUM_PLOTTED = 30  # what a reader takes in at a glance


def confused_pairs(sets: Mapping[str, Answers], confused: pd.DataFrame) -> pd.DataFrame:
    """List every confused pair of every set, with its share and its weight.

    Args:
        sets: answers by set.
        confused: columns `truth`, `predicted` (names), `weight` (0 to 1).

    Returns:
        Rows with CONFUSED_COLUMNS, worst first: by count times weight, then by count, share and names.
    """
    frame = pd.concat([_pairs_of_set(name, answers) for name, answers in sets.items()])
    frame = frame.merge(confused, on=["truth", "predicted"], how="left").fillna({"weight": 1.0})
    frame["cost"] = frame["count"] * frame["weight"]
    order = ["cost", "count", "share", "set", "truth", "predicted"]
    frame = frame.sort_values(order, ascending=[False, False, False, True, True, True], ignore_index=True)
    return frame[list(CONFUSED_COLUMNS)]


def confused_plot(pairs: pd.DataFrame) -> pd.DataFrame:
    """Choose the pairs that the plot shows.

    Args:
        pairs: rows of one set of what `confused_pairs` returned.

    Returns:
        At most NUM_PLOTTED rows with CONFUSED_PLOT_COLUMNS, most frequent first; never none, which DVC cannot draw.
    """
    most = pairs.sort_values("count", ascending=False, kind="stable").head(NUM_PLOTTED)
    labels = (most["truth"] + " taken for " + most["predicted"]).tolist()
    rows = list(zip(labels or ["none"], most["count"].tolist() or [0], strict=True))
    return pd.DataFrame(rows, columns=list(CONFUSED_PLOT_COLUMNS))


def _pairs_of_set(name: str, answers: Answers) -> pd.DataFrame:
    frame, names = count_confused(answers), np.array(answers.names, dtype=object)
    support = np.bincount(answers.truth[answers.truth >= 0], minlength=len(names))
    return pd.DataFrame(
        {
            "set": name,
            "truth": pd.Series(names[frame["truth"]], dtype=str),
            "predicted": pd.Series(names[frame["predicted"]], dtype=str),
            "count": frame["count"],
            "share": frame["count"] / support[frame["truth"]],
        }
    )
