"""A figure of the new model against the base's on the same pictures, with the interval of how much worse it is."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stages.metrics.agreement import class_weights
from stages.metrics.answers import Answers
from stages.metrics.figures import COUNTED, figures, what_counts
from stages.metrics.paired import paired_interval, share_interval
from stages.metrics.truth import NO_CLASS

LOWER_IS_BETTER = ("false_positive_fraction", "log_loss", "weighted_log_loss")
LEVEL = 0.90  # of the interval, so that each of its ends holds with 95 % confidence
SEED = 0  # of the bootstrap: any number will do, but always the same


class Comparison(NamedTuple):
    """The outcome of a comparison.

    Attributes:
        figure: the new model's.
        base_figure: the base's on the same pictures.
        worse_by: how much worse the new one is; negative where it is better.
        interval: lowest and highest true value that this leaves likely.
    """

    figure: float
    base_figure: float
    worse_by: float
    interval: tuple[float, float]


def comparable(base: Answers) -> NDArray[np.bool_]:
    """Tell on which pictures the two can be compared.

    The base is wrong on every picture of a class that it does not know, which would hide what the new model lost.

    Args:
        base: the base's answers.

    Returns:
        Of shape (pictures,), bool.
    """
    known: NDArray[np.bool_] = base.known | (base.truth == NO_CLASS)
    return known


def compare(new: Answers, base: Answers, metric: str, threshold: float) -> Comparison | None:
    """Compare a figure that is a share of the pictures or a mean over them.

    Args:
        new: the new model's answers.
        base: the base's to the same pictures.
        metric: what `figures` calls it.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        None where the figure means nothing: without pictures, or where they belong to no class.
    """
    figure, base_figure = (figures(answers, threshold)[metric] for answers in (new, base))
    if figure is None or base_figure is None:
        return None
    values, base_values = (_by_picture(answers, metric, threshold) for answers in (new, base))
    if metric in COUNTED:
        interval = share_interval(values - base_values, np.ones(len(new)), LEVEL, new.source)
    elif metric == "balanced_accuracy":
        interval = share_interval(values - base_values, class_weights(new.truth), LEVEL, new.source)
    else:
        interval = paired_interval(values - base_values, SEED, LEVEL, new.source)
    low, high = interval or (0.0, 0.0)
    if metric in LOWER_IS_BETTER:
        return Comparison(figure, base_figure, figure - base_figure, (low, high))
    return Comparison(figure, base_figure, base_figure - figure, (-high, -low))


def _by_picture(answers: Answers, metric: str, threshold: float) -> NDArray[np.float64]:
    """Give what each picture adds to a figure that is their mean."""
    if metric in COUNTED:
        return what_counts(answers, metric, threshold).astype(np.float64)
    values = {
        "balanced_accuracy": answers.right * class_weights(answers.truth),
        "log_loss": answers.log_loss,
        "weighted_log_loss": answers.weighted_log_loss,
    }
    return values[metric].astype(np.float64)
