"""All reports and plots' data that `score` writes as CSV files, but for the one on calibration."""

from collections.abc import Mapping, Sequence

import pandas as pd

from stages.metrics.answers import Answers
from stages.metrics.figures import Figures
from stages.metrics.splits import EVALUATION_SPLITS, LIBRARY_SPLITS
from stages.reports.against_base import against_base
from stages.reports.benchmarks import benchmark_report
from stages.reports.confused_pairs import confused_pairs, confused_plot
from stages.reports.figure_table import figure_table
from stages.reports.gate import Ruling
from stages.reports.per_class import per_class
from stages.reports.recall_plot import recall_plot
from stages.reports.reliability_plot import reliability_plot
from stages.reports.thresholds import threshold_curves, threshold_report
from stages.tables import scores


def csv_reports(
    values: Mapping[str, Mapping[str, Figures]],
    sets: Mapping[str, Mapping[str, Answers]],
    rulings: Sequence[Ruling],
    confused: pd.DataFrame,
    threshold: float,
) -> dict[str, pd.DataFrame]:
    """Make the reports and the plots' data.

    Args:
        values: model (`new`, and `base` if there is one) to what `all_figures` returned of each set.
        sets: model to the answers of each set.
        rulings: the gate's.
        confused: columns `truth`, `predicted`, `weight`.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Path to rows.
    """
    new, base = sets["new"], sets.get("base", {})
    others = (scores.HELD_OUT, *LIBRARY_SPLITS, scores.ALL_SETS)
    benchmarks = {name: of_set for name, of_set in values["new"].items() if name not in others}
    pairs = confused_pairs(new, confused)
    curves = {name: answers for name, answers in new.items() if name != scores.ALL_SETS}
    return {
        scores.FIGURES: figure_table(values),
        scores.THRESHOLD_REPORT: threshold_report(values["new"]),
        scores.PER_CLASS: pd.concat([per_class(name, answers, threshold) for name, answers in new.items()]),
        scores.CONFUSED_PAIRS: pairs,
        scores.BENCHMARKS: benchmark_report(benchmarks, values.get("base", {}), rulings),
        scores.AGAINST_BASE: against_base(new, base, threshold),
        scores.THRESHOLD_PLOT: threshold_curves(curves, threshold),
        scores.RELIABILITY_PLOT: reliability_plot({name: new[name] for name in (scores.HELD_OUT, *EVALUATION_SPLITS)}),
        scores.RECALL_PLOT: recall_plot(new[scores.HELD_OUT]),
        scores.CONFUSED_PLOT: confused_plot(pairs[pairs["set"] == scores.HELD_OUT]),
    }
