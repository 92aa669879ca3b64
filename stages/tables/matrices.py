"""Read the matrices that stand next to the tables of predictions, and refuse those that do not fit the tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.memory_map import release_pages
from stages.tables.matrix import open_matrix
from stages.tables.model import read_label_map
from stages.tables.predictions import BASE_CLASSES, ROWS

_REMEDY = "`dvc repro --force evaluate` writes it again."
BLOCK = 2**20  # scores that are looked at together: 4 MB
TOLERANCE = 1e-3  # as `stages/models/predict.py` has it


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
        InputError: a file is absent, the matrix has another shape or type than rows and names ask for, or a row of it
            holds no probabilities.
    """
    classes = read_class_names(classes_path)
    if not classes:
        return np.empty((0, 0), dtype=np.float32), classes
    what = f"scores after {ROWS.path} and {classes_path}"
    matrix = open_matrix(path, (len(rows), len(classes)), np.float32, what, _REMEDY)
    _require_probabilities(matrix, path, "evaluate")
    return matrix, classes


def check_answers(rows: pd.DataFrame, classes: Sequence[str], column: str) -> None:
    """Refuse rows without an order or an answer.

    Args:
        rows: columns `split`, `column` and the confidences that belong to it.
        classes: those of the model; none where there is no model.
        column: the one with the answers: predicted or base_predicted.

    Raises:
        InputError: an answer is not one of the classes, or has no confidence from 0 to 100; the rows of a set are not
            next to each other, or there are no rows.
    """
    strange = rows[~rows[column].isin(classes)] if classes else rows[rows[column].notna()]
    if rows.empty or len(strange) or not rows["split"].is_monotonic_increasing:
        raise InputError(
            f"{ROWS.path} should hold pictures, sorted by split, with {column} one of the model's {len(classes)} "
            f"classes; of its {len(rows)} rows {len(strange)} have another. "
            "`dvc repro --force evaluate` writes it again."
        )
    confidence = column.replace("predicted", "confidence")
    num_strange = int((~rows[confidence].between(0, 100)).sum()) if classes else 0
    if num_strange:
        raise InputError(
            f"{ROWS.path} should hold numbers from 0 to 100 as {confidence}; of its {len(rows)} rows {num_strange} "
            "hold none. `dvc repro --force evaluate` writes it again."
        )


def _require_probabilities(matrix: NDArray[np.float32], path: str, stage: str) -> None:
    """Refuse rows that are not probabilities; a part of the matrix is in memory at a time."""
    rows = max(1, BLOCK // matrix.shape[1])
    for start in range(0, len(matrix), rows):
        block = matrix[start : start + rows]
        with np.errstate(invalid="ignore"):
            sums = block.sum(axis=1, dtype=np.float64)
        # Written so that what is no number is refused too.
        good = (np.abs(sums - 1) <= TOLERANCE) & (block.min(axis=1) >= 0)
        if not good.all():
            raise InputError(
                f"{path}: row {start + int(good.argmin())} is no row of probabilities, which are numbers from 0 to 1 "
                f"and together 1. `dvc repro --force {stage}` writes it again."
            )
        release_pages(matrix)
