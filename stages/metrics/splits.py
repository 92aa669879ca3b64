"""The sets of pictures, and which rows each one has."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

LIBRARY_SPLITS = ("train", "validation", "test")  # the others are benchmarks
EVALUATION_SPLITS = ("test", "validation")  # the two that make the set `held_out`


def set_slices(splits: NDArray[np.object_], benchmarks: Iterable[str]) -> dict[str, slice]:
    """Find the rows of each set.

    Args:
        splits: of shape (rows,): sorted names of sets.
        benchmarks: names of the benchmarks that there are, also those without rows.

    Returns:
        Set to its rows: train, validation, test, then the benchmarks by name.
    """
    names = [*LIBRARY_SPLITS, *sorted({*benchmarks, *splits} - set(LIBRARY_SPLITS))]
    ends = (np.searchsorted(splits, names, side) for side in ("left", "right"))
    return {name: slice(int(start), int(stop)) for name, start, stop in zip(names, *ends, strict=True)}
