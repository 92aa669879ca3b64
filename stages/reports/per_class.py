"""How well the model knows each class: what it missed, and what it wrongly took for it."""

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from stages.metrics.agreement import count_classes
from stages.metrics.answers import Answers
from stages.metrics.confusion import count_confused
from stages.tables.scores import PER_CLASS_COLUMNS

NUM_NAMED = 3  # classes that are listed for a class that was missed


def per_class(name: str, answers: Answers, threshold: float) -> pd.DataFrame:
    """Make the table of each class's figures.

    Args:
        name: of the set.
        answers: of the set.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        One row per class of the model or of a picture, with PER_CLASS_COLUMNS, most missed first.
    """
    numbers = np.arange(len(answers.names))
    parts = [_fractions(answers), _counts(answers, threshold), _confused_with(answers)]
    frame = pd.concat(parts, axis=1).assign(
        set=name, class_name=list(answers.names), in_model=numbers < answers.num_classes
    )
    used = frame.loc[frame["in_model"] | (frame["support"] > 0), list(PER_CLASS_COLUMNS)]
    order = ["num_missed", "num_wrong_guesses", "class_name"]
    return used.sort_values(order, ascending=[False, False, True], ignore_index=True)


def _fractions(answers: Answers) -> pd.DataFrame:
    """Compute precision, recall and F1; NaN for what is divided by nothing."""
    truth, predicted, numbers = answers.truth, answers.predicted, np.arange(len(answers.names))
    if not len(answers):
        return pd.DataFrame(np.nan, numbers, ["precision", "recall", "f1"])
    fractions = precision_recall_fscore_support(truth, predicted, labels=numbers, zero_division=np.nan)[:3]
    return pd.DataFrame(dict(zip(("precision", "recall", "f1"), fractions, strict=True)))


def _counts(answers: Answers, threshold: float) -> pd.DataFrame:
    num_names, shown = len(answers.names), answers.take(answers.shown(threshold))
    counts = count_classes(answers.truth, answers.predicted, num_names)
    above = count_classes(shown.truth, shown.predicted, num_names)
    return pd.DataFrame(
        {
            "support": counts.support,
            "true_positives": above.hits,
            "false_positives": above.predicted - above.hits,
            "num_missed": counts.support - counts.hits,
            "num_wrong_guesses": counts.predicted - counts.hits,
        }
    )


def _confused_with(answers: Answers) -> pd.DataFrame:
    pairs = count_confused(answers)
    return pd.DataFrame(
        {
            "missed_as": _most_frequent(pairs, "truth", "predicted", answers.names),
            "wrong_guesses_of": _most_frequent(pairs, "predicted", "truth", answers.names),
        }
    )


def _most_frequent(pairs: pd.DataFrame, of: str, other: str, names: tuple[str, ...]) -> list[str]:
    """Name the classes that each class is most often confused with, such as `dog (3); fox (1)`."""
    texts = [""] * len(names)
    for number, rows in pairs.groupby(of).head(NUM_NAMED).groupby(of):
        texts[int(str(number))] = "; ".join(
            f"{names[row]} ({count})" for row, count in zip(rows[other], rows["count"], strict=True)
        )
    return texts
