"""A scheduler and two workers of a Dask cluster, each a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from conftest import ROOT
from pictures import save
from test_shard import digests

from runtime import workers
from runtime.errors import InputError
from stages import dedup, fingerprint, shard
from stages.duplicates import comparison
from stages.shard import prepare

pytestmark = pytest.mark.slow

NUM_PICTURES = 150  # three chunks
SCHEDULER_FILE = "scheduler.json"
PATHS = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


def process(folder, kind, *arguments):
    """Start a scheduler or a worker in a folder."""
    command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard", *arguments]
    with (folder / f"{kind}.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=os.environ | PATHS, stdout=log, stderr=log)


@contextmanager
def running(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worker(folder, file):
    return running(process(folder, "worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1"))


@contextmanager
def cluster(folder, workers_in):
    """Run a scheduler in a folder, and a worker in each of others; yields its address."""
    file = folder / SCHEDULER_FILE
    arguments = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    with ExitStack() as stack:
        stack.enter_context(running(process(folder, "scheduler", *arguments)))
        wait_until(file.exists)
        for place in workers_in:
            stack.enter_context(worker(place, file))
        address = json.loads(file.read_text())["address"]
        wait_until(lambda: num_workers(address) == len(workers_in))
        yield address


def num_workers(address):
    from distributed import Client

    with Client(address) as client:
        return len(client.nthreads())


def wait_until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.fixture
def library(workspace):
    for seed in range(NUM_PICTURES):
        save(workspace / f"data/library/a/{seed}.png", seed, (40, 20 + seed % 7))
    save(workspace / "data/library/b/near.png", 3, (80, 46))
    (workspace / "data/library/a/broken.png").write_bytes(b"no")
    return workspace


def die_once(picture, **options):
    """Prepare a picture; the first worker that is given the hundredth is killed at it."""
    if picture[1] == "library/a/99.png":
        try:
            Path("killed").touch(exist_ok=False)
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return prepare(picture, **options)


class Labelled:
    """A function that holds what all items share; the first worker that is given 7 is killed at it."""

    def __init__(self, label):
        self.label = label

    def call(self, item):
        if item == 7 and not Path("killed").exists():
            Path("killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return f"{self.label} {item}"


def results():
    tables = ("data/fingerprints.parquet", "data/duplicates.parquet")
    return digests() | {path: Path(path).read_bytes() for path in tables}


def test_a_cluster_gives_the_same_bytes_also_when_a_worker_is_killed_in_the_middle(library, monkeypatch):
    monkeypatch.setattr(comparison, "_PIECE", 1)  # a piece a picture
    fingerprint.main()
    dedup.main()
    shard.main()
    alone = results()
    shutil.rmtree("data/shards")
    Path("data/fingerprints.parquet").unlink()
    Path("data/duplicates.parquet").unlink()
    shutil.rmtree(".dvc", ignore_errors=True)
    with cluster(library, [library, library]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        # As `dvc repro` runs it: its functions stand in `__main__`, of which the workers have another.
        subprocess.run([sys.executable, "-m", "stages.fingerprint"], check=True, env=os.environ | PATHS)
        dedup.main()
        monkeypatch.setattr(shard, "prepare", die_once)
        shard.main()
        assert Path("killed").exists()
        assert num_workers(address) == 1
    assert results() == alone
    assert not list(library.glob("*.partial"))


def test_what_items_share_survives_the_worker_that_had_it(workspace, monkeypatch):
    with cluster(workspace, [workspace, workspace]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        found = list(workers.over_shared(Labelled("item").call, range(20), "items"))
        assert num_workers(address) == 1
    assert found == [f"item {number}" for number in range(20)]


def test_a_worker_in_another_folder_is_refused(workspace, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with cluster(workspace, [elsewhere]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        with pytest.raises(InputError, match=r"would not give the same results: it works in another folder\. Start"):
            list(workers.over(abs, range(100), "numbers"))


def test_a_cluster_without_workers_is_refused(workspace, monkeypatch):
    with cluster(workspace, []) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        with pytest.raises(InputError, match=r"the Dask cluster has no workers: start some in this folder"):
            list(workers.over(abs, range(100), "numbers"))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense://x"])
def test_an_address_at_which_nobody_answers_is_named(address, monkeypatch):
    import dask

    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(InputError, match=f"DASK_SCHEDULER_ADDRESS is {address}, where no Dask scheduler answers"),
    ):
        list(workers.over(abs, range(100), "numbers"))


def test_dask_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"Dask is not installed: `pip install \.\[cluster\]`"):
        list(workers.over(abs, range(100), "numbers"))
