"""DVC killed while it writes what is in use leaves a file that it cannot read again."""

from pathlib import Path

import pytest
from dvc.lock import make_lock
from repositories import dvc, run, surroundings, write

from runtime.repository import dvc_add, remove_unreadable_lock

pytestmark = pytest.mark.slow

FILE = Path(".dvc/tmp/rwlock")


@pytest.fixture
def clone(tmp_path):
    (tmp_path / "clone").mkdir()
    with surroundings(tmp_path / "clone"):
        write(".dvc/config", "[core]\n    analytics = false\n")
        write("data/library/bee/1.png", "a bee")
        run("git", "init", "--quiet")
        yield


@pytest.mark.parametrize("content", ["", '{"read": {"data/lib'])
def test_what_a_killed_dvc_cut_off_does_not_stop_the_next(clone, content):
    write(str(FILE), content)
    with pytest.raises(AssertionError, match="rwlock"):
        dvc("add", "data/library")
    dvc_add(["data/library"])
    assert Path("data/library.dvc").is_file()


def test_what_can_be_read_or_is_being_written_stays(clone):
    remove_unreadable_lock()
    write(str(FILE), "{}")
    remove_unreadable_lock()
    assert FILE.read_text() == "{}"
    write(str(FILE), "")
    with make_lock(str(FILE.with_name("rwlock.lock")), tmp_dir=str(FILE.parent)):
        remove_unreadable_lock()
    assert FILE.is_file()
