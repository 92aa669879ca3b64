"""Files that file managers, editors and office programs leave in folders: never pictures, never decisions."""

_NAMES = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "__macosx", "$recycle.bin"})


def is_litter(path: str) -> bool:
    """Say whether a path is litter, or lies in a folder that is.

    Litter is every hidden name (`.DS_Store`, `._1.jpg`, `.git`), an editor's copy (`ana.csv~`), an office program's
    lock (`~$ana.xlsx`), and what Windows, macOS and Synology write (`Thumbs.db`, `desktop.ini`, `@eaDir`).

    Args:
        path: with forward slashes, relative to a folder that is the user's own.
    """
    return any(_is_litter(name) for name in path.split("/"))


def _is_litter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.endswith("~") or name.casefold() in _NAMES
