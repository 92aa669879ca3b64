"""Which classes are taken for which others."""

import numpy as np
import pandas as pd

from stages.metrics.answers import Answers


def count_confused(answers: Answers) -> pd.DataFrame:
    """Count the pictures of each class that were taken for each other one.

    Pictures that belong to no class are left out: they are nobody's, and have a figure of their own.

    Args:
        answers: those of one set.

    Returns:
        One row per pair that occurs: `truth`, `predicted` (numbers of classes), `count`, most frequent first.
    """
    wrong = ~answers.right & (answers.truth >= 0)
    pairs, counts = np.unique(np.stack([answers.truth[wrong], answers.predicted[wrong]]), axis=1, return_counts=True)
    frame = pd.DataFrame({"truth": pairs[0], "predicted": pairs[1], "count": counts})
    return frame.sort_values(["count", "truth", "predicted"], ascending=[False, True, True], ignore_index=True)
