"""Read the matrices that stand next to the tables of predictions, and refuse those that do not fit the tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.errors import InputError
from stages.tables.held_out import HELD_OUT, HELD_OUT_SCORES
from stages.tables.model import read_label_map
from stages.tables.predictions import BASE_CLASSES, ROWS


def read_class_names(path: str) -> list[str]:
    """Read a list of class names, in the order of the columns of its scores.

    Args:
        path: CLASSES or BASE_CLASSES.

    Raises:
        InputError: the file is absent or is no label map.
    """
    return read_label_map(path, "`dvc repro evaluate` writes it.", may_be_empty=path == BASE_CLASSES)


def read_scores(path: str, classes_path: str, rows: pd.DataFrame) -> tuple[NDArray[np.float32], list[str]]:
    """Open a matrix of scores as a memory map, with the names of its columns.

    Args:
        path: of the matrix.
        classes_path: of the names.
        rows: what the rows of the matrix are about.

    Returns:
        The matrix, of shape (rows, classes), and the names; no rows and no names where there is no model.

    Raises:
        InputError: a file is absent, or the matrix has another shape or type than rows and names ask for.
    """
    classes = read_class_names(classes_path)
    try:
        matrix = np.load(path, mmap_mode="r") if classes else np.empty((0, 0), dtype=np.float32)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is not there: `dvc repro evaluate` writes it.") from None
    expected = (len(rows), len(classes)) if classes else (0, 0)
    if matrix.shape != expected or matrix.dtype != np.float32:
        raise InputError(
            f"{path} should be {expected[0]} rows of {expected[1]} float32 scores after {ROWS.path} and "
            f"{classes_path}; it is {matrix.shape} of {matrix.dtype}. `dvc repro --force evaluate` writes them again."
        )
    return matrix, classes


def read_held_out(rows: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Read the scores of training pictures by networks that did not see them.

    Args:
        rows: columns `image_id`, `split`, sorted by both.
        classes: those of the model.

    Returns:
        A memory map of shape (training pictures, classes), float32, in the order of the rows; None where nobody asked.

    Raises:
        InputError: a file is absent, or it is about other pictures or classes.
    """
    held_out = HELD_OUT.read()["image_id"]
    try:
        scores: NDArray[np.float32] = np.load(HELD_OUT_SCORES, mmap_mode="r" if len(held_out) else None)
    except FileNotFoundError:
        raise InputError(f"{HELD_OUT_SCORES} is not there: `dvc repro cross_validate` writes it.") from None
    if held_out.empty:
        return None
    trained = rows.loc[rows["split"] == "train", "image_id"]
    if held_out.tolist() != trained.tolist() or scores.shape != (len(trained), len(classes)):
        raise InputError(
            f"{HELD_OUT.path} should be about the {len(trained)} training pictures and {len(classes)} classes of "
            f"{ROWS.path}; it is about {len(held_out)} pictures, {HELD_OUT_SCORES} of shape {scores.shape}. `dvc repro "
            "--force cross_validate` writes them again."
        )
    return scores


def check_answers(rows: pd.DataFrame, classes: Sequence[str], column: str) -> None:
    """Refuse rows without an order or an answer.

    Args:
        rows: columns `split` and `column`.
        classes: those of the model; none where there is no model.
        column: the one with the answers.

    Raises:
        InputError: an answer is not one of the classes, the rows of a set are not next to each other, or there are no
            rows.
    """
    strange = rows[~rows[column].isin(classes)] if classes else rows[rows[column].notna()]
    if rows.empty or len(strange) or not rows["split"].is_monotonic_increasing:
        raise InputError(
            f"{ROWS.path} should hold pictures, sorted by split, with {column} one of the model's {len(classes)} "
            f"classes; of its {len(rows)} rows {len(strange)} have another. "
            "`dvc repro --force evaluate` writes it again."
        )
