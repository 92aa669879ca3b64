"""Digest, hash and judge every file of the library, the benchmarks and the unlabelled pictures.

Reads: data/library/, data/benchmarks/, data/unlabelled/; data/instructions.txt, which says that a run may begin
Writes: data/fingerprints.parquet (path, image_id, bytes, width, height, format, phash, sharpness, brightness,
    highlights, contrast, chroma, is_damaged, pixels, thumbnail, taken_at, camera, error)
Params: fingerprint
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

from runtime import parameters
from runtime.command import run
from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from runtime.identity import code_identity
from runtime.litter import is_litter
from runtime.tracked import require_all_under_dvc, require_not_reverted
from runtime.wording import counted, listed
from runtime.workers import over
from stages.duplicates.thumbnail import thumbnail
from stages.images.errors import UnreadableError
from stages.images.fingerprint import chroma, grey_of, perceptual_hash, quality
from stages.images.small import decode_small
from stages.images.taken import taken
from stages.memos.file_memo import Memo, Reading, Stamp, Wanted, stamp_of
from stages.tables.fingerprints import FINGERPRINTS

# Our code that a row depends on, in addition to the file and the parameters.
COMPUTING = ("stages.fingerprint", "stages.images", "stages.duplicates.thumbnail")

log = logging.getLogger(__name__)

DATA = Path("data")
FOLDERS = ("library", "benchmarks", "unlabelled")
NO_FILE = "not a file but a pipe, a socket, a device or a link to a folder"
# A picture of 100 million pixels with 16 bits in each of four channels takes 800 MB without compression.
MAX_BYTES = 2**30
TOO_LARGE = f"larger than any picture: more than {MAX_BYTES:,} bytes"
# How often the folders are read until nothing changes while they are read.
NUM_ATTEMPTS = 3
# Below this many bytes of pictures, starting processes costs more than the work.
_ALONE = 2**25


def list_files(folder: str) -> Iterator[tuple[str, Stamp | None]]:
    """List every file below a folder of data/, what file managers left there too.

    Args:
        folder: relative to data/; an absent one holds no files. A link to a folder counts as a file.

    Yields:
        Paths relative to data/, with forward slashes, in no particular order, and the stamp that changes with the file.
    """
    pending = [folder] if (DATA / folder).is_dir() else []
    while pending:
        folder = pending.pop()
        with os.scandir(DATA / folder) as entries:
            for entry in entries:
                path = f"{folder}/{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    pending.append(path)
                    continue
                try:
                    yield path, stamp_of(entry.stat())
                except OSError:  # a broken link: reading it says so
                    yield path, None


def read(wanted: Wanted, max_pixels: int) -> Reading:
    """Read one file, once.

    Args:
        wanted: the file, and the MD5s whose rows are known.
        max_pixels: a picture with more is not decoded.

    Returns:
        Its MD5, and its row unless that is known.
    """
    path = wanted.path
    try:
        path.encode()
    except UnicodeEncodeError:
        readable = os.fsencode(path).decode(errors="backslashreplace")
        return Reading(None, None, {"path": readable, "error": "the file's name is not UTF-8: rename it"})
    try:
        # To open a pipe would wait for a writer, and to open a device may do anything.
        if (DATA / path).exists() and not (DATA / path).is_file():
            return Reading(None, None, {"path": path, "error": NO_FILE})
        with (DATA / path).open("rb", buffering=0) as file:
            before = stamp_of(os.fstat(file.fileno()))
            if before.size > MAX_BYTES:
                return Reading(None, None, {"path": path, "error": TOO_LARGE})
            data = file.read()
            stamp = before if stamp_of(os.fstat(file.fileno())) == before else None
    except OSError as error:
        return Reading(None, None, {"path": path, "error": error.strerror})
    image_id = md5_of_bytes(data)
    if image_id in wanted.known:
        return Reading(image_id, stamp, None)
    row = {"path": path, "image_id": image_id, "bytes": len(data)}
    return Reading(image_id, stamp, row | fingerprint(data, max_pixels))


def fingerprint(data: bytes, max_pixels: int) -> dict[str, object]:
    """Take the fingerprint of a file's bytes.

    Args:
        data: the whole file.
        max_pixels: a picture with more is not decoded.

    Returns:
        Columns of the table; `error` alone for what cannot be read.
    """
    try:
        small = decode_small(data, max_pixels)
    except UnreadableError as error:
        return {"error": str(error)}
    grey = grey_of(small.pixels)
    return {
        "width": small.width,
        "height": small.height,
        "format": small.format,
        "phash": perceptual_hash(grey),
        **quality(grey),
        "chroma": chroma(small.pixels),
        "is_damaged": small.is_damaged,
        "pixels": small.digest,
        "thumbnail": thumbnail(small.pixels, grey),
        **taken(data)._asdict(),
    }


def read_all(max_pixels: int) -> tuple[pa.Table, list[str]]:
    """Read every file, and read again what changes or arrives meanwhile: DVC digests the folders after the stage.

    Args:
        max_pixels: a picture with more is not decoded.

    Returns:
        The rows in no particular order, and the paths of what file managers left.

    Raises:
        InputError: there are no files in data/library, or the folders do not come to rest.
    """
    work, identity = partial(read, max_pixels=max_pixels), code_identity(COMPUTING, max_pixels)
    files, litter = _list_all()
    counts = Counter(path.split("/")[0] for path, _ in files)
    log.info("fingerprint: %s", ", ".join(f"{counted(counts[name], 'file')} in data/{name}" for name in FOLDERS))
    for _ in range(NUM_ATTEMPTS):
        few = _ALONE * len(files) // max(1, sum(stamp.size for _, stamp in files if stamp))
        memo = Memo("fingerprints", identity, FINGERPRINTS.schema)
        rows = memo.rows(files, partial(over, work, what="files", few=few))
        before, (files, litter) = files, _list_all()
        if files == before:
            return rows, litter
        changed = sorted({path for path, _ in set(files) ^ set(before)})
        log.info("fingerprint: reads again, since files changed meanwhile: %s", listed(changed))
    raise InputError(
        f"files below data/ change while they are read: {listed(changed)}. Wait until the copying has ended, then "
        "`make repro` again: what was read is remembered."
    )


def _list_all() -> tuple[list[tuple[str, Stamp | None]], list[str]]:
    everything = sorted(file for folder in FOLDERS for file in list_files(folder))
    litter = [path for path, _ in everything if is_litter(path)]
    files = [file for file in everything if not is_litter(file[0])]
    if not any(path.startswith("library/") for path, _ in files):
        raise InputError(
            "data/library holds no files. Put a folder of pictures per sub-class there (data/library/<sub_class>/...), "
            "or run `make adopt LIBRARY=folder`; `python -m sample` writes the sample."
        )
    return files, litter


def main() -> None:
    """Run the stage."""
    params = parameters.read(parameters.Fingerprint)
    require_not_reverted([DATA / folder for folder in FOLDERS])
    require_all_under_dvc([DATA / folder for folder in FOLDERS])

    rows, litter = read_all(params.max_pixels)

    FINGERPRINTS.write_arrow(rows)
    _log(rows, litter)


def _log(rows: pa.Table, litter: list[str]) -> None:
    if litter:
        names = listed([f"data/{path}" for path in litter])
        log.info("fingerprint: %s of file managers or editors ignored: %s", counted(len(litter), "file"), names)
    unreadable = rows.filter(rows["error"].is_valid()).sort_by("path")
    for path, error in zip(unreadable["path"].to_pylist()[:20], unreadable["error"].to_pylist(), strict=False):
        log.warning("fingerprint: data/%s cannot be read: %s", path, error)
    num_bad = len(unreadable)
    log.info(
        "fingerprint: %s taken; %s cannot be read",
        counted(len(rows) - num_bad, "fingerprint"),
        counted(num_bad, "file"),
    )


if __name__ == "__main__":
    run(main)
