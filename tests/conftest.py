import logging
import os
import shutil
import sys
from pathlib import Path

# DVC's log handlers keep the sys.stdout of its first import: inside a test that is one which is closed after it.
import dvc  # noqa: F401
import numpy as np
import pandas as pd
import pytest
from azurite import Azurite, why_absent
from hypothesis import settings

from bench.browser import PATH, browsing
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
ROOT = Path(__file__).parents[1]
# Stages run as `python -m stages...`: by the Python that runs the tests, also where its environment is not activated.
os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))


def pytest_ignore_collect(collection_path, config):
    """Import no module whose tests are all left out: TensorFlow alone takes longer than many of the others."""
    if config.getoption("markexpr") == "not slow" and collection_path.suffix == ".py":
        return "\npytestmark = pytest.mark.slow\n" in collection_path.read_text(encoding="utf-8") or None
    return None


@pytest.fixture(scope="module", autouse=True)
def at_the_root():
    """Begin each module where pytest was started, whatever the one before left as the working directory."""
    os.chdir(ROOT)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty repository's root: params.yaml, empty instructions and empty folders of data; the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("library", "benchmarks", "unlabelled", "base", "decisions"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data/classes.yaml").touch()
    (tmp_path / "data/confused.csv").write_text("truth,predicted,weight\n")
    write_no_embedding()
    return tmp_path


def write_no_embedding():
    """Write data/embeddings of no picture, for tests of stages after `embed` that no embedding matters to."""
    EMBEDDED.write(pd.DataFrame({"image_id": pd.Series(dtype=str)}))
    np.save(EMBEDDINGS, np.empty((0, 1), np.float16))


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    """A running Azurite; the tests that need one skip where there is none."""
    why = why_absent()
    if why:
        pytest.skip(why)
    with Azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture
def command(monkeypatch, caplog):
    """Runs the main() of a command in this process and gives what it logged."""
    caplog.set_level(logging.INFO)

    def run_main(module, *arguments):
        monkeypatch.setattr("sys.argv", [module.__name__, *arguments])
        caplog.clear()
        module.main()
        return "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("remote"))

    return run_main


@pytest.fixture(scope="module")
def browser():
    """Open headless Chromium or Chrome."""
    if PATH is None:
        pytest.skip("no Chromium or Chrome is installed, which shows whether everybody can read the page")
    with browsing() as opened:
        yield opened


@pytest.fixture(scope="module")
def running(shared):
    """Run a desk for all tests of a module, in its `shared` world."""
    from desks import Server

    with Server() as server:
        yield server


@pytest.fixture
def server(world, running):
    """Give the module's desk, once its `world` is as before."""
    return running
