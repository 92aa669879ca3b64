"""The nearest neighbours of pictures among their embeddings, exactly, and the same on every machine."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Embeddings are rounded to whole numbers, this many to their length. Then every sum of products stays below 2^24, up to
# which float32 holds whole numbers exactly: a product of matrices is the same in whatever order it is summed up.
_LENGTH = 4000
_BLOCK = 2**24  # products in memory at once: 64 MB, and six times as much to order them
COLUMNS = ("first", "second", "cosine")


def rounded(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round embeddings to whole numbers.

    Args:
        vectors: shape (pictures, features), each of length 1 or 0.
    """
    whole: NDArray[np.float32] = np.rint(vectors * np.float32(_LENGTH))
    return whole


def neighbours(
    vectors: NDArray[np.float32], number: int, known: NDArray[np.bool_], remembered: pd.DataFrame
) -> pd.DataFrame:
    """Find the nearest neighbours of each picture, given those among some of the pictures.

    Args:
        vectors: shape (pictures, features), from `rounded`.
        number: how many neighbours each picture has, 0 upwards; fewer where there are not so many others.
        known: shape (pictures,): those whose neighbours were found before among pictures that included all of these.
        remembered: of those, the columns `first`, `second`, `cosine`: neighbours that are themselves known.

    Returns:
        Columns `first`, `second` (rows of `vectors`) and `cosine` (float64), sorted by the first two. Of equally near
        ones the first comes first.
    """
    # Where a neighbour is gone, one that was not remembered takes its place.
    count = np.bincount(remembered["first"], minlength=len(vectors))
    settled = known & (count == number)
    everything = np.arange(len(vectors))
    found = pd.concat(
        [
            remembered.loc[settled[remembered["first"]], list(COLUMNS)],
            _nearest(vectors, everything[settled], everything[~known], number),
            _nearest(vectors, everything[~settled], everything, number),
        ]
    )
    best_first = found.sort_values(["first", "cosine", "second"], ascending=[True, False, True])
    nearest: pd.DataFrame = best_first.groupby("first").head(number).sort_values(["first", "second"], ignore_index=True)
    return nearest


def _nearest(
    vectors: NDArray[np.float32], asking: NDArray[np.int64], among: NDArray[np.int64], number: int
) -> pd.DataFrame:
    """Find the nearest of some pictures among some; a picture is no neighbour of its own."""
    found = []
    candidates = vectors[among].T
    step = max(1, _BLOCK // max(1, len(among)))
    for start in range(0, len(asking) if len(among) and number else 0, step):
        rows = asking[start : start + step, None]
        products = (vectors[rows[:, 0]] @ candidates).astype(np.int64)
        # No two of a row are equal, so that the largest are the same whatever they stand among.
        order = products * 2**32 - among
        order[rows == among] = np.iinfo(np.int64).min
        columns = np.argpartition(order, -min(number, len(among)), axis=1)[:, -number:]
        seconds, cosines = among[columns], np.take_along_axis(products, columns, axis=1) / _LENGTH**2
        block = pd.DataFrame({"first": np.repeat(rows, columns.shape[1]), "second": seconds.ravel()})
        found.append(block.assign(cosine=cosines.ravel())[(seconds != rows).ravel()])
    nothing = pd.DataFrame({"first": among[:0], "second": among[:0], "cosine": np.empty(0)})
    nearest: pd.DataFrame = pd.concat([nothing, *found])
    return nearest
