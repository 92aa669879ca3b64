"""Which pictures a person should look at, worst first, why, and what to compare them with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.metrics.answers import Answers
from stages.metrics.splits import LIBRARY_SPLITS
from stages.metrics.truth import NO_CLASS
from stages.suspects.evidence import Evidence
from stages.suspects.neighbours import Embedded, medoids

# By how likely a person's look changes something: what production would lose, wrong answers that users would see,
# probable mistakes of the library and not of the model, the model's other mistakes, and at last what it is unsure of. A
# reason with few pictures comes before one with many that would hide it: nearly every picture with a wrong label is
# also a wrong or an unsure answer.
REASONS = (
    "base_right_new_wrong",
    "wrong_and_confident",  # at or above the threshold; of a picture out of scope, any answer that is shown
    "probably_mislabelled",  # by a classifier that knows neither the picture nor what the model was taught
    "near_across_split",  # a training picture is so near that hashing may have missed a duplicate
    "wrong",
    "class_not_in_model",  # wrong, and nothing else was possible
    "wrong_though_trained",  # it could not be learned, and that classifier takes it for another class, too
    "right_but_unsure",  # the least sure of each class, below the threshold; per_class.csv counts them all
    "suspected_bad_picture",  # by its quality: blurred, dark, ...; nothing else is wrong
)
# What this says does not depend on whether the model was trained on the picture.
ABOUT_THE_LABEL = ("probably_mislabelled",)
NUM_UNSURE = 3  # of each class


def class_examples(rows: pd.DataFrame, embedded: Embedded, training: slice, classes: Sequence[str]) -> pd.Series:
    """Choose the most typical training picture of each class.

    Args:
        rows: column `image_id`.
        embedded: every row.
        training: the rows of the training pictures.
        classes: names by number.

    Returns:
        image_id by class name, null for a class without a training picture.
    """
    image_ids = rows["image_id"].to_numpy(dtype=object)[training]
    medoid_rows = medoids(embedded.vectors[training], embedded.classes[training], len(classes))
    return pd.Series([image_ids[row] if row >= 0 else None for row in medoid_rows], list(classes), dtype=object)


def reasons(model: Answers, base: Answers | None, threshold: float, evidence: Evidence) -> NDArray[np.bool_]:
    """Tell why each picture should be looked at.

    Args:
        model: the new model's answers.
        base: the base's to the same pictures, or None.
        threshold: confidence from which an answer is shown, 0 to 100.
        evidence: what else than the answers speaks against the pictures.

    Returns:
        Of shape (reasons, pictures), bool: which of REASONS hold.
    """
    wrong = ~model.acceptable(threshold)
    lost = wrong & base.acceptable(threshold) if base is not None else np.zeros(len(model), dtype=bool)
    above = model.shown(threshold)
    elsewhere = (evidence.issues.best != NO_CLASS) & (evidence.issues.best != model.truth)
    holds = {
        "base_right_new_wrong": lost,
        "wrong_and_confident": wrong & above,
        "probably_mislabelled": evidence.issues.doubted,
        "near_across_split": evidence.near,
        "wrong": wrong & model.known & ~evidence.trained,
        "class_not_in_model": wrong & ~model.known,
        "wrong_though_trained": wrong & evidence.trained & elsewhere,
        "right_but_unsure": least_sure(model, model.right & ~above),
        "suspected_bad_picture": evidence.suspected,
    }
    return np.stack([holds[reason] for reason in REASONS])


def least_sure(model: Answers, candidates: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Choose the NUM_UNSURE pictures of each class of whose answer the model is least sure.

    Args:
        model: the answers.
        candidates: of shape (pictures,), bool: those to choose from.
    """
    rows = pd.DataFrame({"truth": model.truth, "confidence": model.confidence})[candidates]
    chosen = np.zeros(len(model), dtype=bool)
    chosen[rows.sort_values("confidence", kind="stable").groupby("truth").head(NUM_UNSURE).index] = True
    return chosen


