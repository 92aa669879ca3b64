"""Outputs that appear whole or not at all: written aside in the same folder, then renamed."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
    """Give a path to write a file or a folder to, and move what was written to `path` when the block succeeds.

    Args:
        path: where the output belongs. What stands there already is replaced; on failure it stays.

    Yields:
        A path beside `path`, ending in `.partial`, at which nothing stands yet; its folder exists.
    """
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        if path.is_dir():
            _remove(path)
        partial.replace(path)
    finally:
        _remove(partial)


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as indented JSON, keys in the order given, the file whole or not at all.

    Args:
        path: where the file belongs.
        value: dictionaries, lists, strings, numbers, booleans and None; no NaN.
    """
    with whole(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, so that what was made or renamed there outlasts a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
