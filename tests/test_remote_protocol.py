"""What a team does with the remote, over the real protocol: fresh clones, killed pushes, a server that goes away."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azurite import Azurite
from clones import World, another_clone, in_cache, local_config, put_under_dvc, world, write_pictures
from repositories import ROOT, commit, dvc, write

from remote import pull, push, verify
from remote.stores import Store
from runtime.errors import RemoteError

pytestmark = pytest.mark.slow

PIPELINE = """\
stages:
  shard:
    cmd: mkdir -p data/shards && cat data/library/*/*.png > data/shards/00000.tar
    deps: [data/library]
    outs: [data/shards]
  train:
    cmd: (cat params.yaml && head -c 990 data/shards/00000.tar) > data/weights
    deps: [data/shards]
    params: [epochs]
    outs: [data/weights]
  identify:
    cmd: cp data/weights data/identified
    deps: [data/weights]
    outs: [data/identified]
"""


@pytest.fixture
def clone(tmp_path: Path, azurite: Azurite) -> Iterator[World]:
    with world(tmp_path, azurite) as made:
        yield made


@pytest.fixture
def pipeline(clone: World, command: Callable[..., str]) -> World:
    """A clone whose pipeline ran and whose remote has everything."""
    write("dvc.yaml", PIPELINE)
    write("params.yaml", "epochs: 1\n")
    dvc("repro", "--quiet")
    commit("A model")
    command(push)
    return clone


def started_push() -> "subprocess.Popen[bytes]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "remote.push"], env=environment, stderr=subprocess.DEVNULL)


def wait_for(clone: World, number: int) -> None:
    """Wait until the container has as many objects."""
    end = time.monotonic() + 60
    while len(clone.objects()) < number:
        assert time.monotonic() < end, "the push does not begin"
        time.sleep(0.02)


def damaged(clone: World) -> list[str]:
    """List the objects whose bytes are not what their names say."""
    digests = {oid: hashlib.md5(clone.read(name)).hexdigest() for oid, name in clone.objects().items()}
    return [oid for oid, digest in digests.items() if digest != oid.removesuffix(".dir")]


def test_after_a_pull_a_fresh_clone_is_up_to_date(
    pipeline: World, azurite: Azurite, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(another_clone(pipeline.clone, azurite))
    assert "fetched 10 of 10 objects" in command(pull)
    assert "Data and pipelines are up to date." in dvc("repro")
    command(verify)


def test_a_shallow_clone_fetches_only_what_the_stages_need_that_run(
    pipeline: World, azurite: Azurite, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(another_clone(pipeline.clone, azurite, "shallow", "--depth=1"))
    write("params.yaml", "epochs: 2\n")
    dvc("repro", "--pull", "--allow-missing", "--quiet")
    shards = {oid: size for oid, size in in_cache().items() if oid in pipeline.objects()}
    assert Path("data/identified").stat().st_size == 1000
    assert not Path("data/library").exists()
    monkeypatch.chdir(another_clone(pipeline.clone, azurite, "whole"))
    command(pull)
    everything = in_cache()
    tar = Path("data/shards/00000.tar").stat().st_size
    assert tar <= sum(shards.values()) < tar + 1500 < sum(everything.values())


@pytest.mark.parametrize("which", [signal.SIGKILL, signal.SIGTERM])
def test_a_push_that_was_killed_midway_is_made_whole_by_the_next(
    clone: World, command: Callable[..., str], which: signal.Signals
) -> None:
    write_pictures("data/more", 150, seed=3)
    put_under_dvc("data/more")
    pushing = started_push()
    wait_for(clone, 1)
    pushing.send_signal(which)
    assert pushing.wait() != 0
    left = len(clone.objects())
    assert 0 < left < 158
    told = command(push)
    assert "it has the 158 objects" in told
    assert len(clone.objects()) == 158
    assert damaged(clone) == []


def test_a_push_outlives_its_server(clone: World, tmp_path: Path, command: Callable[..., str]) -> None:
    """The server is killed while it takes objects; it forgets those of the last seconds, for which it had said yes."""
    write_pictures("data/more", 150, seed=4)
    put_under_dvc("data/more")
    with Azurite(tmp_path / "server") as server:
        container = server.service().create_container(clone.container.container_name)
        own = World(clone.clone, container)
        Path(".dvc/config.local").write_text(local_config(server))
        server.wait_until_written(container.container_name)
        pushing = started_push()
        wait_for(own, 20)
        server.kill()
        assert pushing.poll() is None
        server.start()
        if pushing.wait() != 0:
            command(push)
        assert len(own.objects()) == 158
        assert damaged(own) == []
        assert "Sent: 0 objects" in command(push)


@pytest.fixture
def dying(clone: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """A server of the clone's own, whose client tries twice."""
    monkeypatch.setattr("remote.stores.RETRIES", {"total_retries": 1, "initial_backoff": 0, "random_jitter_range": 0})
    with Azurite(tmp_path / "server") as server:
        server.service().create_container(clone.container.container_name)
        server.wait_until_written(clone.container.container_name)
        Path(".dvc/config.local").write_text(local_config(server))
        yield server


def goes_away(server: Azurite, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let a server go away when the second batch of objects begins; what is given counts the batches."""
    batches: list[int] = []
    add_batch = Store._add_batch

    def counting(self: Store, source: Store, batch: list[str], failed: dict[str, BaseException]) -> None:
        batches.append(len(batch))
        if len(batches) == 2:
            server.kill()
        add_batch(self, source, batch, failed)

    monkeypatch.setattr(Store, "_add_batch", counting)
    monkeypatch.setattr("dvc_objects.fs.base.FileSystem._JOBS", 2)
    return batches


def test_push_stops_at_the_first_batch_of_which_nothing_came_through_and_says_how_far_it_came(
    dying: Azurite, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures("data/more", 150, seed=3)
    put_under_dvc("data/more")
    with monkeypatch.context() as patch:
        batches = goes_away(dying, patch)
        with pytest.raises(RemoteError, match=r"(?s)cannot be reached.*8 objects of 158 .*`make push` sends the rest"):
            command(push)
    assert batches == [8, 8]
    dying.start()
    assert "it has the 158 objects" in command(push)


def test_pull_stops_at_the_first_batch_of_which_nothing_came_through_and_says_how_far_it_came(
    dying: Azurite, clone: World, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pictures("data/more", 150, seed=3)
    put_under_dvc("data/more")
    commit("More")
    command(push)
    dying.wait_until_written(*(name[2:] for name in in_cache()))
    monkeypatch.chdir(another_clone(clone.clone, dying))
    with monkeypatch.context() as patch:
        batches = goes_away(dying, patch)
        with pytest.raises(RemoteError, match=r"(?s)150 objects could not .*cannot be reached.*8 objects came before"):
            command(pull)
    assert batches == [8, 8]
    assert len(in_cache()) == 8
    dying.start()
    assert "fetched 150 of 158 objects" in command(pull)
