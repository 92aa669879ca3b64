"""The table of every figure of every set, of the new model and of the base."""

from collections.abc import Mapping

import pandas as pd

from stages.metrics.figures import Figures
from stages.tables.scores import FIGURE_COLUMNS


def figure_table(values: Mapping[str, Mapping[str, Figures]]) -> pd.DataFrame:
    """Make the table of all figures.

    Args:
        values: model (`new`, `base`) to what `all_figures` returned of each set.

    Returns:
        One row per set of each model, with FIGURE_COLUMNS.
    """
    rows = [
        {**of_set, "model": model, "set": name} for model, by_set in values.items() for name, of_set in by_set.items()
    ]
    return pd.DataFrame(rows, columns=list(FIGURE_COLUMNS))
