"""Digests: the MD5 that names pictures and DVC's objects, and the SHA-256 that weights are checked by."""

import hashlib
from pathlib import Path


def md5_of_file(path: Path) -> str:
    """Digest a file's bytes, a part at a time: MD5 as 32 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def md5_of_bytes(data: bytes) -> str:
    """Digest bytes in memory: MD5 as 32 hex digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256_of_file(path: Path) -> str:
    """Digest a file's bytes, a part at a time: SHA-256 as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
