"""The commands of docs/guide/cluster.md and deploy/dask.yaml, word for word; workers that live on after an edit."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from guide import command
from pictures import save
from test_cluster import wait_for_workers

from runtime.digest import md5_of_file

pytestmark = pytest.mark.slow

NUM_PICTURES = 130  # three chunks
WRITTEN = ("data/fingerprints.parquet", "data/shards", ".dvc/tmp/retrain/memo")
CONFIG = "[core]\n    analytics = false\n    no_scm = true\n"


def documented(words):
    return command("cluster.md", words)


def of_manifest(part):
    """The command of a container of deploy/dask.yaml."""
    documents = yaml.safe_load_all((ROOT / "deploy/dask.yaml").read_text())
    (cluster,) = (each for each in documents if each["kind"] == "DaskCluster")
    return cluster["spec"][part]["spec"]["containers"][0]["command"]


@contextmanager
def running(folder, *command, **environment):
    """Run a command and what it starts in a folder, on one core, so that it starts one worker."""
    (core, *_) = os.sched_getaffinity(0)
    with (folder / "dask.log").open("a") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone with pictures, in a folder that is called as the script of the Job calls it."""
    clone = tmp_path_factory.mktemp("scratch") / "retrain"
    for folder in ("runtime", "stages"):
        shutil.copytree(ROOT / folder, clone / folder)  # with what was compiled before
    shutil.copy(ROOT / "dvc.yaml", clone)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["gate"]["rules"] = []  # no benchmarks
    (clone / "params.yaml").write_text(yaml.safe_dump(params))
    for name in ("benchmarks", "unlabelled", "base", "decisions"):
        (clone / "data" / name).mkdir(parents=True)
    (clone / "data/classes.yaml").touch()
    (clone / "data/confused.csv").write_text("truth,predicted,weight\n")
    (clone / ".dvc").mkdir()
    (clone / ".dvc/config").write_text(CONFIG)
    for seed in range(NUM_PICTURES):
        save(clone / f"data/library/{'ab'[seed % 2]}/{seed}.png", seed)
    return clone


@pytest.fixture(scope="module")
def surroundings(clone):
    """What everybody who follows the page has: the address, and the environment's commands on the path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DASK_SCHEDULER_ADDRESS", f"tcp://127.0.0.1:{free_port()}")
        patch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        patch.setenv("DVC_SITE_CACHE_DIR", str(clone.parent / "site"))
        patch.delenv("PYTHONPATH", raising=False)
        yield


@contextmanager
def workers(clone, *commands):
    """Start one worker by each command."""
    with ExitStack() as stack:
        for each in commands:
            stack.enter_context(running(clone, *each, DASK_WORKER_NAME="data-half-worker"))
        wait_for_workers(os.environ["DASK_SCHEDULER_ADDRESS"], len(commands))
        yield


@pytest.fixture(scope="module")
def scheduler(surroundings, tmp_path_factory):
    """A scheduler as the page starts it, in a folder where there is nothing."""
    with running(tmp_path_factory.mktemp("elsewhere"), "bash", "-c", documented("dask scheduler")):
        yield


def run(clone, *command):
    return subprocess.run(command, cwd=clone, capture_output=True, encoding="utf-8", check=False)


def written(clone):
    """Digest what the run and its memos left."""
    files = (file for path in WRITTEN for file in [clone / path, *(clone / path).rglob("*")] if file.is_file())
    return {file: md5_of_file(file) for file in files}


def test_the_commands_of_the_page_and_the_manifest_work_and_live_workers_are_refused_after_an_edit(clone, scheduler):
    of_page = ("bash", "-c", documented("dask worker"))
    in_pod = [argument.replace("/scratch", str(clone.parent)) for argument in of_manifest("worker")]
    with workers(clone, of_page, in_pod):
        done = run(clone, "bash", "-c", documented("dvc repro"))
        assert done.returncode == 0, done.stderr
        assert (clone / "data/shards/index.parquet").is_file()
        assert (clone / "data/duplicates.parquet").is_file()
        before = written(clone)

        source = clone / "stages/images/letterbox.py"
        source.write_text(source.read_text() + "# edited\n")
        refused = run(clone, "python", "-m", "stages.shard")
        assert refused.returncode == 1
        assert f"it loaded other code than this run: {source.relative_to(clone)}. Start the workers" in refused.stderr
        assert "Traceback" not in refused.stderr
        assert written(clone) == before
    with workers(clone, of_page):
        done = run(clone, "python", "-m", "stages.shard")
        assert done.returncode == 0, done.stderr
    assert written(clone) != before
