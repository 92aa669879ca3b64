"""Pairs of pictures that a frozen network sees alike, laid over each other: a second way to near-duplicates.

It finds what hashes cannot: a part of a picture, and a picture turned by some degrees.
"""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from runtime import parameters
from runtime.workers import over_shared
from stages.duplicates.neighbours import neighbours, rounded
from stages.duplicates.registration import Looks, looks_of, register
from stages.duplicates.thumbnail import NUM_BYTES
from stages.memos.pair_memo import PairMemo, digest_looks

FOUND = {"edges": pa.float64(), "colours": pa.float64(), "turn": pa.int64()}
COLUMNS = {"cosine": pa.float64(), **FOUND}  # of a memo of these pairs
_SIDES = ["first", "second"]
_PIECE = 256  # pairs in one piece of work: a second
_NOTHING = pd.DataFrame({name: np.empty(0, np.int64) for name in (*_SIDES, "turn")}).assign(
    **{name: np.empty(0) for name in ("cosine", "edges", "colours")}
)
# Colours that agree less are another object's: of the crops by 10 % of each side, 2 % agree less.
LEAST_AGREEMENT = 0.85
# Alike pictures show their object at about the same place; digits, which the network confuses, mostly do not.
_LEAST_EDGES = 0.7


def compare_neighbours(
    pictures: pd.DataFrame, vectors: NDArray[np.float32], params: parameters.Dedup, memo: PairMemo | None = None
) -> pd.DataFrame:
    """Lay each picture over its nearest neighbours.

    Args:
        pictures: columns `image_id` (unique, ascending), `thumbnail`, `width`, `height`.
        vectors: shape (pictures, features): their embeddings, of length 1.
        params: how many neighbours.
        memo: of what was compared before with these parameters.

    Returns:
        Columns `first` < `second` (rows of `pictures`), `cosine`, `edges`, `colours`, `turn` (as `register` says),
        each pair once, sorted.
    """
    whole = rounded(vectors)
    digests = digest_looks([pictures["thumbnail"], pictures["width"], pictures["height"], pd.Series(map(bytes, whole))])
    looked = pictures[["image_id"]].assign(looks=digests)
    known, before = memo.recall(looked) if memo else (np.zeros(len(pictures), bool), _NOTHING)
    nearest = neighbours(whole, params.neighbours, known, before)

    pairs = _in_order(nearest).merge(_in_order(before)[[*_SIDES, *FOUND]], how="left", on=_SIDES)
    new = pairs["edges"].isna().to_numpy()
    pairs.loc[new, [*FOUND]] = _register(pictures, pairs.loc[new, _SIDES].to_numpy())
    pairs = pairs.astype({"turn": np.int64})
    if memo and not known.all():
        memo.keep(looked, _directed(nearest, pairs))
    return pairs


def _in_order(pairs: pd.DataFrame) -> pd.DataFrame:
    """The smaller row first, each pair once, sorted."""
    rows = np.sort(pairs[_SIDES].to_numpy(), axis=1)
    ordered = pairs.assign(first=rows[:, 0], second=rows[:, 1])
    return ordered.drop_duplicates(_SIDES).sort_values(_SIDES, ignore_index=True)


def _directed(nearest: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """What was found of each picture and each of its neighbours."""
    rows = np.sort(nearest[_SIDES].to_numpy(), axis=1)
    found = pairs.set_index(_SIDES).loc[pd.MultiIndex.from_arrays(list(rows.T)), [*FOUND]]
    return nearest.assign(**found.reset_index(drop=True))


def looks_in(pictures: pd.DataFrame) -> Looks:
    """What is compared of pictures: columns `thumbnail`, `width`, `height`."""
    thumbnails = np.frombuffer(b"".join(pictures["thumbnail"]), np.uint8).reshape(-1, NUM_BYTES)
    return looks_of(thumbnails, pictures["width"].to_numpy(np.int64), pictures["height"].to_numpy(np.int64))


def _register(pictures: pd.DataFrame, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    pieces = [pairs[start : start + _PIECE] for start in range(0, len(pairs), _PIECE)]
    found = over_shared(partial(_piece, looks_in(pictures)), pieces, "pieces of the comparison of neighbours")
    return np.concatenate([np.empty((0, 3)), *found])


def _piece(looks: Looks, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    return register(looks, *pairs.T)


def are_copies(compared: pd.DataFrame, params: parameters.Dedup) -> pd.Series:
    """Say which of the pairs that `compare_neighbours` returned show the same thing."""
    return (compared["edges"] >= params.edges) & (compared["colours"] >= LEAST_AGREEMENT)


def are_alike(compared: pd.DataFrame, params: parameters.Dedup) -> pd.Series:
    """Say which of them must stand on one side of the split, such as consecutive shots."""
    return (compared["cosine"] >= params.alike) & (compared["edges"] >= _LEAST_EDGES)
