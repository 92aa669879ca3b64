"""Measure the data half at N pictures in 500 folders: cold, with nothing changed, and with 1 % added after a release.

    python -m bench.scale N PHOTOS [--size 299] [--side 200] [--folder /tmp/scale]

PHOTOS is a folder of photographs. Each picture blends crops of two of them, at places of a seed of its own, so that
all differ. The stages run one by one, as DVC runs them, in a repository of its own; DVC caches what they wrote before
the next round. Seconds are by the clock, and of all processors together, start of Python included. Memory is the
greatest that a stage and its workers held at once: proportional set sizes, added up four times a second. Beside it a
`dvc repro` with nothing changed in turn with `dvc status`.
"""

import argparse
import contextlib
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pandas as pd
from PIL import Image

from bench.packing import ROOT, dvc, inherit_orphans, release
from bench.photos import QUALITY, photos_in
from runtime import parameters
from stages.models.base import BASE_LINEAGE
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.splits import SPLITS

STAGES = ("fingerprint", "dedup", "merge", "split", "shard")
NUM_FOLDERS = 500
# Of params.yaml's 40, no class of a small run would be left.
MINIMUM = 2


class Cost(NamedTuple):
    """What a command took: seconds by the clock, seconds of all processors, and bytes at its peak."""

    wall: float
    cpu: float
    memory: int


@lru_cache(maxsize=1000)
def source(path: Path) -> Image.Image:
    """Read a photo; some stay in memory."""
    with Image.open(path) as opened:
        return opened.convert("RGB")


def crop(image: Image.Image, size: tuple[int, int], rng: random.Random) -> Image.Image:
    """Take 40 to 60 % of each side somewhere, mirrored half of the time."""
    width, height = (side * rng.uniform(0.4, 0.6) for side in image.size)
    left, upper = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    part = image.resize(size, Image.Resampling.BILINEAR, (left, upper, left + width, upper + height))
    return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else part


def make(number: int, sources: Sequence[Path], folder: Path, side: int) -> None:
    """Write the picture of a number, which is also the seed of its edits."""
    rng = random.Random(number)
    size = (side, side * 3 // 4) if rng.random() < 0.5 else (side * 3 // 4, side)
    first, second = (crop(source(path), size, rng) for path in rng.sample(sources, 2))
    gain = rng.uniform(0.8, 1.2)
    image = Image.blend(first, second, rng.uniform(0.3, 0.7)).point(lambda value: value * gain)
    image.save(folder / f"{number % NUM_FOLDERS:03d}" / f"{number:07d}.jpg", quality=QUALITY)


def add(numbers: range, sources: Sequence[Path], side: int) -> None:
    """Make pictures in the library."""
    folder = Path("data/library")
    for number in range(NUM_FOLDERS):
        (folder / f"{number:03d}").mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(partial(make, sources=sources, folder=folder, side=side), numbers, chunksize=64))


def make_repository(size: int) -> None:
    """Make the working directory a repository without pictures."""
    shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", ".")
    shutil.copy(ROOT / "params.yaml", ".")
    parameters.change({"picture.size": size, "split.minimum": MINIMUM})
    for name in ("library", "benchmarks", "unlabelled", "base", "decisions"):
        Path("data", name).mkdir(parents=True)
    Path("data/classes.yaml").write_text("merge: {}\n", encoding="utf-8")
    header = (ROOT / "data/confused.csv").read_text(encoding="utf-8").splitlines()[0]
    Path("data/confused.csv").write_text(f"{header}\n", encoding="utf-8")
    dvc("init", "--no-scm", "--quiet")
    dvc("config", "cache.type", "reflink,copy")


def held(session: int) -> int:
    """Add up the proportional set sizes of the processes of a session; returns bytes."""
    total = 0
    for folder in Path("/proc").iterdir():
        # A process may end meanwhile.
        with contextlib.suppress(ValueError, OSError, IndexError):
            if os.getsid(int(folder.name)) == session:
                rollup = (folder / "smaps_rollup").read_text(encoding="utf-8")
                total += int(rollup.split("\nPss:")[1].split()[0]) * 1024
    return total


