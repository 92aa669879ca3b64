"""A scheduler and two workers of a Dask cluster, each a process of its own."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from dying import KILLED, Dying
from pictures import save
from test_shard import digests
from worlds import write_embeddings

from runtime import cluster as clusters
from runtime import workers
from runtime.errors import InputError
from stages import dedup, fingerprint, shard
from stages.duplicates import comparison, copies
from stages.shard import prepare

pytestmark = pytest.mark.slow

NUM_PICTURES = 150  # three chunks
SCHEDULER_FILE = "scheduler.json"
PATHS = {"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}


def process(folder, kind, *arguments, **environment):
    """Start a scheduler or a worker in a folder."""
    command = [Path(sys.executable).with_name("dask"), kind, "--no-dashboard", *arguments]
    with (folder / f"{kind}.log").open("a") as log:
        return subprocess.Popen(command, cwd=folder, env=os.environ | environment, stdout=log, stderr=log)


@contextmanager
def running(process):
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worker(folder, file, **environment):
    return running(
        process(folder, "worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", **environment)
    )


@contextmanager
def cluster(folder, workers_in):
    """Run a scheduler, and a worker in each of some folders; yields its address."""
    file = folder / SCHEDULER_FILE
    arguments = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file))
    with ExitStack() as stack:
        stack.enter_context(running(process(folder, "scheduler", *arguments)))
        for place in workers_in:
            stack.enter_context(worker(place, file, **PATHS))
        wait_until(file.exists)
        address = json.loads(file.read_text())["address"]
        wait_for_workers(address, len(workers_in))
        yield address


def wait_for_workers(address, number):
    from distributed import Client

    with Client(address) as client:
        wait_until(lambda: len(client.nthreads()) == number)


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


def results():
    tables = ("data/fingerprints.parquet", "data/duplicates.parquet", "data/alike.parquet")
    return digests() | {path: Path(path).read_bytes() for path in tables}


def test_a_cluster_gives_the_same_bytes_also_when_a_worker_is_killed_in_the_middle(library, monkeypatch):
    monkeypatch.setattr(comparison, "_PIECE", 1)  # a piece a picture
    monkeypatch.setattr(copies, "_PIECE", 8)
    fingerprint.main()
    image_ids = shard.FINGERPRINTS.read()["image_id"].unique()
    write_embeddings(image_ids, np.random.default_rng(1).normal(size=(len(image_ids), 8)))
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
        (deadly,) = (picture for picture in pictures() if picture[1] == "library/a/99.png")
        monkeypatch.setattr(shard, "prepare", Dying(prepare, deadly))
        shard.main()
        assert KILLED.exists()
        wait_for_workers(address, 1)
    assert results() == alone
    assert not list(library.glob("*.partial"))


def pictures():
    table = shard.FINGERPRINTS.read()
    return zip(table["image_id"], table["path"], strict=True)


def test_what_items_share_survives_the_worker_that_had_it(workspace, monkeypatch):
    with cluster(workspace, [workspace, workspace]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        found = list(workers.over_shared(Dying("item {}".format, 7), range(20), "items"))
        assert KILLED.exists()
        wait_for_workers(address, 1)
    assert found == [f"item {number}" for number in range(20)]


def test_a_worker_in_another_folder_is_refused(workspace, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with cluster(workspace, [elsewhere]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        with pytest.raises(InputError, match=r"would not give the same results: it works in another folder\. Start"):
            list(workers.over(abs, range(100), "numbers"))


@pytest.mark.parametrize(
    ("environment", "why"),
    [({}, r"it cannot load the code of this run \(No module named"), (PATHS, "it works in another folder")],
)
def test_a_worker_that_joins_during_a_run_is_compared_too(environment, why, workspace, tmp_path_factory, monkeypatch):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with cluster(workspace, [workspace]) as address:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", address)
        found = workers.over_shared(time.sleep, [0.5] * 100, "pauses")
        next(found)  # the run has begun
        refused = pytest.raises(InputError, match=f"would not give the same results: {why}")
        with worker(elsewhere, workspace / SCHEDULER_FILE, **environment), refused:
            list(found)


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


OURS = {
    "folder": True,
    "code": {"stages/a.py": "1", "stages/b.py": "2"},
    "libraries": {"numpy": "2.4.6", "keras": None},
}


def test_a_worker_that_is_alike_differs_in_nothing():
    assert clusters.differences(OURS, OURS) == []


@pytest.mark.parametrize(
    ("theirs", "why"),
    [
        (OURS | {"folder": False}, ["it works in another folder"]),
        (
            OURS | {"code": {"stages/a.py": "1", "stages/b.py": "3"}},
            ["it loaded other code than this run: stages/b.py"],
        ),
        (OURS | {"code": {"stages/a.py": "1"}}, ["it loaded other code than this run: stages/b.py"]),
        (OURS | {"libraries": {"numpy": "2.4.5"}}, ["it has another numpy"]),
        ({"folder": True}, ["it loaded older code, which does not tell its code and libraries"]),
        ({}, ["it loaded older code, which does not tell its code and folder and libraries"]),
        (ImportError("cannot import name 'x'"), ["it cannot load the code of this run (cannot import name 'x')"]),
    ],
)
def test_how_a_worker_differs_is_said_in_words(theirs, why):
    assert clusters.differences(OURS, theirs) == why


def test_code_that_changed_after_the_run_began_is_refused_before_any_work(monkeypatch):
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:9")
    monkeypatch.setattr(clusters, "changed_code", lambda: ["stages/a.py"])
    with pytest.raises(InputError, match=r"stages/a\.py changed after this run began\. Start the run again"):
        list(workers.over(abs, range(100), "numbers"))
