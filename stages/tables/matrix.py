"""Open a matrix of a `.npy` file as a memory map, after its header was compared with what it should hold."""

import os
import tokenize
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError, RetrainError
from runtime.regular_files import open_regular

# No network of keras.applications gives as many as 5,000 features.
MAX_FEATURES = 16_384


class Header(NamedTuple):
    """What a `.npy` file says of its numbers, which begin after `num_bytes`."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    num_bytes: int


def read_header(file: BufferedReader | BytesIO) -> Header:
    """Read the header of a `.npy` file as NumPy writes it for a matrix.

    Args:
        file: at its beginning.

    Raises:
        ValueError: it is no such header.
    """
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    try:
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
    except (tokenize.TokenError, RecursionError, MemoryError) as error:  # of brackets without end
        raise ValueError(f"its header cannot be read: {error}") from None
    if by_columns:
        raise ValueError("its numbers are in the order of the columns")
    return Header(shape, dtype, file.tell())


def open_matrix(
    path: str | Path,
    shape: tuple[int, int | None],
    dtype: type,
    what: str,
    remedy: str,
    error: type[RetrainError] = InputError,
) -> NDArray[Any]:
    """Open a matrix for reading; what is not used of it is not read.

    Args:
        path: of the file.
        shape: rows and columns; None: any number of columns up to MAX_FEATURES.
        dtype: of the numbers.
        what: they are, and after which files, for the message.
        remedy: what brings a good file back, as a sentence.
        error: what to raise; `BaseError` where the file is the base's.

    Raises:
        RetrainError: of the type `error`: the file is absent, no regular file, or no matrix of this shape and type.
    """
    with open_regular(path, remedy, error) as file:
        columns = "" if shape[1] is None else f"{shape[1]} "
        expected = f"{path} should be {shape[0]} rows of {columns}{np.dtype(dtype)} {what}"
        try:
            header = read_header(file)
        except (ValueError, TypeError) as problem:
            reason = str(problem).splitlines()[0][:200]
            raise error(f"{expected}; it is no .npy file of a matrix ({reason}). {remedy}") from None
        if not _fits(header, shape, dtype):
            raise error(f"{expected}; it is {header.shape} of {header.dtype}. {remedy}")
        num_bytes = header.num_bytes + int(np.prod(header.shape)) * header.dtype.itemsize
        if (size := os.fstat(file.fileno()).st_size) != num_bytes:
            raise error(f"{expected}, {num_bytes:,} bytes; it has {size:,}. {remedy}")
        if 0 in header.shape:
            return np.empty(header.shape, dtype)
        return np.memmap(file, dtype, "r", header.num_bytes, header.shape)


def _fits(header: Header, shape: tuple[int, int | None], dtype: type) -> bool:
    if len(header.shape) != 2 or header.dtype != dtype or header.shape[0] != shape[0]:
        return False
    return 0 <= header.shape[1] <= MAX_FEATURES if shape[1] is None else header.shape[1] == shape[1]