def measure(*command: str) -> Cost:
    """Run a Python module, and wait for whatever processes it left too."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started, peak = time.perf_counter(), 0
    process = subprocess.Popen((sys.executable, "-m", *command), stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        peak = max(peak, held(process.pid))
        time.sleep(0.25)
    wall = time.perf_counter() - started
    assert process.returncode == 0, command
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0):
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak)


def half() -> dict[str, Cost]:
    """Run the stages of the data half, and let DVC keep what they wrote; returns what each took."""
    shutil.rmtree("data/shards", ignore_errors=True)  # as `dvc repro` does
    costs = {}
    for stage in STAGES:
        costs[stage] = measure(f"stages.{stage}")
        print(stage, *(f"{value:,.1f}" for value in costs[stage]), flush=True, file=sys.stderr)
    dvc("commit", "--quiet", "--force", *STAGES)
    return costs


def release_data() -> None:
    """Make today's data the base, as if a model had been trained on it."""
    release(1, pd.read_parquet("data/shards/index.parquet"))
    Path("data/base/model/classes.json").write_text("[]", encoding="utf-8")
    splits = SPLITS.read()
    images = IMAGES.read()
    members = images.groupby("group")["image_id"].agg(list)
    trained = splits.loc[splits["split"] == "train", "image_id"]
    rows = images[images["image_id"].isin(trained)].drop_duplicates("image_id")
    LINEAGE.write(rows.assign(members=rows["group"].map(members)), BASE_LINEAGE)


def report(num: int, cold: dict[str, Cost], again: dict[str, Cost], added: dict[str, Cost]) -> None:
    """Print the table of the stages."""
    print("| stage | pictures | s | cpu s | peak MB | nothing new, cpu | 1 % added, cpu |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for stage in STAGES:
        cost = cold[stage]
        row = (f"{cost.wall:.1f}", f"{cost.cpu:.1f}", f"{cost.memory / 1e6:.0f}")
        print(f"| {stage} | {num:,} | {' | '.join(row)} | {again[stage].cpu:.1f} | {added[stage].cpu:.1f} |")
    cpu = [sum(cost.cpu for cost in costs.values()) for costs in (cold, again, added)]
    wall = sum(cost.wall for cost in cold.values())
    peak = max(cost.memory for cost in cold.values()) / 1e6
    print(f"| all | {num:,} | {wall:.1f} | {cpu[0]:.1f} | {peak:.0f} | {cpu[1]:.1f} | {cpu[2]:.1f} |")
    print(f"\n1 % added: {cpu[2] / cpu[0]:.3f} of the first run", flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("number", type=int)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--size", type=int, default=299, help="picture.size")
    parser.add_argument("--side", type=int, default=200, help="of the pictures made, pixels")
    parser.add_argument("--folder", type=Path, default=None, help="to work in a folder below; a temporary one")
    parser.add_argument("--rounds", type=int, default=3, help="of dvc repro and dvc status")
    arguments = parser.parse_args()
    sources, num = photos_in(arguments.photos.resolve()), arguments.number
    inherit_orphans()
    with TemporaryDirectory(dir=arguments.folder) as folder, contextlib.chdir(folder):
        make_repository(arguments.size)
        add(range(num), sources, arguments.side)
        size = sum(path.stat().st_size for path in photos_in(Path("data/library")))
        print(
            f"{num:,} pictures of {arguments.side} px, {size / 1e6:.0f} MB; picture.size {arguments.size}", flush=True
        )
        cold = half()
        pairs = len(pd.read_parquet("data/duplicates.parquet"))
        print(f"{pairs} pairs were found\n", flush=True)
        again = half()
        turns = [
            (measure("dvc", "repro", "--quiet", *STAGES), measure("dvc", "status", *STAGES))
            for _ in range(arguments.rounds)
        ]
        repro, status = (median(cost.cpu for cost in costs) for costs in zip(*turns, strict=True))
        release_data()
        add(range(num, num + num // 100), sources, arguments.side)
        report(num, cold, again, half())
        seconds = f"dvc repro {repro:.1f} s, dvc status {status:.1f} s of the processors"
        print(f"nothing changed: {seconds}, {repro / status:.2f} times")


if __name__ == "__main__":
    main()
