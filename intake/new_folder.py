"""Which names a new folder of the library may have."""

import re

from runtime.litter import is_litter

_MOST = 100  # letters: with the file's name, the path stays below what file systems take


def can_be_folder(name: str) -> bool:
    """Say whether a name can be that of a sub-class: one folder, and none that listings pass over."""
    return (
        name == name.strip() != ""
        and len(name) <= _MOST
        and not is_litter(name)
        and not name.startswith("~")
        and not re.search(r"[/\\\x00-\x1f\x7f]", name)
    )
