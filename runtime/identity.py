"""One identity of what computes: our code and the libraries. A result of another identity may be another result.

Memos, checkpoints and the workers of a cluster are all compared by it.
"""

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from PIL import features

ROOT = Path(__file__).parents[1]
_PACKAGES = ("numpy", "pillow", "numba", "simplejpeg", "keras", "tensorflow")
# Inside Pillow's wheel: they decode and encode. Not "zlib": for that one whichever library was loaded first answers.
_PILLOW_LIBRARIES = ("jpg", "libjpeg_turbo", "zlib_ng", "webp", "libtiff", "avif")


def code_identity(modules: Iterable[str], settings: object = None) -> str:
    """Digest our code, Python, the libraries, and what the caller adds.

    Args:
        modules: of ours, such as "stages.shard", or packages, such as "stages.shards", of which every module counts.
        settings: parameters, and whatever else a result depends on; what JSON can hold.

    Returns:
        64 hex digits.
    """
    digest = hashlib.sha256(json.dumps([settings, library_versions()], sort_keys=True).encode())
    for module in modules:
        path = ROOT / module.replace(".", "/")
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            digest.update(source.read_bytes())
    return digest.hexdigest()


def library_versions() -> dict[str, str | None]:
    """Look up the version of Python and of each library that computes, by its name; None where it is absent."""
    pillow = {f"pillow's {name}": features.version(name) for name in _PILLOW_LIBRARIES}
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}, **pillow}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
