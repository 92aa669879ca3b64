"""What the measurements of near-duplicates share: candidates in every turn, compared as the stage `dedup` does."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages.duplicates.pairs import near_pairs
from stages.duplicates.similarity import Planes, prepare, similarity
from stages.duplicates.turns import turned_back

MOST_PIXELS = 10**8


class Candidates(NamedTuple):
    """Pairs within a radius in some turn: each of shape (pairs,), one row per pair and turn."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    turn: NDArray[np.int64]
    distance: NDArray[np.int64]
    edges: NDArray[np.float64]
    colours: NDArray[np.float64]


def planes_of(rows: pd.DataFrame) -> Planes:
    """The thumbnails of a table, made ready."""
    return prepare(np.frombuffer(b"".join(rows["thumbnail"]), np.uint8).reshape(len(rows), -1))


def candidates(rows: pd.DataFrame, radius: int) -> Candidates:
    """Find all pairs within a radius in any turn, and compare them.

    Args:
        rows: columns `phash`, `thumbnail`.
        radius: in bits.
    """
    hashes = rows["phash"].to_numpy(np.uint64)
    pairs = near_pairs(turned_back(hashes), hashes, radius)
    planes = planes_of(rows)
    edges = similarity(planes, pairs.first, pairs.second, pairs.form, 0.0)
    both = similarity(planes, pairs.first, pairs.second, pairs.form, 1.0)
    return Candidates(*pairs, edges, both - edges)


def best(pairs: Candidates, colour: float) -> pd.Series:
    """The similarity in the best turn, by the two numbers of each pair."""
    frame = pd.DataFrame({"a": pairs.first, "b": pairs.second, "similarity": pairs.edges + colour * pairs.colours})
    return frame.groupby(["a", "b"])["similarity"].max()
