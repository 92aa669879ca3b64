"""Read the embeddings of the predictions, scaled so that their products are cosines."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.memory_map import release_pages
from stages.suspects.neighbours import units
from stages.tables.matrix import open_matrix
from stages.tables.predictions import EMBEDDINGS, ROWS

BLOCK = 10_000  # rows that are mapped at once, so that the file and what is made of it are not in memory together


def read_embeddings(rows: pd.DataFrame) -> NDArray[np.float32]:
    """Read the embeddings of every row of the predictions.

    Args:
        rows: of ROWS.

    Returns:
        Of shape (rows, features), float32, each of length 1.

    Raises:
        InputError: the file is absent, or the matrix has another shape or type, or holds what is no number.
    """
    matrix = open_matrix(EMBEDDINGS, (len(rows), None), np.float16, f"features after {ROWS.path}", "evaluate")
    scaled = np.empty(matrix.shape, np.float32)
    for start in range(0, len(rows), BLOCK):
        block = matrix[start : start + BLOCK]
        if not np.isfinite(block).all():
            raise InputError(f"{EMBEDDINGS} holds what is no number. `dvc repro --force evaluate` writes it again.")
        scaled[start : start + BLOCK] = units(block)
        release_pages(matrix)
    return scaled
