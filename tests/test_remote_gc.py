"""Garbage is what no branch, tag or experiment needs; every promoted model keeps its pictures."""

import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from azurite import Azurite
from clones import World, another_clone, in_cache, put_under_dvc, world, write_pictures
from repositories import commit, run, write

from remote import gc, pull, push, verify
from remote.stores import Stored
from runtime.errors import InputError, RemoteError, RepositoryError

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path, azurite: Azurite) -> Iterator[World]:
    """A clone with three promoted models and a commit before them, nothing pushed."""
    with world(tmp_path, azurite) as made:
        for version in (1, 2, 3):
            shutil.rmtree("data/library")
            write_pictures("data/library", 3, seed=10 + version)
            write("data/model.h5", f"weights {version}")
            put_under_dvc("data/library", "data/model.h5")
            commit(f"Model {version}")
            run("git", "tag", "--annotate", f"model-00{version}", "--message", "promoted")
        yield made


def replace_pictures(seed: int) -> None:
    shutil.rmtree("data/library")
    write_pictures("data/library", 2, seed=seed)
    put_under_dvc("data/library")


def test_garbage_is_what_is_neither_needed_nor_young() -> None:
    listing = {"a": Stored(1, 10.0), "b": Stored(1, 10.0), "c": Stored(1, 11.0), "d": Stored(1, None)}
    assert gc.unneeded(listing, {"a"}, 10.0) == ["b"]


