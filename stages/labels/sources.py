"""The source of each picture: who sent it, or in which burst it was taken. Pictures of one source look alike."""

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def find_sources(files: pd.DataFrame, pattern: str | None, burst_seconds: float | None) -> pd.DataFrame:
    """Find the source of each file.

    Names come from the path, and from bursts. Of names that a burst joins, or a near-duplicate in the library, one
    stands for all: the first in the order of the alphabet, those from paths before those of bursts. A benchmark's
    near-duplicate joins none: people copy a hard picture there, and its sender's other pictures may train all the same.

    Args:
        files: columns `path`, `set`, `group`, `taken_at`, `camera`; of the library and the benchmarks, those too that
            are not used.
        pattern: regular expression with one group, which is the name, searched for in the path; None for none.
        burst_seconds: pictures of one camera form a burst if each was taken at most so many seconds after the one
            before; None or 0 for none.

    Returns:
        Columns `source`, and `sources`: every name that `source` stands for, sorted as above. Null where no name is
        known. With the index of `files`.
    """
    named = _named(files["path"], pattern)
    bursts = _bursts(files, burst_seconds or 0)
    nothing = pd.DataFrame({"source": None, "sources": None}, index=files.index, dtype=object)
    if named.isna().all() and bursts.isna().all():
        return nothing
    joined = _joined([named, bursts, files["group"].where(files["set"] == "library")])
    names = [
        pd.DataFrame({"of_burst": of_burst, "name": column, "joined": joined}).dropna()
        for of_burst, column in ((False, named), (True, bursts))
    ]
    ordered = pd.concat(names).drop_duplicates().sort_values(["of_burst", "name"])
    sources = ordered.groupby("joined")["name"].agg(list)
    of_files = pd.Series(joined, files.index).map(sources).astype(object)
    of_files = of_files.where(of_files.notna(), None)
    return nothing.assign(source=of_files.str[0].where(of_files.notna(), None), sources=of_files)


def _named(paths: pd.Series, pattern: str | None) -> pd.Series:
    """Search the paths for the pattern's group; null where it is not found, or is empty."""
    if pattern is None:
        return pd.Series(None, index=paths.index, dtype=object)
    search = re.compile(pattern).search
    found = [match.group(1) or None if (match := search(path)) else None for path in paths]
    return pd.Series(found, index=paths.index, dtype=object)


def _bursts(files: pd.DataFrame, seconds: float) -> pd.Series:
    """Name the burst of each file by its camera and its first moment; null for a file that is in none."""
    timed = files[["camera", "taken_at"]].dropna().sort_values(["camera", "taken_at"])
    bursts = pd.Series(None, index=files.index, dtype=object)
    if not seconds or timed.empty:
        return bursts
    gaps = timed["taken_at"].diff() > pd.Timedelta(seconds=seconds)
    number = (gaps | (timed["camera"] != timed["camera"].shift())).cumsum()
    timed = timed[number.duplicated(keep=False)]
    first = timed.groupby(number)[["camera", "taken_at"]].transform("first")
    bursts[timed.index] = first["camera"] + first["taken_at"].dt.strftime(" %Y-%m-%d %H:%M:%S")
    return bursts


def _joined(keys: Sequence[pd.Series]) -> NDArray[np.int32]:
    """Number the files so that those which share a key, directly or through others, have one number."""
    edges = list(_edges(keys))
    rows, columns = (np.concatenate(ends) for ends in zip(*edges, strict=True))
    number = len(keys[0])
    matrix = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(number, number))
    labels: NDArray[np.int32] = connected_components(matrix, directed=False)[1]
    return labels


def _edges(keys: Sequence[pd.Series]) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for key in keys:
        codes = pd.factorize(key)[0]
        rows = np.flatnonzero(codes >= 0)
        first = np.unique(codes[rows], return_index=True)[1]
        yield rows, rows[first[codes[rows]]]
