"""Time the stage `fingerprint` beside a process pool over `imagehash.phash`, and beside imagededup.

    python -m bench.fingerprint --photos FOLDER [--num 3000] [--repeats 3] [--imagededup PYTHON] [--memo] [--parts]

FOLDER holds photos of 320 px (data/clothing.tar, unpacked); those of 1,280 px are made of them (bench/photos.py), and
each kind is kept in --work. All run in turns, in processes of their own, each over all cores, after every file was read
once, so that none waits for the disk; the ratio is that of the medians. Ours is the whole stage: listing, MD5, hash,
quality, the digest of the pixels, the proof that the file is whole, the table and the memo. --parts says what takes the
time: milliseconds of one core a photo, in one process.
"""

import argparse
import ctypes
import hashlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import imagehash
import pyarrow.parquet as pq
from PIL import Image, ImageOps

from bench.photos import make_library, photos_in
from stages.duplicates.thumbnail import thumbnail
from stages.fingerprint import fingerprint
from stages.images.fingerprint import grey_of, perceptual_hash, quality
from stages.images.small import decode_small

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h: orphans become ours
MOST_PIXELS = 10**9
CORES = len(os.sched_getaffinity(0))
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


class Taken(NamedTuple):
    """What a run took: seconds by the clock, and of all processors together, which other work disturbs less."""

    clock: float
    processors: float


def run(command: Sequence[str | Path], folder: Path, environment: dict[str, str] | None = None) -> Taken:
    """Run a command to its end, and give what it took."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=False)
    assert not done.returncode, done.stderr
    clock = time.perf_counter() - begun
    _await_orphans()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(clock, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _await_orphans() -> None:
    """Wait for what the command left behind, such as the server that forks our workers, so that it is counted."""
    with suppress(ChildProcessError):
        while True:
            os.wait()


def stage(repository: Path) -> Taken:
    """Run the stage as DVC does, with whatever memo stands there."""
    return run([sys.executable, "-m", "stages.fingerprint"], repository, {"PYTHONPATH": str(ROOT)})


def cold_stage(repository: Path) -> Taken:
    """Run the stage without a memo."""
    shutil.rmtree(repository / ".dvc", ignore_errors=True)
    return stage(repository)


def repository_of(library: Path, work: Path) -> Path:
    """Make a folder that is all that the stage needs of a clone, over a library."""
    repository = work / f"repository_of_{library.name}"
    (repository / "data").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "params.yaml", repository)
    if not (repository / "data/library").exists():
        (repository / "data/library").symlink_to(library)
    return repository


def read_all(library: Path) -> None:
    """Bring all files into memory."""
    for photo in photos_in(library):
        photo.read_bytes()


def compare(library: Path, work: Path, imagededup: str | None, repeats: int) -> dict[str, Taken]:
    """Time all in turns; medians in seconds."""
    repository = repository_of(library, work)
    ways: dict[str, Callable[[], Taken]] = {
        "ours, the whole stage": partial(cold_stage, repository),
    }
    for name, program in (("pool", POOL), ("imagededup", IMAGEDEDUP)):
        (work / f"with_{name}.py").write_text(program)
    ways["imagehash.phash, process pool"] = partial(run, [sys.executable, "with_pool.py", library], work)
    if imagededup:
        ways["imagededup PHash.encode_images"] = partial(run, [imagededup, "with_imagededup.py", library], work)
    taken: dict[str, list[Taken]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            read_all(library)
            taken[name].append(way())
    return {name: Taken(*map(statistics.median, zip(*times, strict=True))) for name, times in taken.items()}


def phash_of(data: bytes) -> None:
    """Hash a file's bytes with imagehash."""
    with Image.open(BytesIO(data)) as image:
        imagehash.phash(image)


def time_parts(photos: Sequence[Path]) -> dict[str, float]:
    """Time each part of a fingerprint by itself; milliseconds of the processor a photo."""
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
    taken = {}
    for name, (function, arguments) in parts.items():
        begun = time.process_time()
        for argument in arguments:
            function(argument)
        taken[name] = 1000 * (time.process_time() - begun) / len(arguments)
    return taken


