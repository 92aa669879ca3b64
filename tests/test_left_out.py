"""What DVC leaves out of a folder without a word stops the run and the push, by name; so does what it waits for."""

import os
import socket
import sys
from pathlib import Path

import pytest
from clones import put_under_dvc
from repositories import commit, run, surroundings, write

from release.promote import require_up_to_date
from remote import pull, push
from runtime.errors import RepositoryError
from runtime.regular_files import require_no_pipes
from runtime.repository import dvc_add, folder_digest
from runtime.repro import reproduce
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


WAITED_FOR = {
    "dvc add": lambda: dvc_add([str(LIBRARY)]),
    "a digest": lambda: folder_digest(LIBRARY),
    "make repro": require_recorded,
    "make pull": pull.main,
    "make promote": require_up_to_date,
}


@pytest.mark.parametrize("command", WAITED_FOR)
def test_a_pipe_keeps_no_command_waiting(clone, command):
    os.mkfifo(LIBRARY / "cow/calf/pipe")
    with pytest.raises(RepositoryError, match="data/library/cow/calf/pipe is a pipe, for which DVC would wait"):
        WAITED_FOR[command]()


def test_a_run_ends_before_dvc_meets_a_pipe_among_what_stages_wrote(clone, capsys):
    write("data/model/history.csv", "")
    os.mkfifo("data/model/pipe")
    assert reproduce([]) == 1
    assert "error: data/model/pipe is a pipe, for which DVC would wait without end" in capsys.readouterr().err


def test_pipes_sockets_and_devices_are_found_through_a_link_to_the_folder_itself(tmp_path):
    folder = tmp_path / "disk"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/file").touch()
    (folder / "broken").symlink_to("nowhere")
    (folder / "loop").symlink_to(folder)
    (folder / "circle").symlink_to("circle")
    (tmp_path / "library").symlink_to(folder)
    require_no_pipes(tmp_path / "library", tmp_path / "absent", folder / "deep/file")
    (folder / "device").symlink_to("/dev/zero")
    os.mkfifo(folder / "deep/pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(folder / "socket"))
        with pytest.raises(
            RepositoryError, match=r"library/deep/pipe is a pipe, .*So are 2 files more: .*/device, .*/socket"
        ):
            require_no_pipes(tmp_path / "library")
