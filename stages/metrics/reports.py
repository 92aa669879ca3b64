"""The reports that `score` writes as CSV files."""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.benchmark_report import benchmark_report
from stages.metrics.confusion import confused_pairs, confused_plot
from stages.metrics.figures import figures
from stages.metrics.gate import Ruling
from stages.metrics.per_class import per_class
from stages.metrics.splits import JUDGING, LIBRARY_SPLITS
from stages.metrics.threshold_report import threshold_curves, threshold_report
from stages.tables import scores


def lay_out(
    sets: Mapping[str, Answers],
    base_sets: Mapping[str, Answers],
    rulings: Sequence[Ruling],
    confused: pd.DataFrame,
    threshold: float,
) -> dict[str, pd.DataFrame]:
    """Lay out the reports and the plots' data.

    Args:
        sets: answers by set.
        base_sets: the base's; empty without a base.
        rulings: the gate's.
        confused: columns `truth`, `predicted`, `weight`.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Path to rows.
    """
    values, base_values = (
        {name: figures(answers, threshold) for name, answers in several.items()} for several in (sets, base_sets)
    )
    benchmarks = {name: value for name, value in values.items() if name not in LIBRARY_SPLITS}
    pairs = confused_pairs({name: answers for name, answers in sets.items() if name != "train"}, confused)
    return {
        scores.THRESHOLD_REPORT: threshold_report(values),
        scores.PER_CLASS: pd.concat([per_class(name, sets[name], threshold) for name in JUDGING]),
        scores.CONFUSED_PAIRS: pairs,
        scores.BENCHMARKS: benchmark_report(benchmarks, base_values, rulings),
        scores.THRESHOLD_PLOT: threshold_curves(sets["test"], sets["validation"]),
        scores.CONFUSED_PLOT: confused_plot(pairs[pairs["set"] == "test"]),
    }
