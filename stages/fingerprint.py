"""Digest, hash and judge every file of the library, the benchmarks and the unlabelled pictures.

Reads: data/library/, data/benchmarks/, data/unlabelled/
Writes: data/fingerprints.parquet (path, image_id, bytes, width, height, format, phash, sharpness, brightness, contrast,
    pixels, thumbnail, error)
Params: fingerprint
"""

import hashlib
import logging
import os
from collections import Counter
from functools import partial
from pathlib import Path

import pandas as pd

from stages import _params
from stages._command import run
from stages._errors import InputError
from stages._workers import over
from stages.images.decode import UnreadableError, decode
from stages.images.fingerprint import SIDE, perceptual_hash, pixel_digest, quality
from stages.images.thumbnail import thumbnail
from stages.tables.fingerprints import FINGERPRINTS

log = logging.getLogger(__name__)

DATA = Path("data")
FOLDERS = ("library", "benchmarks", "unlabelled")


def list_files(folder: Path) -> list[str]:
    """List every file below a folder.

    Args:
        folder: relative or absolute; an absent one holds no files.

    Returns:
        Paths relative to the folder's parent, with forward slashes, sorted by their bytes.
    """
    found = (os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)  # noqa: PTH118
    return sorted((os.path.relpath(path, folder.parent) for path in found), key=os.fsencode)


def fingerprint(path: str, max_pixels: int) -> dict[str, object]:
    """Read one file, once.

    Args:
        path: relative to data/.
        max_pixels: a picture with more is not decoded.

    Returns:
        The file's row; what cannot be read has an `error`, and no more than its digest and size.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        readable = os.fsencode(path).decode(errors="backslashreplace")
        return {"path": readable, "image_id": None, "bytes": None, "error": "the file's name is not UTF-8: rename it"}
    try:
        data = (DATA / path).read_bytes()
    except OSError as error:
        return {"path": path, "image_id": None, "bytes": None, "error": error.strerror}
    row = {"path": path, "image_id": hashlib.md5(data, usedforsecurity=False).hexdigest(), "bytes": len(data)}
    try:
        image, format_name, width, height = decode(data, max_pixels, SIDE)
    except UnreadableError as error:
        return row | {"error": str(error)}
    measured = {"width": width, "height": height, "format": format_name, **quality(image)}
    digest = pixel_digest(image, width, height)
    looks = {"phash": perceptual_hash(image), "pixels": digest, "thumbnail": thumbnail(image)}
    return row | measured | looks | {"error": None}


def main() -> None:
    """Run the stage."""
    params = _params.read(_params.Fingerprint)
    files = [path for folder in FOLDERS for path in list_files(DATA / folder)]
    if not any(path.startswith("library/") for path in files):
        raise InputError(
            "data/library holds no files. Put a folder of pictures per sub-class there (data/library/<sub_class>/...), "
            "or run `make adopt LIBRARY=folder`; `python -m sample` writes the sample."
        )

    rows = list(over(partial(fingerprint, max_pixels=params.max_pixels), files, "files"))

    frame = pd.DataFrame(rows).reindex(columns=FINGERPRINTS.schema.names)
    FINGERPRINTS.write(frame.astype({"phash": "UInt64", "bytes": "Int64", "width": "Int64", "height": "Int64"}))
    unreadable = frame[frame["error"].notna()]
    for row in unreadable.head(20).itertuples():
        log.warning("fingerprint: data/%s cannot be read: %s", row.path, row.error)
    counts = Counter(path.split("/")[0] for path in files)
    log.info(
        "fingerprint: %s; %d cannot be read",
        ", ".join(f"{counts[folder]:,} files in data/{folder}" for folder in FOLDERS),
        len(unreadable),
    )


if __name__ == "__main__":
    run(main)
