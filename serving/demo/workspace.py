"""The folder that a demo leaves: laid out as a clone, so that the same commands run in it, and nothing outside changes.

    build/demo/gateway/     the log of the gateway
    build/demo/made_up/     where it ships to; each page names it
    build/demo/usage/       the pages
    build/demo/build/       what `make harvest` brings
    build/demo/data/        outcomes and prices that are made up; pictures and tables of this clone

It is a git repository of its own, so that the desk's commits stay in it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from release.promote import tag_name
from runtime.errors import InputError
from runtime.repository import git
from serving.usage import costs
from stages.tables import scores
from stages.tables.splits import CLASS_COUNTS

FOLDER = Path("build/demo")
GATEWAY, SHIPPED, USAGE, OUTCOMES = "gateway", "made_up", "usage", "data/outcomes"
ZONE = "UTC"  # of the made-up site: there every day has 24 hours
_MARK = "demo.txt"
_MARK_TEXT = "Everything here is made up by `make demo`, which replaces this folder.\n"
_MADE_UP = "Visitors, prices, hours and what people found are made up by make demo: nothing on these pages is so."
_CODE = Path(__file__).parents[2]
# What the desk and the pages read of this clone.
_READ = (
    *("params.yaml", "data/classes.yaml", "data/advice.yaml", "data/standards.md", "data/confused.csv"),
    *("data/fingerprints.parquet", "data/images.parquet", "data/duplicates.parquet", "data/identified.parquet"),
    *("data/pretrained", "data/embeddings", "data/predictions", "data/scores", "data/library", "data/benchmarks"),
    *(CLASS_COUNTS, "dvc.lock"),
)
# What a model's card is made of.
_OF_MODEL = ("params.yaml", "dvc.lock", CLASS_COUNTS, scores.METRICS, scores.GATE, scores.PER_CLASS)
_PROMOTED = "Made up by make demo, so that the page of models has a card: nobody has promoted this model here."


def make_workspace(folder: Path, version: int) -> None:
    """Make the folder anew.

    Args:
        folder: is replaced where an earlier demo has left it.
        version: of the model, which is tagged there as if it were promoted.

    Raises:
        InputError: something else is there.
        RepositoryError: git refused.
    """
    if folder.exists() and not (folder / _MARK).is_file():
        raise InputError(f"{folder} is there and was not left by an earlier demo. Move it away; nothing was changed.")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).write_text(_MARK_TEXT, encoding="utf-8")
    for name in filter(os.path.exists, _READ):
        _bring(Path(name), folder / name)
    _write_costs(folder / costs.PATH)
    git("init", "--quiet", str(folder))
    settings = {"user.name": "You", "user.email": "you@example.org", "commit.gpgsign": "false", "tag.gpgsign": "false"}
    for name, value in settings.items():
        git("-C", str(folder), "config", name, value)
    git("-C", str(folder), "add", "--force", *(name for name in _OF_MODEL if (folder / name).exists()))
    git("-C", str(folder), "commit", "--quiet", "--message", _PROMOTED)
    git("-C", str(folder), "tag", "--annotate", tag_name(version), "--message", _PROMOTED)


def run_in(folder: Path, module: str, *arguments: str) -> None:
    """Run one of our commands as in a clone.

    Raises:
        InputError: it failed; its own words are above.
    """
    environment = os.environ | {"PYTHONPATH": str(_CODE)}
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=folder, env=environment)
    if done.returncode:
        raise InputError(f"`python -m {module} {' '.join(arguments)}` failed in {folder}; its words are above.")


def _bring(source: Path, target: Path) -> None:
    """Copy a file, or make a folder of links to its files: nothing of ours changes a file but by replacing it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link)
    else:
        shutil.copy2(source, target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # the folder is on another disk
        Path(target).symlink_to(Path(source).resolve())


def _write_costs(path: Path) -> None:
    """Write the prices of the example, whose figures are made up."""
    example = yaml.safe_load(costs.EXAMPLE.read_text(encoding="utf-8"))
    ours = example | {"zone": ZONE, "risk": _MADE_UP}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(ours, sort_keys=False, allow_unicode=True), encoding="utf-8")
