"""Read the embeddings of the predictions, scaled so that their products are cosines."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.memory_map import release_pages
from stages.suspects.neighbours import units
from stages.tables.predictions import EMBEDDINGS, ROWS

BLOCK = 10_000  # rows that are mapped at once, so that the file and what is made of it are not in memory together


def read_embeddings(rows: pd.DataFrame) -> NDArray[np.float32]:
    """Read the embeddings of every row of the predictions.

    Args:
        rows: of ROWS.

    Returns:
        Of shape (rows, features), float32, each of length 1.

    Raises:
        InputError: the file is absent, or the matrix has another shape or type.
    """
    try:
        matrix = np.load(EMBEDDINGS, mmap_mode="r")
    except FileNotFoundError:
        raise InputError(f"{EMBEDDINGS} is not there: `dvc repro evaluate` writes it.") from None
    if matrix.ndim != 2 or len(matrix) != len(rows) or matrix.dtype != np.float16:
        raise InputError(
            f"{EMBEDDINGS} should be {len(rows)} rows of float16 features after {ROWS.path}; it is {matrix.shape} of "
            f"{matrix.dtype}. `dvc repro --force evaluate` writes them again."
        )
    scaled = np.empty(matrix.shape, np.float32)
    for start in range(0, len(rows), BLOCK):
        scaled[start : start + BLOCK] = units(matrix[start : start + BLOCK])
        release_pages(matrix)
    return scaled
