"""Small git and DVC repositories with a pipeline of two stages, for tests of what is done with a repository."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONFIG = """\
[core]
    remote = store
    analytics = false
['remote "store"']
    url = ../../remote
"""
PIPELINE = """\
stages:
  train:
    cmd: mkdir -p data/model data/shards && cat data/library/boots/*.png > data/model/model.weights.h5
      && echo '{}' > data/model/model.json && echo index > data/shards/index.parquet && echo tar > data/shards/00000.tar
    deps: [data/library, data/base]
    params: [split]
    outs: [data/model, data/shards]
  score:
    cmd: mkdir -p data/scores && cp scores/*.json data/scores
    deps: [data/model, scores]
    outs:
      - data/scores/gate.json: {cache: false}
      - data/scores/calibration.json: {cache: false}
    metrics:
      - data/scores/metrics.json: {cache: false}
"""
SAMPLE = """\
from pathlib import Path

for name in ("library/boots/1.png", "benchmarks/difficult/boots/2.png", "unlabelled/3.png"):
    file = Path("data", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a boot")
"""
GATE = {
    "verdict": "no",
    "rules": [
        {"set": "difficult", "metric": "true_positive_fraction", "passed": False, "why": "0.7 is below 0.8"},
        {"set": "most_common", "metric": "num_errors", "passed": True, "why": "0 is at most 0"},
    ],
}
CALIBRATION = {"temperature": 1.5, "applied": True, "num_pictures": 10}
METRICS = {
    "test": {"top_1_accuracy": 0.9712345678, "macro_f1": 0.9, "log_loss": None},
    "validation": {"top_1_accuracy": 1.0},
    "difficult": {"true_positive_fraction": 0.7},
}


def run(*command: str) -> str:
    """Run a command in the current folder and give what it printed."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert not done.returncode, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def dvc(*arguments: str) -> str:
    return run(sys.executable, "-m", "dvc", *arguments)


def commit(message: str) -> None:
    run("git", "add", "--all")
    run("git", "commit", "--quiet", "--message", message)


def write(path: str, content: str) -> Path:
    file = Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return file


@contextmanager
def surroundings(folder: Path) -> Iterator[None]:
    """Work in a folder, with the settings and DVC's site cache of nobody else."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "Tester")
            patch.setenv(f"GIT_{who}_EMAIL", "tester@example.org")
        patch.setenv("DVC_SITE_CACHE_DIR", str(folder.parent / "site"))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.chdir(folder)
        yield


def make(folder: Path) -> Path:
    """Make `folder/clone`, reproduced, committed and pushed to the DVC remote `folder/remote`."""
    clone = folder / "clone"
    clone.mkdir()
    with surroundings(clone):
        write(".dvc/config", CONFIG)
        write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        write(".gitignore", "*.partial\n__pycache__/\n")
        shutil.copy(ROOT / ".gitattributes", ".")
        write("params.yaml", re.sub(r"version: \d+", "version: 1", (ROOT / "params.yaml").read_text(encoding="utf-8")))
        write("dvc.yaml", PIPELINE)
        write("scores/gate.json", json.dumps(GATE))
        write("scores/calibration.json", json.dumps(CALIBRATION))
        write("scores/metrics.json", json.dumps(METRICS))
        write("sample/__main__.py", SAMPLE)
        run(sys.executable, "-m", "sample")
        Path("data/base").mkdir()
        run("git", "init", "--quiet", "--initial-branch=main")
        dvc("add", "data/library", "data/benchmarks", "data/unlabelled", "data/base")
        dvc("repro")
        commit("A model")
        dvc("push")
    return clone
