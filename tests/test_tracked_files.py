"""Tracked files: whole ones are compared with their digest, and a bug of ours is not taken for a bad remote."""

import os
import shutil
from pathlib import Path

import pytest
import reviewed
from clones import overwrite
from repositories import run, surroundings, write

from remote import clone as remote_clone
from review import prepared, pull_request, worst_pictures
from runtime.errors import InputError, RepositoryError, is_storage_failure
from runtime.tracked_files import TrackedFiles
from stages.models.base import BASE_METRICS
from stages.tables.review import REVIEW
from stages.tables.shards import INDEX

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked") / "clone"
    folder.mkdir()
    with surroundings(folder):
        reviewed.make()
    return folder


@pytest.fixture
def world(template, tmp_path):
    shutil.copytree(template, tmp_path / "clone", symlinks=True)
    with surroundings(tmp_path / "clone"):
        yield


def test_the_workspace_comes_first_and_a_commit_never_looks_there(world):
    before = Path(BASE_METRICS).read_bytes()
    write(BASE_METRICS, "changed")
    assert TrackedFiles().read(BASE_METRICS) == b"changed"
    assert TrackedFiles("HEAD").read(BASE_METRICS) == before
    shutil.rmtree("data/base")
    assert TrackedFiles().read(BASE_METRICS) == before


def test_parts_are_read_where_they_lie(world):
    content = Path("data/shards/00000.tar").read_bytes()
    assert TrackedFiles("HEAD").read_parts("data/shards/00000.tar", [(512, 8), (0, 3)]) == [
        content[512:520],
        content[:3],
    ]


def test_what_git_has_is_read_too(world):
    write(".gitignore", "changed")
    assert TrackedFiles("HEAD").read(".gitignore") != b"changed"


@pytest.mark.parametrize("rev", [None, "HEAD"])
def test_a_damaged_object_is_noticed_when_it_is_read_and_when_it_is_fetched(world, tmp_path, rev):
    shutil.rmtree("data/base")
    for path in Path(".dvc/cache/files/md5").glob("*/*"):
        if b"0.925" in path.read_bytes():
            overwrite(path, b"{}")
    with pytest.raises(RepositoryError, match=rf"{BASE_METRICS} of .* is damaged in DVC's cache or remote"):
        TrackedFiles(rev).read(BASE_METRICS)
    with pytest.raises(RepositoryError, match=rf"{BASE_METRICS} of .* is damaged in DVC's cache or remote"):
        TrackedFiles(rev).fetch({BASE_METRICS: tmp_path / "copy"})


def test_what_is_nowhere_is_said_with_the_way_out(world):
    with pytest.raises(RepositoryError, match=r"nothing\.csv.*`make push` on the machine that made the model"):
        TrackedFiles().read("data/nothing.csv")
    assert TrackedFiles("HEAD").find("data/nothing") == []


def test_a_bug_of_ours_is_no_storage_failure():
    assert is_storage_failure(ConnectionError())
    assert is_storage_failure(shutil.ReadError())
    wrapped = RuntimeError("failed to remove")
    wrapped.__cause__ = ConnectionError()
    assert is_storage_failure(wrapped)
    assert not is_storage_failure(RepositoryError())
    for bug in (AttributeError, IndexError, KeyError, NameError, TypeError, ValueError, ZeroDivisionError):
        assert not is_storage_failure(bug())


def bug(*arguments, **named):
    raise TypeError("a bug")


def test_a_bug_in_reading_the_worst_pictures_is_seen(world, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(prepared, "_decode", bug)
        with pytest.raises(TypeError, match="a bug"):
            worst_pictures.read_worst(2)
    monkeypatch.setattr(TrackedFiles, "read", bug)
    monkeypatch.setattr("sys.argv", ["review"])
    with pytest.raises(TypeError, match="a bug"):
        pull_request.main()


def test_a_bug_inside_an_open_clone_is_seen(world):
    with pytest.raises(TypeError, match="a bug"), remote_clone.opened():
        bug()


def test_a_damaged_table_leaves_the_review_without_pictures_and_names_it(world):
    Path(INDEX.path).write_bytes(b"no table")
    worst = worst_pictures.read_worst(2)
    assert len(worst.rows) == 2
    assert worst.missing.startswith(f"{INDEX.path} is damaged, ")
    Path(REVIEW.path).write_bytes(b"no table")
    assert worst_pictures.read_worst(2).rows.empty
    with pytest.raises(InputError, match="is damaged"):
        REVIEW.parse(TrackedFiles().read(REVIEW.path))


def test_a_folder_without_dvc_is_said(tmp_path):
    with surroundings(tmp_path):
        run("git", "init", "--quiet")
        with pytest.raises(RepositoryError, match="the workspace cannot be read"):
            TrackedFiles()


def test_a_pipe_in_the_workspace_keeps_nobody_waiting(world):
    os.mkfifo("data/pipe")
    for read in (lambda files: files.read("data/pipe"), lambda files: files.read_parts("data/pipe", [(0, 1)])):
        with pytest.raises(RepositoryError, match="data/pipe is a pipe, not a regular file"):
            read(TrackedFiles())
