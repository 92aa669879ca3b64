"""Measure packing: cold, with 1 % new pictures, with a deleted one, and compacted; beside a plain loop over them all.

    python -m bench.packing PICTURES [--number 3000] [--size 299] [--shard 500] [--rounds 1]

PICTURES is a folder of photographs. The stage `shard` runs as DVC runs it, in a repository of its own. In each case the
same pictures are packed without any memo too, and must give the same bytes; the ratio is to that cold packing. Seconds
are of all processors together, the stage's start (Python, pandas, DVC) included.
"""

import argparse
import contextlib
import ctypes
import hashlib
import os
import random
import resource
import shutil
import subprocess
import sys
import tarfile
import time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from runtime import parameters
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.shards.codec import encode

ROOT = Path(__file__).parents[1]
MAX_PIXELS = 100_000_000
BASE = ("model/model.weights.h5", "model/model.json", "model/classes.json", "model/lineage.parquet", "metrics.json")


def run(*command: str, **environment: str) -> float:
    """Run a command quietly.

    Returns:
        Seconds of the processor, by the command and whatever processes it started.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(0, 0):  # the workers, which the command left to their own end
            pass
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def inherit_orphans() -> None:
    """Become the parent of processes whose own has ended, so that `run` counts them."""
    set_child_subreaper = 36  # linux/prctl.h
    assert ctypes.CDLL(None).prctl(set_child_subreaper, 1, 0, 0, 0) == 0


def dvc(*arguments: str) -> float:
    """Run DVC quietly; returns seconds of the processor."""
    return run(sys.executable, "-m", "dvc", *arguments)


def stage(name: str, **environment: str) -> float:
    """Run a stage; returns seconds of the processor."""
    return run(sys.executable, "-m", f"stages.{name}", **environment)


def make_repository(pictures: Path, number: int, size: int, shard: int) -> list[Path]:
    """Make the working directory a repository that holds all but a hundredth of the pictures.

    Returns:
        The pictures that are yet to come.
    """
    shutil.copytree(ROOT / "stages", "stages", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "dvc.yaml", ".")
    shutil.copy(ROOT / "params.yaml", ".")
    parameters.change({"picture.size": size, "shard.images": shard})
    for name in ("library/a", "benchmarks", "unlabelled", "base"):
        Path("data", name).mkdir(parents=True)
    dvc("init", "--no-scm", "--quiet")
    dvc("config", "cache.type", "reflink,copy")
    paths = sorted(path for path in pictures.rglob("*") if path.is_file())
    chosen = random.Random(0).sample(paths, min(number, len(paths)))
    few = len(chosen) // 100
    add(chosen[few:])
    return chosen[:few]


def add(paths: list[Path]) -> None:
    """Copy pictures into the library, and fingerprint it."""
    for path in paths:
        name = hashlib.sha256(str(path).encode()).hexdigest()
        shutil.copy(path, f"data/library/a/{name}.jpg")
    stage("fingerprint")


def release(version: int, index: pd.DataFrame) -> None:
    """Make shards the base."""
    for name in BASE:
        path = Path("data/base", name)
        path.parent.mkdir(exist_ok=True)
        path.touch()
    Path("data/base/version.json").write_text(f'{{"version": {version}}}', encoding="utf-8")
    Path("data/base/shards").mkdir(exist_ok=True)
    index.to_parquet("data/base/shards/index.parquet")


def digests() -> dict[str, str]:
    """Digest what was packed."""
    paths = sorted(Path("data/shards").iterdir())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def pack() -> tuple[float, dict[str, str]]:
    """Pack as `dvc repro` does, which takes the output away first; returns seconds and digests."""
    shutil.rmtree("data/shards", ignore_errors=True)
    return stage("shard"), digests()


def pack_cold() -> tuple[float, dict[str, str]]:
    """Pack on a machine without any memo; returns seconds and digests."""
    shutil.rmtree("data/shards", ignore_errors=True)
    with TemporaryDirectory() as nothing:
        return stage("shard", RETRAIN_MEMO=nothing), digests()


def loop(size: int) -> float:
    """Pack in the plainest way, one picture after the other in one process; returns seconds."""
    started = time.process_time()
    with tarfile.open("plain.tar", "w") as tar:
        for path in sorted(Path("data/library/a").iterdir()):
            data = encode(letterbox(decode(path.read_bytes(), MAX_PIXELS).image, size), "webp")
            member = tarfile.TarInfo(path.name)
            member.size = len(data)
            tar.addfile(member, BytesIO(data))
    Path("plain.tar").unlink()
    return time.process_time() - started


def compare(what: str, rounds: int) -> str:
    """Pack with and without the memo in turn, and write a row of the table."""
    warm = cold = 0.0
    for _ in range(rounds):
        seconds, packed = pack()
        warm += seconds / rounds
        seconds, alone = pack_cold()
        cold += seconds / rounds
        assert packed == alone
    return f"| {what} | {warm:.1f} | {cold:.1f} | {warm / cold:.3f} | yes |"


def report(new: list[Path], rounds: int, size: int) -> None:
    """Run all cases and print the table."""
    cold, _ = pack_cold()
    plain = loop(size)
    index = pd.read_parquet("data/shards/index.parquet")
    print(
        f"{len(index)} pictures of {size} px in {index['shard'].nunique()} shards, {index['size'].sum() / 1e6:.0f} MB"
    )
    start = run(sys.executable, "-c", "import stages.shard, dvc.repo")
    print(f"cold: {cold:.1f} s, of which the start {start:.1f} s; a plain loop in one process: {plain:.1f} s\n")
    print("| case | seconds | cold | ratio | same bytes |\n| --- | ---: | ---: | ---: | --- |")
    pack()
    dvc("commit", "--force", "shard")
    print(compare("nothing new", rounds))
    add(new)
    print(compare(f"{len(new)} new, no base yet: every shard changes", rounds))
    release(1, index)
    print(compare(f"{len(new)} new, after a release: one more shard", rounds))
    next(Path("data/library/a").iterdir()).unlink()
    stage("fingerprint")
    print(compare("and one deleted: its shard changes", rounds))
    parameters.change({"shard.compacted": 2})
    print(compare("and compacted", rounds))
    pack()
    print(f"\nWhat DVC adds to the last: {dvc('commit', '--force', 'shard'):.1f} s to digest and cache what was packed")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--number", type=int, default=3000)
    parser.add_argument("--size", type=int, default=299)
    parser.add_argument("--shard", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    pictures = arguments.pictures.resolve()
    inherit_orphans()
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        new = make_repository(pictures, arguments.number, arguments.size, arguments.shard)
        report(new, arguments.rounds, arguments.size)


if __name__ == "__main__":
    main()
