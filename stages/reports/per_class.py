"""How well the model knows each class: what it missed, and what it wrongly took for it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.agreement import count_classes, f1_scores
from stages.metrics.answers import Answers
from stages.metrics.confusion import count_confused
from stages.tables.scores import PER_CLASS_COLUMNS

NUM_NAMED = 3  # classes named beside a class that was missed


def per_class(name: str, answers: Answers, threshold: float) -> pd.DataFrame:
    """Lay out each class's figures.

    Args:
        name: of the set.
        answers: of the set.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        A row a class of the model or of a picture, with PER_CLASS_COLUMNS, most missed first.
    """
    num_names = len(answers.names)
    counts = count_classes(answers.truth, answers.predicted, num_names)
    shown = answers.take(answers.confidence >= threshold)
    above = count_classes(shown.truth, shown.predicted, num_names)
    pairs = count_confused(answers)
    frame = pd.DataFrame(
        {
            "set": name,
            "class_name": list(answers.names),
            "in_model": np.arange(num_names) < answers.num_classes,
            "support": counts.support,
            "precision": _fraction(counts.hits, counts.predicted),
            "recall": _fraction(counts.hits, counts.support),
            "f1": f1_scores(counts),
            "true_positives": above.hits,
            "false_positives": above.predicted - above.hits,
            "num_missed": counts.support - counts.hits,
            "missed_as": _named(pairs, "truth", "predicted", answers.names),
            "num_wrong_guesses": counts.predicted - counts.hits,
            "wrong_guesses_of": _named(pairs, "predicted", "truth", answers.names),
        },
        columns=list(PER_CLASS_COLUMNS),
    )
    used = frame[frame["in_model"] | (counts.support > 0)]
    order = ["num_missed", "num_wrong_guesses", "class_name"]
    return used.sort_values(order, ascending=[False, False, True], ignore_index=True)


def _fraction(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    fraction = np.full(len(whole), np.nan)
    np.divide(part, whole, out=fraction, where=whole > 0)
    return fraction


def _named(pairs: pd.DataFrame, of: str, other: str, names: tuple[str, ...]) -> list[str]:
    """Name the classes that stand most often across from each class, such as `dog (3); fox (1)`."""
    texts = [""] * len(names)
    for number, rows in pairs.groupby(of).head(NUM_NAMED).groupby(of):
        texts[int(str(number))] = "; ".join(
            f"{names[row]} ({count})" for row, count in zip(rows[other], rows["count"], strict=True)
        )
    return texts
