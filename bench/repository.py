"""A repository without Git to measure the data half in: a copy of the stages, empty folders of pictures, and DVC."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from bench.harness import ROOT, Cost, run_module
from runtime import parameters
from stages.models.base import BASE_INDEX, BASE_VERSION, FILES
from stages.tables.shards import INDEX


@contextlib.contextmanager
def repository(values: Mapping[str, int], parent: Path | None = None) -> Iterator[None]:
    """Make a temporary repository the working directory.

    Args:
        values: numbers to change in params.yaml, such as that of `shard.images`.
        parent: folder to make it in.
    """
    with TemporaryDirectory(dir=parent) as folder, contextlib.chdir(folder):
        for name in ("stages", "runtime"):
            shutil.copytree(ROOT / name, name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "dvc.yaml", ".")
        shutil.copy(ROOT / "params.yaml", ".")
        parameters.change(values)
        for name in ("library", "benchmarks", "unlabelled", "base", "decisions"):
            Path("data", name).mkdir(parents=True)
        Path("data/classes.yaml").write_text("merge: {}\n", encoding="utf-8")
        header = (ROOT / "data/confused.csv").read_text(encoding="utf-8").splitlines()[0]
        Path("data/confused.csv").write_text(f"{header}\n", encoding="utf-8")
        dvc("init", "--no-scm", "--quiet")
        dvc("config", "cache.type", "reflink,copy")
        yield


def dvc(*arguments: str) -> Cost:
    """Run DVC."""
    return run_module("dvc", *arguments)


def stage(name: str, **environment: str) -> Cost:
    """Run a stage as DVC does, which takes its output away first."""
    if name == "shard":
        shutil.rmtree("data/shards", ignore_errors=True)
    return run_module(f"stages.{name}", **environment)


def release(index: pd.DataFrame) -> None:
    """Make shards the base, as if a model had been trained on them."""
    for path in map(Path, FILES):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    Path(BASE_VERSION).write_text('{"version": 1}', encoding="utf-8")
    INDEX.write(index, BASE_INDEX)


def read_index() -> pd.DataFrame:
    """Read the index of the shards."""
    return pd.read_parquet("data/shards/index.parquet")
