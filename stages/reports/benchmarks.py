"""The benchmark report: confidences of each hand-picked set, next to the base's and the requirement."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.metrics.figures import Figures
from stages.reports.gate import Ruling
from stages.tables.scores import BENCHMARK_COLUMNS


def benchmark_report(
    figures: Mapping[str, Figures], base: Mapping[str, Figures], rulings: Sequence[Ruling]
) -> pd.DataFrame:
    """Make the table of the benchmarks.

    Args:
        figures: the new model's, by benchmark, in the order of the rows.
        base: the base's; empty without one.
        rulings: all of the gate's.

    Returns:
        One row per benchmark with BENCHMARK_COLUMNS.
    """
    rows = [
        {
            "benchmark": name,
            **values,
            **{f"base_{key}": value for key, value in base.get(name, {}).items()},
            **_requirement([ruling for ruling in rulings if ruling.set == name]),
        }
        for name, values in figures.items()
    ]
    return pd.DataFrame(rows, columns=list(BENCHMARK_COLUMNS))


def _requirement(rulings: Sequence[Ruling]) -> dict[str, Any]:
    if not rulings:
        return {"requirement": "", "passed": None}
    text = "; ".join(f"{ruling.metric} {ruling.bound}" for ruling in rulings)
    return {"requirement": text, "passed": all(ruling.passed for ruling in rulings)}
