"""What DVC leaves out of a folder without a word stops the run and the push, by name."""

import sys
from pathlib import Path

import pytest
from clones import put_under_dvc
from repositories import commit, run, surroundings, write

from remote import push
from runtime.errors import RepositoryError
from runtime.tracked import require_all_under_dvc, require_recorded

LIBRARY = Path("data/library")


@pytest.fixture
def clone(tmp_path, monkeypatch):
    (tmp_path / "clone").mkdir()
    with surroundings(tmp_path / "clone"):
        write(
            ".dvc/config",
            f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {tmp_path}/store\n",
        )
        write(".dvcignore", "__pycache__\n")
        for name in ("bee/1.png", "cow/1.png", "cow/calf/2.png"):
            write(f"{LIBRARY}/{name}", name)
        run("git", "init", "--quiet", "--initial-branch=main")
        put_under_dvc(str(LIBRARY))
        commit("Pictures")
        monkeypatch.setattr(sys, "argv", ["push"])
        yield tmp_path / "clone"


def folder_named(name):
    def make():
        (LIBRARY / "cow" / name).mkdir()

    return make


def link():
    write("elsewhere/3.png", "a hen")
    (LIBRARY / "hen").symlink_to(Path("elsewhere").absolute())


def pattern():
    write(".dvcignore", "*.webp\n")
    write(f"{LIBRARY}/bee/4.webp", "a bee")


@pytest.mark.parametrize(
    ("leave_out", "names"),
    [
        (folder_named(".dvc"), r"2 files in data/library .*cow/ \(1 file\), data/library/cow/calf/ \(1 file\)"),
        (folder_named(".git"), None),
        (link, r"1 file in data/library .*data/library/hen"),
        (pattern, r"1 file in data/library .*data/library/bee/4\.webp"),
    ],
)
def test_what_dvc_leaves_out_stops_the_run_the_stage_and_the_push(clone, leave_out, names):
    leave_out()
    put_under_dvc(str(LIBRARY))
    checks = (require_recorded, lambda: require_all_under_dvc([LIBRARY]), push.main)
    for check in checks:
        if names is None:  # DVC takes such a folder in, but for the folder itself
            check()
            continue
        with pytest.raises(RepositoryError, match=names):
            check()


def test_litter_and_folders_without_dvc_are_passed_over(clone):
    write(f"{LIBRARY}/cow/.DS_Store", "")
    write(f"{LIBRARY}/cow/.git/config", "")
    put_under_dvc(str(LIBRARY))
    write("data/unlabelled/__pycache__/1.png", "")
    require_recorded()
    require_all_under_dvc([LIBRARY, Path("data/unlabelled"), Path("data/benchmarks")])
