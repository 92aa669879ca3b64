"""metrics.json: the figures of each set that a reader of `dvc metrics diff` sees."""

from collections.abc import Mapping

from stages.metrics.figures import Figures
from stages.metrics.splits import EVALUATION_SPLITS, LIBRARY_SPLITS
from stages.tables.scores import ALL_SETS, DIGITS, HELD_OUT, SUMMARY

# Those that need many pictures of many classes.
FULL_SUMMARY = (
    *SUMMARY,
    "num_classes",
    "macro_f1",
    "matthews_correlation",
    "roc_auc",
    "average_precision",
    "aurc",
    "ece",
)
# Of the set that everything stands on: first what it says of the classes.
HEADLINE = (
    "num_pictures",
    "num_classes",
    "num_classes_total",
    "top_1_accuracy",
    "balanced_accuracy",
    "top_5_accuracy",
    *FULL_SUMMARY,
    "coverage",
    "selective_risk",
)


def summaries(values: Mapping[str, Figures]) -> dict[str, Figures]:
    """Choose what metrics.json shows.

    The training set, which flatters every model, and the sum over all sets are left out.

    Args:
        values: what `all_figures` returned of each set.

    Returns:
        Set to figures, rounded: HELD_OUT with HEADLINE, the sets that get FULL_SUMMARY, then the benchmarks. Figures
        that mean nothing for a benchmark are left out, unless it has no pictures.
    """
    headline = {HELD_OUT: {key: values[HELD_OUT][key] for key in HEADLINE}}
    full = {name: {key: values[name][key] for key in FULL_SUMMARY} for name in EVALUATION_SPLITS}
    benchmarks = [name for name in values if name not in (HELD_OUT, *LIBRARY_SPLITS, ALL_SETS)]
    short = {name: _short(values[name]) for name in benchmarks}
    return {name: _rounded(chosen) for name, chosen in {**headline, **full, **short}.items()}


def _short(values: Figures) -> Figures:
    chosen = {name: values[name] for name in SUMMARY}
    return {name: value for name, value in chosen.items() if value is not None or not values["num_pictures"]}


def _rounded(values: Figures) -> Figures:
    """Round fractions, losses and confidences to DIGITS decimals; counts and None stay."""
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}
