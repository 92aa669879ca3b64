"""Framed copies of pictures: each lies beside its original, for as long as a decision ties the two.

The file is written before the rows and goes after them, so that no picture is ever lost. What is being changed is noted
before: where a desk is killed between, the next one takes away the copy that nothing ties to its original.
"""

import json
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import TypeAdapter

from curation.shared_file import LOCKS, locked, partial_of, replace
from runtime.digest import md5_of_bytes, md5_of_file
from runtime.errors import InputError, RepositoryError
from runtime.json_files import read_json
from stages.labels.decisions import Pair
from stages.labels.folders import DATA

FOLDERS = ("library", "unlabelled")  # where originals may lie
_MARK = "-framed-"  # in the name of a copy, before the beginning of its image_id
_NUM_DIGITS = 12  # of it
_MOST_BYTES = 200  # of an original's name that the copy's begins with: a file's has at most 255
_TIES = TypeAdapter(list[Pair])


class Copies:
    """The files of the copies."""

    def __init__(self, locks: str | Path = LOCKS) -> None:
        self._lock, self._note = Path(locks, "framed.lock"), Path(locks, "framed.json")

    @contextmanager
    def changing(self, ties: Collection[Pair], stands: Callable[[Pair], bool]) -> Iterator[None]:
        """Keep copies and decisions in step while the block changes both; one desk at a time.

        Args:
            ties: original and copy of each that the block makes or takes back.
            stands: says whether a decision ties the two, now.
        """
        with locked(self._lock):
            self._settle(stands)
            replace(self._note, json.dumps(list(ties)).encode())
            try:
                yield
            finally:
                self._settle(stands)

    def settle(self, stands: Callable[[Pair], bool]) -> None:
        """Take away the copy that a desk which was killed has left, if no decision ties it to its original."""
        if self._note.exists():
            with locked(self._lock):
                self._settle(stands)

    def _settle(self, stands: Callable[[Pair], bool]) -> None:
        if not self._note.exists():
            return
        for tie in read_json(self._note, _TIES, "note of a framed copy", "Delete it."):
            if not stands(tie):
                _remove(tie[1])
        self._note.unlink()


def path_of(original: str, copy: str) -> str:
    """Name the copy of a picture: beside it, by what it holds.

    Args:
        original: path of its file.
        copy: image_id of the copy.
    """
    path = Path(original)
    stem = (
        path.stem.partition(_MARK)[0].encode()[:_MOST_BYTES].decode(errors="ignore")
    )  # of a copy, that of its original
    return path.with_name(f"{stem}{_MARK}{copy[:_NUM_DIGITS]}.png").as_posix()


def write(path: str, content: bytes) -> None:
    """Write a copy; one that is there already stays as it is.

    The file is made aside and renamed: nothing is ever written through a link into DVC's cache.

    Args:
        path: relative to data/; its folder is there.
        content: of the file.

    Raises:
        InputError: another file is there.
        RepositoryError: the disk refused it.
    """
    file = DATA / path
    if file.is_file() and md5_of_file(file) == md5_of_bytes(content):
        return
    if file.is_symlink() or file.exists():
        raise InputError(f"{file} is another file than the copy that belongs there. Rename it.")
    try:
        replace(file, content)
    except OSError as error:
        partial_of(file).unlink(missing_ok=True)
        raise RepositoryError(f"{file} cannot be written: {error.strerror}. Nothing was decided.") from None


def _remove(image_id: str) -> None:
    """Delete the files of a copy, wherever `make intake` has moved them, and what was begun of one."""
    for folder in FOLDERS:
        for parent, _, names in os.walk(DATA / folder):
            for name in names:
                if _MARK + image_id[:_NUM_DIGITS] in name:
                    path = Path(parent, name)
                    is_begun = name.startswith(".")
                    with suppress(FileNotFoundError):
                        if is_begun or md5_of_file(path) == image_id:
                            path.unlink()
