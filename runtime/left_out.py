"""What lies in a folder under DVC and `dvc add` leaves out without a word: stages read it, no push has it."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.errors import RepositoryError
from runtime.litter import is_litter
from runtime.wording import counted, listed


def require_nothing_left_out(repo: Any, folders: Sequence[Path]) -> None:
    """Refuse folders in which something lies that DVC does not list, litter aside, which no stage reads.

    Args:
        repo: DVC's.
        folders: under DVC; absent ones are passed over.

    Raises:
        RepositoryError: there is something; the message names it and the ways out.
    """
    for folder in folders:
        files = left_out(repo, folder)
        if files:
            counts = Counter(str(Path(file).parent) for file in files)
            names = [f"{parent}/ ({counted(number, 'file')})" for parent, number in sorted(counts.items())]
            raise RepositoryError(
                f"{counted(len(files), 'file')} in {folder} would be read by the stages, but `dvc add` leaves them "
                f"out, so no push has them and another clone would lack them: {listed(names)}, such as {files[0]}. DVC "
                "leaves out links to folders, a folder that has a folder .dvc in it, and what .dvcignore names. "
                "Put a folder in the place of the link, delete that .dvc, or take the line out of .dvcignore; "
                f"or move these files out of {folder}. Then `dvc add {folder}`."
            )


def left_out(repo: Any, folder: Path) -> list[str]:
    """List what lies in a folder and DVC does not list, sorted: files, and links to folders.

    Args:
        repo: DVC's.
        folder: an absent one holds nothing.
    """
    from dvc_objects.fs import LocalFileSystem

    root = str(folder.absolute())
    in_dvc = set(repo.dvcignore.find(LocalFileSystem(), root))
    return sorted(f"{folder}{path[len(root) :]}" for path in _files(root) if path not in in_dvc)


def _files(root: str) -> Iterator[str]:
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_litter(name)]
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (f"{parent}/{name}" for name in (*links, *files) if not is_litter(name))
