"""Which pictures a person should look at, worst first, and why."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.answers import Answers
from stages.metrics.splits import LIBRARY_SPLITS

# Worst first: what production would lose, what a user would be told wrongly, what is wrong, and what is nearly so.
REASONS = (
    "base_right_new_wrong",
    "wrong_and_confident",  # at or above the threshold; of a picture out of scope, any answer that is shown
    "wrong",
    "class_not_in_model",  # wrong, and nothing else was possible
    "right_but_unsure",  # below the threshold
    "suspected_bad_picture",  # by its quality: blurred, dark, ...; nothing else is wrong
)


def reasons(model: Answers, base: Answers | None, threshold: float, suspected: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Tell why each picture should be looked at.

    Args:
        model: the new model's answers.
        base: the base's to the same pictures, or None.
        threshold: confidence from which an answer is shown, 0 to 100.
        suspected: of shape (pictures,): whether the picture has a fault.

    Returns:
        Of shape (pictures,), int64: the place in REASONS of the first that holds; their number where none does.
    """
    wrong = ~model.as_it_should(threshold)
    lost = wrong & base.as_it_should(threshold) if base is not None else np.zeros(len(model), dtype=bool)
    above = model.shown(threshold)
    unsure = model.right & ~above
    holds = [lost, wrong & above, wrong & model.known, wrong, unsure, suspected]
    return np.select(holds, range(len(REASONS)), default=len(REASONS))


def worst_first(rows: pd.DataFrame, reason: NDArray[np.int64], paths: pd.DataFrame) -> pd.DataFrame:
    """List the pictures that should be looked at.

    Within a reason, pictures that the model was not trained on come first; then, of wrong answers, the most confident,
    and of right ones the least.

    Args:
        rows: columns of `data/predictions/rows.parquet`.
        reason: what `reasons` returned, in the order of the rows.
        paths: columns `image_id`, `path`, `set` (`library` or the benchmark), `dropped`, `faults`, of
            `data/images.parquet`.

    Returns:
        A row a picture with the columns of data/scores/review.parquet, `rank` from 1.
    """
    chosen = rows.assign(reason=reason, trained=rows["split"] == "train")
    unsure = reason == REASONS.index("right_but_unsure")
    chosen["badness"] = np.where(unsure, -rows["confidence"], rows["confidence"])
    chosen = chosen[reason < len(REASONS)].sort_values(
        ["reason", "trained", "badness", "split", "image_id"], ascending=[True, True, False, True, True]
    )
    chosen["set"] = chosen["split"].mask(chosen["split"].isin(LIBRARY_SPLITS), "library")
    chosen = chosen.merge(_one_path(paths), on=["image_id", "set"], how="left", validate="many_to_one")
    return chosen.assign(rank=np.arange(1, len(chosen) + 1), reason=[REASONS[number] for number in chosen["reason"]])


def _one_path(paths: pd.DataFrame) -> pd.DataFrame:
    """Give each picture of each set one path: of its copies the one that was kept."""
    ordered = paths.assign(kept=paths["dropped"].isna()).sort_values(["kept", "path"], ascending=[False, True])
    return ordered.drop_duplicates(["image_id", "set"])[["image_id", "set", "path", "faults"]]
