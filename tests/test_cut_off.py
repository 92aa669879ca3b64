"""DVC killed while it writes leaves files that it cannot read again: the list of what is in use, and dvc.lock."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.lock import make_lock
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import parse_yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import ROOT, commit, dvc, run, surroundings, write

from release.promote import require_up_to_date
from runtime import repository
from runtime.repository import dvc_add, mend_cut_off_files

pytestmark = pytest.mark.slow

FILE, LOCK = Path(".dvc/tmp/rwlock"), Path("dvc.lock")
STAGES = "".join(
    f"  number_{number}:\n    cmd: echo {number} > {number}\n    outs: ['{number}']\n" for number in range(3)
)


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "clone").mkdir()
    with surroundings(tmp_path / "clone"):
        write(".dvc/config", "[core]\n    analytics = false\n")
        write("data/library/bee/1.png", "a bee")
        run("git", "init", "--quiet")
        yield


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory):
    """A clone in which three stages ran, committed."""
    folder = tmp_path_factory.mktemp("cut_off") / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet")
        write(".dvc/config", "[core]\n    analytics = false\n")
        write(".dvc/.gitignore", "tmp\ncache\n")
        write("dvc.yaml", f"stages:\n{STAGES}")
        dvc("repro", "--quiet")
        commit("Reproduced")
    return folder


@pytest.fixture
def whole_lock(reproduced):
    with surroundings(reproduced):
        run("git", "checkout", "--quiet", "HEAD", "--", "dvc.lock")
        yield LOCK.read_text()


@pytest.mark.parametrize("content", ["", '{"read": {"data/lib'])
def test_what_a_killed_dvc_cut_off_does_not_stop_the_next(clone, content):
    write(str(FILE), content)
    with pytest.raises(AssertionError, match="rwlock"):
        dvc("add", "data/library")
    dvc_add(["data/library"])
    assert Path("data/library.dvc").is_file()


def draw():
    done = repository.dvc("plots", "show", "--json")
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("content", ["", '{"read": {"data/lib'])
@pytest.mark.parametrize("cut_off", [FILE, LOCK])
@pytest.mark.parametrize("asks_dvc", [require_up_to_date, draw])
def test_whatever_asks_dvc_goes_on_where_one_was_killed(whole_lock, cut_off, content, asks_dvc):
    write(str(cut_off), content)
    asks_dvc()
    assert whole_lock == LOCK.read_text()


@pytest.mark.parametrize("package", ["release", "review", "remote", "intake", "curation", "serving", "stages"])
def test_dvc_is_started_in_one_place_which_mends_first(package):
    for path in (ROOT / package).rglob("*.py"):
        assert not re.search(r'"-m", "dvc"|"dvc", "', path.read_text(encoding="utf-8")), path


def test_what_can_be_read_or_is_being_written_stays(clone):
    mend_cut_off_files()
    write(str(FILE), "{}")
    mend_cut_off_files()
    assert FILE.read_text() == "{}"
    write(str(FILE), "")
    with make_lock(str(FILE.with_name("rwlock.lock")), tmp_dir=str(FILE.parent)):
        mend_cut_off_files()
    assert FILE.is_file()


def test_a_dvc_lock_that_a_kill_emptied_is_the_commit_s_again_and_what_had_ended_is_not_run_again(whole_lock):
    write("dvc.lock", "")
    with pytest.raises(AssertionError, match="validation failed"):
        dvc("repro")
    command = [sys.executable, "-m", "runtime.repro"]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True
    )
    assert "dvc.lock was cut off by a run that was killed. It is the last commit's again." in done.stderr
    assert "nothing to do, 3 stages did not change" in done.stderr
    assert whole_lock == LOCK.read_text()


@settings(max_examples=40)
@given(data=st.data())
def test_wherever_dvc_lock_is_cut_off_dvc_can_read_what_is_left(data, reproduced):
    with surroundings(reproduced):
        text = run("git", "show", "HEAD:dvc.lock")
        write("dvc.lock", text[: data.draw(st.integers(0, len(text) - 1))])
        cut = LOCK.read_text()
        mend_cut_off_files()
        assert LOCK.read_text() == text or (LOCK.read_text() == cut and cut.endswith("\n"))
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(LOCK.read_text(), "dvc.lock"))


def test_without_a_commit_of_it_dvc_lock_goes_and_is_written_anew(clone):
    write("dvc.yaml", f"stages:\n{STAGES}")
    write("dvc.lock", "schema: '2.0'\nstages:\n  number_0:\n    cm")
    FILE.parent.mkdir(exist_ok=True)
    mend_cut_off_files()
    assert not LOCK.exists()


def test_a_dvc_lock_in_conflict_or_being_written_is_left_alone(whole_lock):
    for text in (f"<<<<<<< HEAD\n{whole_lock}=======\n>>>>>>> theirs\n", whole_lock):
        write("dvc.lock", text)
        mend_cut_off_files()
        assert LOCK.read_text() == text
    write("dvc.lock", "")
    with make_lock(".dvc/tmp/lock", tmp_dir=".dvc/tmp"):
        mend_cut_off_files()
    assert LOCK.read_text() == ""