def true_hash(path: Path) -> int:
    """Hash the upright picture, decoded whole, with imagehash."""
    with Image.open(path) as image:
        return int(str(imagehash.phash(ImageOps.exif_transpose(image))), 16)


def bits_between(library: Path, repository: Path) -> list[int]:
    """In how many bits our hash and imagehash's differ, photo by photo."""
    rows = pq.read_table(repository / "data/fingerprints.parquet", columns=["path", "phash"]).to_pydict()
    paths = [library / path.removeprefix("library/") for path in rows["path"]]
    with ProcessPoolExecutor(CORES) as pool:
        truths = list(pool.map(true_hash, paths, chunksize=64))
    return [(ours ^ truth).bit_count() for ours, truth in zip(rows["phash"], truths, strict=True)]


def time_memo(library: Path, work: Path) -> dict[str, Taken]:
    """Time a first run, one with a hundredth of the photos new, one with nothing new, one with all times changed.

    The new ones are put aside first, and the table is held to that of a first run every time.
    """
    repository = repository_of(library, work)
    table = repository / "data/fingerprints.parquet"
    photos = photos_in(library)
    new = photos[::100]
    taken = {"first run": cold_stage(repository)}
    whole = table.read_bytes()
    aside = {photo: work / f"{place}.aside" for place, photo in enumerate(new)}
    for photo, place in aside.items():
        photo.rename(place)
    time.sleep(3)
    cold_stage(repository)
    for photo, place in aside.items():
        place.rename(photo)
    time.sleep(3)  # what was changed just now is read once more the next time
    for name in ("1 % new", "nothing new"):
        taken[name] = stage(repository)
        assert table.read_bytes() == whole, name
    for photo in photos:
        os.utime(photo)
    taken["all times changed"] = stage(repository)
    assert table.read_bytes() == whole
    return taken


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "bench_fingerprint")
    parser.add_argument("--num", type=int, default=3000)
    parser.add_argument("--sides", type=int, nargs="*", choices=(320, 1280), default=[320, 1280])
    parser.add_argument("--repeats", type=int, default=3, help="0: nothing but the memo")
    parser.add_argument("--quality", type=int, default=90, help="of the JPEGs of 1,280 px")
    parser.add_argument("--imagededup", help="the Python of an environment that has imagededup")
    parser.add_argument("--memo", action="store_true", help="time the memo, too")
    parser.add_argument("--parts", action="store_true", help="time the parts, too, on 300 of the photos")
    options = parser.parse_args()
    sources = photos_in(options.photos)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for side in options.sides:
        name = f"{side}_{options.quality}_{options.num}" if side == 1280 else f"{side}_{options.num}"
        library = options.work / name
        photos = make_library(library, options.num, sources, options.quality if side == 1280 else None)
        num_bytes = sum(photo.stat().st_size for photo in photos) / len(photos)
        print(f"\n{len(photos):,} photos of {side:,} px, {num_bytes / 1000:.0f} KB each, {CORES} cores")
        if options.repeats:
            medians = compare(library, options.work, options.imagededup, options.repeats)
            ours = medians["ours, the whole stage"]
            print(f"  {'':32s}   clock  times ours  processors  times ours")
            for way, taken in medians.items():
                ratios = taken.clock / ours.clock, taken.processors / ours.processors
                print(f"  {way:32s} {taken.clock:7.2f} {ratios[0]:11.2f} {taken.processors:11.2f} {ratios[1]:11.2f}")
            bits = bits_between(library, repository_of(library, options.work))
            print(f"  hash beside imagehash's: equal {bits.count(0) / len(bits):.2%},", end=" ")
            print(f"within 2 bits {sum(b <= 2 for b in bits) / len(bits):.2%}, at most {max(bits)}")
        if options.parts:
            print("  " + ", ".join(f"{part} {taken:.3f} ms" for part, taken in time_parts(photos[:300]).items()))
        if options.memo:
            runs = time_memo(library, options.work)
            first = runs["first run"]
            for way, taken in runs.items():
                shares = taken.clock / first.clock, taken.processors / first.processors
                print(f"  {way:32s} {taken.clock:7.2f} {shares[0]:11.1%} {taken.processors:11.2f} {shares[1]:11.1%}")


if __name__ == "__main__":
    main()
