"""The digest that names files and DVC's objects."""

import hashlib
from pathlib import Path


def md5_of_file(path: Path) -> str:
    """Digest a file's bytes, a part at a time: MD5 as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
