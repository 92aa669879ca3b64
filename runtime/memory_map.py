"""Memory maps of matrices that are too large to stay in memory together."""

import mmap
from typing import Any

from numpy.typing import NDArray


def release_pages(matrix: NDArray[Any]) -> None:
    """Give the memory of a memory map back to the system; what is read later comes from the disk again.

    Args:
        matrix: a view of a memory map; any other array is left as it is.
    """
    mapped: object = matrix.base
    if isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)
