"""metrics.json: the figures of each set that a reader of `dvc metrics diff` sees."""

from collections.abc import Mapping

from stages.metrics.figures import Figures
from stages.metrics.splits import EVALUATION_SPLITS, LIBRARY_SPLITS
from stages.tables.scores import ALL_SETS, DIGITS, SUMMARY

# Those that need many pictures of many classes.
FULL_SUMMARY = (
    *SUMMARY,
    "top_5_accuracy",
    "macro_f1",
    "matthews_correlation",
    "roc_auc",
    "average_precision",
    "coverage",
    "selective_risk",
    "aurc",
    "ece",
)


def summaries(values: Mapping[str, Figures]) -> dict[str, Figures]:
    """Choose what metrics.json shows.

    The training set, which flatters every model, and the sum over all sets are left out.

    Args:
        values: what `all_figures` returned of each set.

    Returns:
        Set to figures, rounded: first the sets that get FULL_SUMMARY, then the benchmarks. Figures that
        mean nothing for a benchmark are left out, unless it has no pictures.
    """
    full = {name: {key: values[name][key] for key in FULL_SUMMARY} for name in EVALUATION_SPLITS}
    short = {name: _short(of_set) for name, of_set in values.items() if name not in (*LIBRARY_SPLITS, ALL_SETS)}
    return {name: _rounded(chosen) for name, chosen in {**full, **short}.items()}


def _short(values: Figures) -> Figures:
    chosen = {name: values[name] for name in SUMMARY}
    return {name: value for name, value in chosen.items() if value is not None or not values["num_pictures"]}


def _rounded(values: Figures) -> Figures:
    """Round fractions, losses and confidences to DIGITS decimals; counts and None stay."""
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}