def worst_first(
    rows: pd.DataFrame, holds: NDArray[np.bool_], evidence: Evidence, examples: pd.Series, images: pd.DataFrame
) -> pd.DataFrame:
    """List the pictures that should be looked at.

    Within a reason, pictures that the model was not trained on come first, unless it is about the label; then those
    that the reason holds most for: of wrong answers the most confident, of right ones the least.

    Args:
        rows: columns of `data/predictions/rows.parquet`.
        holds: what `reasons` returned, in the order of the rows.
        evidence: of the rows; the rows of its neighbours count the training pictures, in the order of the rows.
        examples: what `class_examples` returned of the model's classes in their order.
        images: columns `image_id`, `path`, `set` (`library` or the benchmark), `dropped`, `faults`.

    Returns:
        One row per picture with the columns of data/scores/review.parquet, `rank` from 1.
    """
    chosen = np.flatnonzero(holds.any(axis=0))
    first = holds[:, chosen].argmax(axis=0)
    training = rows.loc[rows["split"] == "train", "image_id"].to_numpy(dtype=object)
    evidence, frame = evidence.take(chosen), rows.iloc[chosen].reset_index(drop=True)
    frame["reason"] = np.array(REASONS, dtype=object)[first]
    frame["also"] = _others(holds[:, chosen], first)
    frame["suggested"] = _named(evidence.suggested, examples.index.to_numpy(dtype=object))
    frame["nearest"] = _named(evidence.neighbours.rows[:, 0], training)
    frame["order"] = first
    frame["last"] = evidence.trained & ~frame["reason"].isin(ABOUT_THE_LABEL)
    frame["badness"] = _badness(frame, evidence)
    frame["set"] = frame["split"].mask(frame["split"].isin(LIBRARY_SPLITS), "library")
    order = ["order", "last", "badness", "split", "image_id"]
    frame = frame.sort_values(order, ascending=[True, True, False, True, True], ignore_index=True)
    paths = _one_path(images)
    frame = frame.merge(paths, on=["image_id", "set"], how="left", validate="many_to_one")
    of_library = paths[paths["set"] == "library"].set_index("image_id")["path"]
    for column in ("truth", "predicted", "suggested"):
        frame[f"{column}_example"] = frame[column].map(examples).map(of_library)
    return frame.assign(nearest=frame["nearest"].map(of_library), rank=np.arange(1, len(frame) + 1))


def _others(holds: NDArray[np.bool_], first: NDArray[np.intp]) -> list[str | None]:
    """Name the other reasons that hold, in their order, but for `wrong`, which two columns show."""
    asked = (np.arange(len(REASONS))[:, None] != first) & (np.array(REASONS) != "wrong")[:, None]
    kinds, kind_of_each = np.unique(holds & asked, axis=1, return_inverse=True)
    texts = [", ".join(np.array(REASONS)[kind]) or None for kind in kinds.T]
    return [texts[number] for number in kind_of_each.ravel()]


def _badness(frame: pd.DataFrame, evidence: Evidence) -> NDArray[np.float64]:
    nearest = evidence.neighbours.similarity[:, 0].astype(np.float64)
    by_reason = {
        "probably_mislabelled": -evidence.issues.self_confidence,
        "near_across_split": nearest,
        "right_but_unsure": -frame["confidence"].to_numpy(),
    }
    badness = frame["confidence"].to_numpy(dtype=np.float64)
    for reason, values in by_reason.items():
        badness = np.where(frame["reason"] == reason, values, badness)
    return badness


def _named(numbers: NDArray[np.int64], names: NDArray[np.object_]) -> NDArray[np.object_]:
    """Put names in place of numbers, and null in place of those below 0."""
    padded = np.empty(len(names) + 1, dtype=object)  # the last, which -1 asks for, is null
    padded[:-1] = names
    return padded[numbers]


def _one_path(images: pd.DataFrame) -> pd.DataFrame:
    """Give each picture of each set one path: of its copies the one that was kept."""
    ordered = images.assign(kept=images["dropped"].isna()).sort_values(["kept", "path"], ascending=[False, True])
    return ordered.drop_duplicates(["image_id", "set"])[["image_id", "set", "path", "faults"]]
