"""metrics.json: the figures of each set that a reader of `dvc metrics diff` sees."""

from collections.abc import Mapping

from stages.metrics.agreement import count_classes, macro_f1, matthews_correlation
from stages.metrics.answers import Answers
from stages.metrics.figures import DIGITS, Figures, figures
from stages.metrics.ranking import Ranking
from stages.metrics.splits import LIBRARY_SPLITS

SUMMARY = (
    "num_pictures",
    "top_1_accuracy",
    "log_loss",
    "weighted_log_loss",
    "true_positive_fraction",
    "false_positive_fraction",
)


def summaries(sets: Mapping[str, Answers], rankings: Mapping[str, Ranking], threshold: float) -> dict[str, Figures]:
    """Choose what metrics.json shows; the training set, which flatters every model, is left out.

    Args:
        sets: answers by set.
        rankings: of the sets that get every figure.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Set to figures, rounded: first the sets that get every figure, then the benchmarks.
    """
    full = {
        name: _full_summary(sets[name], figures(sets[name], threshold), ranking) for name, ranking in rankings.items()
    }
    short = {name: _summary(figures(sets[name], threshold)) for name in sets if name not in LIBRARY_SPLITS}
    return {name: _rounded(chosen) for name, chosen in {**full, **short}.items()}


def _summary(values: Figures) -> Figures:
    """Choose what metrics.json shows of any set, a benchmark included.

    Args:
        values: what `figures` returned.

    Returns:
        The figures of SUMMARY; those that mean nothing in the set are left out, unless it is for want of pictures.
    """
    chosen = {name: values[name] for name in SUMMARY}
    return {name: value for name, value in chosen.items() if value is not None or not values["num_pictures"]}


def _full_summary(answers: Answers, values: Figures, ranking: Ranking) -> Figures:
    """Choose what metrics.json shows of the test and the validation set.

    Args:
        answers: those of the set's pictures.
        values: what `figures` returned of them.
        ranking: what `rank` returned of them.

    Returns:
        The figures of SUMMARY, and those that need many pictures of many classes; None where a figure means nothing.
    """
    counts = count_classes(answers.truth, answers.predicted, len(answers.names))
    return {
        **{name: values[name] for name in SUMMARY},
        "top_5_accuracy": values["top_5_accuracy"],
        "macro_f1": macro_f1(counts),
        "matthews_correlation": matthews_correlation(counts),
        "roc_auc": ranking.roc_auc,
        "average_precision": ranking.average_precision,
        "coverage": values["coverage"],
        "selective_risk": values["selective_risk"],
    }


def _rounded(values: Figures) -> Figures:
    """Round fractions, losses and confidences to DIGITS decimals; counts and None stay."""
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in values.items()}
