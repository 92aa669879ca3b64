"""One identity of what computes: our code and the libraries. A result of another identity may be another result.

Memos, checkpoints and the workers of a cluster are all compared by it.
"""

import hashlib
import json
import platform
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from uuid import uuid4

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
        64 hex digits. If one of the modules changed after this process began, no other process will return them again:
        nobody can say which content was loaded.
    """
    digest = hashlib.sha256(json.dumps([settings, library_versions()], sort_keys=True).encode())
    for module in modules:
        path = ROOT / module.replace(".", "/")
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]:
            now = _digest(source)
            digest.update((now if _at_start.get(_name(source), now) == now else _UNKNOWN).encode())
    return digest.hexdigest()


def loaded_code() -> dict[str, str]:
    """Digest our code as this process has it loaded or would load it.

    Returns:
        By path: 64 hex digits. For a file that changed after this process began, nobody can say which content was
        loaded: it has a value that no other process has.
    """
    now = _digests()
    return {path: digest if now.get(path) == digest else _UNKNOWN for path, digest in sorted((now | _at_start).items())}


def changed_code() -> list[str]:
    """List the files of our code that changed after this process began, sorted."""
    return [path for path, digest in loaded_code().items() if digest == _UNKNOWN]


def _digests() -> dict[str, str]:
    sources = (source for folder in ("runtime", "stages") for source in (ROOT / folder).rglob("*.py"))
    return {_name(source): _digest(source) for source in sources}


def _name(source: Path) -> str:
    return source.relative_to(ROOT).as_posix()


def _digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def library_versions() -> dict[str, str | None]:
    """Look up the version of Python and of each library that computes, by its name; None where it is absent.

    Of a library that is loaded, its own word counts: another may have been installed since.
    """
    pillow = {f"pillow's {name}": features.version(name) for name in _PILLOW_LIBRARIES}
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}, **pillow}


def _version(package: str) -> str | None:
    module = sys.modules.get({"pillow": "PIL"}.get(package, package))
    if loaded := getattr(module, "__version__", None):
        return str(loaded)
    try:
        return version(package)
    except PackageNotFoundError:
        return None


# Taken before the rest of our code is loaded, for a file may change while the process lives.
_at_start = _digests()
# Stands for the content of a file that changed, in this process alone.
_UNKNOWN = uuid4().hex
