"""Open regular files only: a pipe would keep its reader waiting for a writer, and a device may never end."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from io import BufferedReader
from pathlib import Path

from runtime.errors import InputError, RepositoryError, RetrainError
from runtime.wording import counted, listed

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
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


def require_no_pipes(*paths: str | Path) -> None:
    """Refuse folders in which a pipe, a socket or a device lies: DVC opens it, and waits for it without end.

    Args:
        paths: of folders, or of files; absent ones are passed over.

    Raises:
        RepositoryError: there is one.
    """
    found = {path: kind for each in paths for path, kind in _special(Path(each))}
    if found:
        first = min(found)
        others = (
            f" So are {counted(len(found) - 1, 'file')} more: {listed(sorted(found)[1:])}." if len(found) > 1 else ""
        )
        raise RepositoryError(
            f"{first} is {found[first]}, for which DVC would wait without end. Nothing was run. Delete it, or move "
            f"it elsewhere.{others}"
        )


def _special(path: Path) -> Iterator[tuple[str, str]]:
    """Find what is neither a file nor a folder; of links only `path` itself and those to no folder are followed."""
    if not path.is_dir():
        yield from _kind(path)
        return
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _special(Path(entry.path))
            elif not entry.is_file(follow_symlinks=False):
                yield from _kind(Path(entry.path))


def _kind(path: Path) -> Iterator[tuple[str, str]]:
    """Name what a path is, unless it is a file, a folder, absent, or a link in a circle, which keeps nobody waiting."""
    with suppress(OSError):
        kind = stat.S_IFMT(path.stat().st_mode)
        if kind not in (stat.S_IFREG, stat.S_IFDIR):
            yield str(path), _KINDS.get(kind, "something else")
