"""Open regular files only: a pipe would keep its reader waiting for a writer, and a device may never end."""

import os
import stat
from io import BufferedReader
from pathlib import Path

from runtime.errors import InputError, RetrainError

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: str | Path, remedy: str, error: type[RetrainError] = InputError) -> BufferedReader:
    """Open a file for reading, through links if it is one.

    Args:
        path: of the file.
        remedy: what brings a good file back, as a sentence.
        error: what to raise.

    Raises:
        RetrainError: of the type `error`: the file is absent, cannot be opened, or is no regular file.
    """
    try:
        # Without waiting: what it is shows once it is open.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        raise error(f"{path} is not there: {remedy}") from None
    except OSError as problem:
        raise error(f"{path} cannot be opened ({problem.strerror}). {remedy}") from None
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise error(f"{path} is {_KINDS.get(kind, 'something else')}, not a regular file. Delete it: {remedy}")
    return os.fdopen(descriptor, "rb")


def read_small(path: str | Path, max_bytes: int, remedy: str, error: type[RetrainError] = InputError) -> bytes:
    """Read a regular file whole.

    Args:
        path: of the file.
        max_bytes: a larger one is refused before it is read.
        remedy: what brings a good file back, as a sentence.
        error: what to raise.

    Raises:
        RetrainError: of the type `error`: the file is too large, or cannot be opened by `open_regular`.
    """
    with open_regular(path, remedy, error) as file:
        num_bytes = os.fstat(file.fileno()).st_size
        if num_bytes > max_bytes:
            raise error(f"{path} has {num_bytes:,} bytes; expected at most {max_bytes:,}. {remedy}")
        return file.read(max_bytes)
