"""Read the embeddings of pictures, scaled so that their products are cosines."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.errors import InputError
from runtime.memory_map import release_pages
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.matrix import open_matrix

BLOCK = 10_000  # rows that are mapped at once, so that the file and what is made of it are not in memory together
_REMEDY = "`dvc repro --force embed` writes it again."


def read_vectors(image_ids: Iterable[str]) -> NDArray[np.float32]:
    """Read embeddings.

    Args:
        image_ids: of pictures, in any order; may repeat.

    Returns:
        Of shape (pictures, features), float32, each of length 1.

    Raises:
        InputError: a file is absent, the matrix has another shape or type, holds what is no number, or lacks a picture.
    """
    embedded = EMBEDDED.read()["image_id"]
    matrix = open_matrix(EMBEDDINGS, (len(embedded), None), np.float16, f"features after {EMBEDDED.path}", _REMEDY)
    wanted = list(image_ids)
    rows = pd.Index(embedded).get_indexer(pd.Index(wanted, dtype=object))
    if (rows < 0).any():
        absent = wanted[int((rows < 0).argmax())]
        raise InputError(f"{EMBEDDED.path} lacks the picture {absent}. {_REMEDY}")
    vectors = np.empty((len(rows), matrix.shape[1]), np.float32)
    for start in range(0, len(rows), BLOCK):
        block = matrix[rows[start : start + BLOCK]]
        if not np.isfinite(block).all():
            raise InputError(f"{EMBEDDINGS} holds what is no number. {_REMEDY}")
        vectors[start : start + BLOCK] = units(block)
        release_pages(matrix)
    return vectors


def units(embeddings: NDArray[np.floating]) -> NDArray[np.float32]:
    """Scale embeddings to length 1, so that their products are cosines.

    Args:
        embeddings: of shape (pictures, features).

    Returns:
        Of the same shape, float32; an embedding of zeros stays one.
    """
    scaled = embeddings.astype(np.float32)
    scaled /= np.maximum(np.linalg.norm(scaled, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return scaled
