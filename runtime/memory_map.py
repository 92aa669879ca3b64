"""Memory maps of matrices that are as large as all else together."""

import mmap
from typing import Any

from numpy.typing import NDArray


def let_go(matrix: NDArray[Any]) -> None:
    """Give back the memory of a memory map; what is asked for again is read again.

    Args:
        matrix: of a memory map; any other is left as it is.
    """
    mapped: object = matrix.base
    if isinstance(mapped, mmap.mmap):
        mapped.madvise(mmap.MADV_DONTNEED)
