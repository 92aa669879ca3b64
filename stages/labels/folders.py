"""The folders under data/: what they hold."""

import os
from collections.abc import Collection
from pathlib import Path

from runtime.litter import is_litter
from stages.labels.names import composed

DATA = Path("data")
UNLABELLED = "unlabelled/"  # begins the path of a picture without a label, relative to data/


def list_paths(folder: str) -> list[str]:
    """List the files below a folder of data/, without litter.

    Args:
        folder: relative to data/; an absent one holds no files.

    Returns:
        Paths relative to data/, sorted; what is not UTF-8 in a name is escaped.
    """
    found = (
        f"{Path(parent).relative_to(DATA).as_posix()}/{name}"
        for parent, folders, names in os.walk(DATA / folder)
        for name in (*names, *(name for name in folders if Path(parent, name).is_symlink()))
    )
    return sorted(os.fsencode(path).decode(errors="backslashreplace") for path in found if not is_litter(path))


def list_empty(folder: str, sub_classes: Collection[str]) -> list[str]:
    """List the folders in a folder of data/ that hold no file, sorted.

    Args:
        folder: relative to data/.
        sub_classes: the folders that hold some.
    """
    names = (composed(path.name) for path in (DATA / folder).glob("*") if path.is_dir() and not is_litter(path.name))
    return sorted(set(names) - set(sub_classes))
