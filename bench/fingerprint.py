"""Time the stage `fingerprint` next to a process pool over `imagehash.phash`, and next to imagededup.

    python -m bench.fingerprint --photos FOLDER [--sides 320 1280] [--num 3000] [--quality 90] [--repeats 3]
        [--imagededup PYTHON] [--memo] [--parts] [--work FOLDER]

FOLDER holds photos of 320 px (data/clothing.tar, unpacked); those of 1,280 px are made of them (bench/photos.py), and
each kind is kept in --work. All run in turn, in processes of their own, each over all cores, after every file was read
once, so that none waits for the disk; the ratio is that of the medians. Ours is the whole stage: listing, MD5, hash,
quality, the digest of the pixels, the proof that the file is whole, the table and the memo.

--quality is that of the JPEGs of 1,280 px. With --repeats 0 nothing is compared. PYTHON is that of an environment with
imagededup. --memo times runs with a memo. --parts says what takes the time: milliseconds of one core per photo, in one
process.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import imagehash
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from bench.harness import (
    ROOT,
    Cost,
    files_in,
    in_processes,
    in_turn,
    medians,
    options,
    print_costs,
    print_table,
    run,
    timed,
)
from bench.photos import make_library
from runtime.workers import num_cores
from stages.duplicates.thumbnail import thumbnail
from stages.fingerprint import fingerprint
from stages.images.fingerprint import grey_of, perceptual_hash, quality
from stages.images.small import decode_small

MOST_PIXELS = 10**9
POOL = """
import os, sys
from concurrent.futures import ProcessPoolExecutor
import imagehash
from PIL import Image
def phash(path):
    with Image.open(path) as image:
        return str(imagehash.phash(image))
if __name__ == "__main__":
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        print(len(list(pool.map(phash, paths, chunksize=64))))
"""
# Of torchvision imagededup needs the names alone, for its networks, which take no part here.
IMAGEDEDUP = """
import importlib.machinery, os, sys, types
from unittest.mock import MagicMock
for name in ("torchvision", "torchvision.models", "torchvision.models.vision_transformer", "torchvision.transforms"):
    module = MagicMock(__path__=[])
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    sys.modules[name] = module
from imagededup.methods import PHash
if __name__ == "__main__":
    cores = len(os.sched_getaffinity(0))
    print(len(PHash(verbose=False).encode_images(sys.argv[1], recursive=True, num_enc_workers=cores)))
"""


def stage(repository: Path) -> Cost:
    """Run the stage as DVC does, with whatever memo stands there."""
    return run(sys.executable, "-m", "stages.fingerprint", folder=repository)


def cold_stage(repository: Path) -> Cost:
    """Run the stage without a memo."""
    shutil.rmtree(repository / ".dvc", ignore_errors=True)
    return stage(repository)


def repository_of(library: Path, work: Path) -> Path:
    """Make a folder with what the stage needs of a clone, over a library."""
    repository = work / f"repository_of_{library.name}"
    (repository / "data").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", repository)
    if not (repository / "data/library").exists():
        (repository / "data/library").symlink_to(library)
    return repository


def compare(library: Path, work: Path, imagededup: str, repeats: int) -> dict[str, Cost]:
    """Time all in turn; returns medians."""
    for name, program in (("pool", POOL), ("imagededup", IMAGEDEDUP)):
        (work / f"with_{name}.py").write_text(program)

    def with_files_in_memory(way: Callable[[], Cost]) -> Cost:
        for photo in files_in(library):
            photo.read_bytes()
        return way()

    ways: dict[str, Callable[[], Cost]] = {
        "ours, the whole stage": partial(cold_stage, repository_of(library, work)),
        "imagehash.phash, process pool": partial(run, sys.executable, "with_pool.py", library, folder=work),
    }
    if imagededup:
        ways["imagededup PHash.encode_images"] = partial(run, imagededup, "with_imagededup.py", library, folder=work)
    costs = in_turn({name: partial(with_files_in_memory, way) for name, way in ways.items()}, repeats)
    return {name: medians(runs) for name, runs in costs.items()}


def phash_of(data: bytes) -> None:
    """Hash a file's bytes with imagehash."""
    with Image.open(BytesIO(data)) as image:
        imagehash.phash(image)


