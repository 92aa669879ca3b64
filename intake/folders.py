"""List the files of a folder of the user's, and refuse what cannot be taken over, before anything is copied."""

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputError
from runtime.litter import is_litter


@dataclass(frozen=True)
class Listing:
    """What a folder of the user's holds.

    Attributes:
        folder: absolute, links resolved.
        files: paths relative to the folder, sorted; those that are to be taken over.
        num_left_out: files that are not: litter of file managers, and those in no sub-folder where one is needed.
    """

    folder: Path
    files: tuple[str, ...]
    num_left_out: int

    @property
    def counts(self) -> dict[str, int]:
        """Count the files of each sub-folder."""
        counts: dict[str, int] = {}
        for file in self.files:
            name = file.split("/", 1)[0]
            counts[name] = counts.get(name, 0) + 1
        return counts


def list_folder(folder: str, needs_sub_folders: bool) -> Listing:
    """List a folder, whose links are followed: what they point to is taken over, not the link.

    Args:
        folder: as the user gave it; `~` is the home folder.
        needs_sub_folders: files that lie in the folder itself are left out.

    Raises:
        InputError: it is not there or no folder, has no files where they belong, or holds what cannot be taken over: a
            link to nowhere or to a folder that it lies in, a device or pipe, a folder that cannot be read, a name that
            is not UTF-8.
    """
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise InputError(f"{folder} is not a folder: it was looked for at {root}. Check the spelling and the mount.")
    every = [os.path.relpath(path, root) for path in _files(root, (root,))]
    files = [file for file in every if not is_litter(file) and ("/" in file or not needs_sub_folders)]
    if needs_sub_folders and not files:
        raise InputError(f"{folder} has no sub-folders with files: expected a folder per name, {folder}/<name>/....")
    wrong = [file for file in files if not _is_utf_8(file)]
    if wrong:
        shown = os.fsencode(wrong[0]).decode(errors="backslashreplace")
        raise InputError(f"{folder}: {len(wrong)} names are not UTF-8, the first is {shown}: rename them.")
    return Listing(root, tuple(sorted(files)), len(every) - len(files))


def require_apart(folders: Collection[Path], clone: Path) -> None:
    """Refuse folders that lie in the clone, around it, or in each other.

    Args:
        folders: absolute, links resolved; of the user.
        clone: the repository's root, absolute, links resolved.

    Raises:
        InputError: two of them overlap.
    """
    for folder in folders:
        if _overlap(folder, clone):
            raise InputError(
                f"{folder} and this clone, {clone}, lie in each other: give a folder outside the clone; it is "
                "copied. (Pictures that stand in data/library already need no adopting: `dvc add data/library`.)"
            )
        for other in folders:
            if folder is not other and _overlap(folder, other):
                raise InputError(
                    f"{folder} and {other} are the same or lie in each other: give a folder of its own for each."
                )


def _overlap(one: Path, other: Path) -> bool:
    return one.is_relative_to(other) or other.is_relative_to(one)


def _files(folder: Path, inside: tuple[Path, ...]) -> Iterator[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be read: {error.strerror}. Give yourself the right to read it.") from None
    for entry in entries:
        if entry.is_file():
            yield entry
        elif not entry.is_dir():
            raise InputError(f"{entry} is a link to nowhere, or no file at all (a device, a pipe): take it away.")
        elif (target := entry.resolve()) in inside:
            raise InputError(f"{entry} is a link to {target}, in which it lies: take the link away.")
        else:
            yield from _files(entry, (*inside, target))


def _is_utf_8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