def test_after_it_every_tag_pulls_and_verifies(
    clone: World, azurite: Azurite, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = "model-001 model-002 model-003"
    replace_pictures(20)
    commit("An experiment")
    run("git", "update-ref", "refs/exps/aa/bb/one", "HEAD")
    experiment = set(in_cache())
    command(push, "--commits", tags)
    run("git", "reset", "--quiet", "--hard", "HEAD~")
    replace_pictures(21)
    commit("Nobody's")
    command(push)
    run("git", "reset", "--quiet", "--hard", "model-001")
    garbage = set(in_cache()) - experiment
    assert len(garbage) == 3

    before = clone.objects()
    assert "nothing was deleted" in command(gc, "--days", "0")
    assert before == clone.objects()
    told = command(gc, "--days", "0", "--delete")
    assert "the cache has" in told and "3 of them" in told
    assert set(before) - set(clone.objects()) == garbage
    assert not garbage & set(in_cache())

    command(verify, "--commits", tags)
    with pytest.raises(RepositoryError, match="Rename or move your own"):  # pictures that only the workspace has now
        command(pull)
    shutil.rmtree("data/library")
    command(pull)
    for tag in tags.split():
        monkeypatch.chdir(another_clone(clone.clone, azurite, tag, "--branch", tag))
        command(pull)
        assert Path("data/model.h5").read_text() == f"weights {int(tag[-3:])}"
        command(verify)


def test_what_is_young_stays(clone: World, command: Callable[..., str]) -> None:
    command(push)
    replace_pictures(22)
    command(push)
    run("git", "checkout", "--quiet", "data/library.dvc")
    old = time.time() - 40 * 86400
    for oid in in_cache():
        os.utime(Path(".dvc/cache/files/md5", oid[:2], oid[2:]), (old, old))
    before, cached = set(clone.objects()), set(in_cache())
    command(gc, "--delete")
    assert set(clone.objects()) == before
    assert len(cached - set(in_cache())) == 7 + 3  # those before the first model, and those never committed


def test_it_refuses_when_it_cannot_know_what_is_needed(
    clone: World, azurite: Azurite, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(push)
    with pytest.raises(InputError, match="DAYS is a number of days"):
        command(gc, "--days", "-1")
    for oid in in_cache():
        if oid.endswith(".dir") and oid not in clone.objects():
            Path(".dvc/cache/files/md5", oid[:2], oid[2:]).unlink()
    before = clone.objects()
    with pytest.raises(
        RemoteError, match=r"(?s)no side has 2 needed lists of a folder whole.*, of tags/model-001.*git remote remove"
    ):
        command(gc, "--days", "0", "--delete")
    assert clone.objects() == before
    monkeypatch.chdir(another_clone(clone.clone, azurite, "shallow", "--depth=1"))
    with pytest.raises(RepositoryError, match="this clone is shallow"):
        command(gc)


def stashed(*arguments: str) -> str:
    """Put a picture under DVC, stash that, and give the picture's object."""
    write_pictures("data/library", 4, seed=len(in_cache()))
    put_under_dvc("data/library")
    oid = hashlib.md5(Path("data/library/0/0003.png").read_bytes()).hexdigest()
    run("git", "stash", *arguments)
    shutil.rmtree("data/library")
    return oid


def test_every_stash_keeps_its_pictures_and_every_queued_experiment(clone: World, command: Callable[..., str]) -> None:
    command(push, "--commits", "model-001 model-002 model-003 model-001~")
    oids = [stashed() for _ in range(2)]
    for ref in ("refs/exps/stash", "refs/exps/celery/stash"):
        for _ in range(2):
            oids.append(stashed())
            run("git", "update-ref", "--create-reflog", "-m", "queued", ref, run("git", "rev-parse", "stash").strip())
            run("git", "stash", "drop", "--quiet")
    put = write("data/extra.bin", "no commit names this file's .dvc yet")
    put_under_dvc("data/extra.bin")
    oids.append(hashlib.md5(put.read_bytes()).hexdigest())
    run("git", "stash", "--include-untracked")
    command(gc, "--days", "0", "--delete")
    assert set(oids) <= set(in_cache())


def test_a_cache_outside_of_the_clone_is_left_alone_unless_it_is_said_to_be_nobody_elses(
    clone: World, command: Callable[..., str], tmp_path: Path
) -> None:
    command(push, "--commits", "model-001 model-002 model-003 model-001~")
    shutil.move(".dvc/cache", tmp_path / "cache")
    with Path(".dvc/config.local").open("a") as config:
        config.write(f"[cache]\n    dir = {tmp_path}/cache\n")
    other = tmp_path / "cache/files/md5/aa" / ("b" * 30)
    other.parent.mkdir(exist_ok=True)
    other.write_text("another clone's")
    assert "is outside of this clone" in command(gc, "--days", "0", "--delete")
    assert other.exists()
    command(gc, "--days", "0", "--delete", "--shared", "cache")
    assert not other.exists()
    with pytest.raises(InputError, match="SHARED is"):
        command(gc, "--shared", "all")


def test_a_remote_where_most_of_the_garbage_is_of_no_commit_here_is_left_alone_unless_it_is_said_to_be_ours(
    clone: World, command: Callable[..., str]
) -> None:
    command(push, "--commits", "model-001 model-002 model-003")
    names = [f"dvc/files/md5/aa/{number:030x}" for number in range(3)]
    for name in names:
        clone.container.upload_blob(name, b"another project's")
    before = clone.objects()
    assert "3 of the 3 objects that would go are named by no commit" in command(gc, "--days", "0")
    with pytest.raises(RemoteError, match=r"3 of the 3 objects .*SHARED=remote"):
        command(gc, "--days", "0", "--delete")
    assert clone.objects() == before
    command(gc, "--days", "0", "--delete", "--shared", "remote")
    assert len(clone.objects()) == len(before) - 3


def test_a_push_renews_what_no_commit_of_origin_names_and_nothing_else(
    clone: World, command: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "origin"))
    run("git", "remote", "add", "origin", str(tmp_path / "origin"))
    run("git", "fetch", "--quiet", "origin")
    command(push)
    replace_pictures(30)
    command(push)  # of a commit that origin never gets to see, at first
    commit("New pictures")
    before = {blob.name: blob.etag for blob in clone.container.list_blobs()}
    assert "sent again" not in command(push)
    monkeypatch.setattr("remote.renew._OLD_SECONDS", -1000)  # as if weeks had gone by
    Path(next(Path(".dvc/cache/files/md5").glob("*/*"))).unlink()
    assert "3 objects sent again" in command(push)
    after = {blob.name: blob.etag for blob in clone.container.list_blobs()}
    assert len(set(before.items()) ^ set(after.items())) == 6
    run("git", "push", "--quiet", "origin", "HEAD:main")
    assert "sent again" not in command(push)