def time_parts(photos: Sequence[Path]) -> dict[str, float]:
    """Time each part of a fingerprint by itself; returns milliseconds of the processor per photo."""
    files = [photo.read_bytes() for photo in photos]
    fingerprint(files[0], MOST_PIXELS)  # loads what is compiled
    pictures = [decode_small(data, MOST_PIXELS).pixels for data in files]
    greys = [grey_of(pixels) for pixels in pictures]
    parts: dict[str, tuple[Callable[[Any], object], Sequence[Any]]] = {
        "all": (partial(fingerprint, max_pixels=MOST_PIXELS), files),
        "decode and digest": (partial(decode_small, max_pixels=MOST_PIXELS), files),
        "MD5": (hashlib.md5, files),
        "grey": (grey_of, pictures),
        "hash": (perceptual_hash, greys),
        "quality": (quality, greys),
        "thumbnail": (lambda picture: thumbnail(*picture), list(zip(pictures, greys, strict=True))),
        "imagehash.phash": (phash_of, files),
    }
    return {
        name: 1000 * timed(lambda work=work, inputs=inputs: [work(each) for each in inputs]).processor / len(photos)
        for name, (work, inputs) in parts.items()
    }


def true_hash(path: Path) -> int:
    """Hash the upright picture, decoded whole, with imagehash."""
    with Image.open(path) as image:
        return int(str(imagehash.phash(ImageOps.exif_transpose(image))), 16)


def bits_between(library: Path, repository: Path) -> list[int]:
    """In how many bits our hash and imagehash's differ, photo by photo."""
    rows = pq.read_table(repository / "data/fingerprints.parquet", columns=["path", "phash"]).to_pydict()
    paths = [library / path.removeprefix("library/") for path in rows["path"]]
    truths = in_processes(true_hash, paths, 64)
    return [(ours ^ truth).bit_count() for ours, truth in zip(rows["phash"], truths, strict=True)]


def time_memo(library: Path, work: Path) -> dict[str, Cost]:
    """Time a first run, one with a hundredth of the photos new, one with nothing new, one with all times changed.

    The new ones are put aside first, and the table is compared with that of a first run every time.
    """
    repository = repository_of(library, work)
    table = repository / "data/fingerprints.parquet"
    photos = files_in(library)
    costs = {"first run": cold_stage(repository)}
    whole = table.read_bytes()
    aside = {photo: work / f"{number}.aside" for number, photo in enumerate(photos[::100])}
    for photo, path in aside.items():
        photo.rename(path)
    time.sleep(3)
    cold_stage(repository)
    for photo, path in aside.items():
        path.rename(photo)
    time.sleep(3)  # what was changed just now is read once more the next time
    for name in ("1 % new", "nothing new", "all times changed"):
        if name == "all times changed":
            for photo in photos:
                os.utime(photo)
        costs[name] = stage(repository)
        assert table.read_bytes() == whole, name
    return costs


def measure(asked: Namespace, side: int) -> None:
    """Print the tables of photos of one size."""
    name = f"{side}_{asked.quality}_{asked.num}" if side == 1280 else f"{side}_{asked.num}"
    library, large = asked.work / name, asked.quality if side == 1280 else None
    photos = make_library(library, asked.num, files_in(asked.photos), large)
    num_bytes = sum(photo.stat().st_size for photo in photos) / len(photos)
    print(f"\n{len(photos):,} photos of {side:,} px, {num_bytes / 1000:.0f} KB each, {num_cores()} cores\n")
    if asked.repeats:
        print_costs("way", compare(library, asked.work, asked.imagededup, asked.repeats))
        bits = bits_between(library, repository_of(library, asked.work))
        print(f"\nour hash and imagehash's: equal {bits.count(0) / len(bits):.2%},", end=" ")
        print(f"within 2 bits {sum(b <= 2 for b in bits) / len(bits):.2%}, at most {max(bits)}\n")
    if asked.parts:
        print_table(["part", "ms"], list(time_parts(photos[:300]).items()))
    if asked.memo:
        print_costs("run", time_memo(library, asked.work))


def main() -> None:
    """Print the tables."""
    work = Path(tempfile.gettempdir()) / "bench_fingerprint"
    asked = options(
        __doc__,
        photos=Path,
        work=work,
        num=3000,
        sides=[320, 1280],
        repeats=3,
        quality=90,
        imagededup="",
        memo=False,
        parts=False,
    )
    for side in asked.sides:
        measure(asked, side)


if __name__ == "__main__":
    main()
