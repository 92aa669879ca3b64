"""Measure the data half at N pictures in 500 folders: cold, with nothing changed, and with 1 % added after a release.

    python -m bench.scale N PHOTOS [--size 299] [--side 200] [--folder /tmp/scale]

PHOTOS is a folder of photographs. Each picture blends crops of two of them, at places of a seed of its own, so that
all differ. The stages run one by one, as DVC runs them, in a repository of its own; DVC caches what they wrote before
the next round. Seconds are by the clock, and of all processors together, start of Python included. Memory is the
greatest that a stage and its workers held at once: proportional set sizes, added up ten times a second. Then
`dvc repro` with nothing changed runs in turn with `dvc status`.
"""

import random
import sys
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import pandas as pd
from PIL import Image

from bench.harness import Cost, files_in, in_processes, in_turn, medians, options, print_table
from bench.photos import QUALITY
from bench.repository import dvc, read_index, release, repository, stage
from runtime.outputs import write_json
from stages.models.base import BASE_LINEAGE, BASE_MODEL
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.model import CLASSES
from stages.tables.splits import SPLITS

STAGES = ("fingerprint", "shard", "embed", "dedup", "merge", "split")
NUM_FOLDERS = 500
# Of params.yaml's 40, no class of a small run would be left.
MINIMUM = 2


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
    in_processes(partial(make, sources=sources, folder=folder, side=side), numbers, 64)


def half() -> dict[str, Cost]:
    """Run the stages of the data half, and let DVC keep what they wrote; returns what each took."""
    costs = {}
    for name in STAGES:
        costs[name] = stage(name)
        clock, processor, peak, _ = costs[name]
        print(f"{name}: {clock:.1f} s, {processor:.1f} s of the processors, {peak / 1e6:.0f} MB", file=sys.stderr)
    dvc("commit", "--quiet", "--force", *STAGES)
    return costs


def release_data() -> None:
    """Make today's data the base, as if a model had been trained on it."""
    release(read_index())
    splits = SPLITS.read()
    write_json(f"{BASE_MODEL}/{CLASSES}", sorted(set(splits["class_name"].dropna())))
    images = IMAGES.read()
    members = images.groupby("group")["image_id"].agg(list)
    trained = splits.loc[splits["split"] == "train", "image_id"]
    rows = images[images["image_id"].isin(trained)].drop_duplicates("image_id")
    LINEAGE.write(rows.assign(members=rows["group"].map(members)), BASE_LINEAGE)


def report(num: int, cold: dict[str, Cost], again: dict[str, Cost], added: dict[str, Cost]) -> None:
    """Print the table of the stages."""
    processor = [sum(cost.processor for cost in costs.values()) for costs in (cold, again, added)]
    clock = sum(cost.clock for cost in cold.values())
    whole = Cost(clock, processor[0], max(cost.peak_bytes for cost in cold.values()))
    rows = [(name, cold[name], again[name].processor, added[name].processor) for name in STAGES]
    print_table(
        ["stage", "pictures", "s", "cpu s", "peak MB", "nothing new, cpu", "1 % added, cpu"],
        [
            (name, num, cost.clock, cost.processor, round(cost.peak_bytes / 1e6), *others)
            for name, cost, *others in [*rows, ("all", whole, *processor[1:])]
        ],
    )
    print(f"\n1 % added: {processor[2] / processor[0]:.3f} of the first run", flush=True)


def measure_unchanged(rounds: int) -> str:
    """Time DVC where nothing has changed."""
    ways = {
        "repro": partial(dvc, "repro", "--quiet", "--single-item", *STAGES),
        "status": partial(dvc, "status", *STAGES),
    }
    repro, status = (medians(costs).processor for costs in in_turn(ways, rounds).values())
    return f"dvc repro {repro:.1f} s, dvc status {status:.1f} s of the processors, {repro / status:.2f} times"


def main() -> None:
    """Print the tables."""
    # What can be set: picture.side, the side of the pictures that are made, a folder to work in, rounds of DVC.
    asked = options(__doc__, ("number", int), "photos", size=299, side=200, folder=None, rounds=3)
    sources, num = files_in(asked.photos.resolve()), asked.number
    with repository({"picture.side": asked.size, "split.minimum": MINIMUM}, asked.folder):
        add(range(num), sources, asked.side)
        num_bytes = sum(path.stat().st_size for path in files_in(Path("data/library")))
        print(f"{num:,} pictures of {asked.side} px, {num_bytes / 1e6:.0f} MB; picture.side {asked.size}", flush=True)
        stage("pretrained")
        Path("data/instructions.txt").touch()  # what `instructions` writes where there is something to instruct
        cold = half()
        print(f"{len(pd.read_parquet('data/duplicates.parquet'))} pairs were found\n", flush=True)
        again, unchanged = half(), measure_unchanged(asked.rounds)
        release_data()
        add(range(num, num + num // 100), sources, asked.side)
        report(num, cold, again, half())
        print(f"nothing changed: {unchanged}")


if __name__ == "__main__":
    main()
