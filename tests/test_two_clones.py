"""Two people, two clones, a remote between them: nobody's pictures are lost, whatever is pulled, run or merged."""

import os
import shutil
import sys
from pathlib import Path

import pytest
import repositories
from clones import put_under_dvc
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from repositories import commit, run, write

from remote import pull
from remote.merge import merge_listings
from runtime.errors import RepositoryError
from runtime.tracked import changed_meanwhile, dvc_file, require_not_reverted, require_recorded

pytestmark = pytest.mark.slow

LIBRARY = Path("data/library")
DRIVER = f"{sys.executable} -m remote.merge"


def add(*names: str) -> None:
    """Copy pictures in, as a person does."""
    for name in names:
        write(f"{LIBRARY}/{name}", f"the picture {name}")


def record(message: str) -> None:
    put_under_dvc(str(LIBRARY))
    commit(message)


def push() -> None:
    from dvc.repo import Repo

    with Repo() as repo:
        repo.push()
    run("git", "push", "--quiet", "origin", "HEAD:main")


def names() -> list[str]:
    return sorted(str(path.relative_to(LIBRARY)) for path in LIBRARY.rglob("*") if path.is_file())


def clone(folder: Path) -> Path:
    run("git", "clone", "--quiet", str(folder.parent / "origin"), str(folder))
    for name, driver in (("folder", f"{DRIVER} %O %A %B %P"), ("written", f"{DRIVER} --written %P")):
        run("git", "-C", str(folder), "config", f"merge.{name}.driver", driver)
    return folder


@pytest.fixture
def ana(tmp_path, monkeypatch):
    """Ana's clone, with a committed and pushed library; the working directory."""
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with repositories.surroundings(tmp_path):
        folder = clone(tmp_path / "ana")
        os.chdir(folder)
        run("git", "checkout", "--quiet", "-b", "main")
        write(
            ".dvc/config",
            f"[core]\n    remote = store\n    analytics = false\n['remote \"store\"']\n    url = {tmp_path}/store\n",
        )
        write(".dvc/.gitignore", "/tmp\n/cache\n")  # noqa: S108
        shutil.copy(ROOT / ".gitattributes", ".")
        add("bee/1.png", "bee/2.png", "cow/1.png")
        record("Pictures")
        push()
        yield folder


@pytest.fixture
def ben(ana):
    """Ben's clone, pulled."""
    folder = clone(ana.parent / "ben")
    os.chdir(folder)
    pull_here()
    os.chdir(ana)
    return folder


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
    monkeypatch.setattr("sys.argv", ["pull"])


def pull_here() -> None:
    pull.main()


def test_a_pulled_dvc_file_stops_the_run_until_its_pictures_are_pulled(ana, ben):
    add("cow/2.png")
    record("A cow")
    push()
    os.chdir(ben)
    run("git", "pull", "--quiet")
    pulled = dvc_file(LIBRARY).read_text()
    with pytest.raises(RepositoryError, match=r"(?s)data/library holds 3 files.*as in the last commit.*`make pull`"):
        require_recorded()
    assert dvc_file(LIBRARY).read_text() == pulled
    pull_here()
    require_recorded()
    assert "cow/2.png" in names()


def test_pictures_that_were_added_stop_the_run_until_they_are_recorded(ana):
    add("bee/3.png")
    with pytest.raises(
        RepositoryError, match=r"(?s)4 files, 1 of them new or changed: bee/3\.png.*`dvc add data/library`"
    ):
        require_recorded()
    put_under_dvc(str(LIBRARY))
    require_recorded()


def test_whoever_pulls_with_pictures_of_their_own_is_not_told_to_record_the_folder_first(ana, ben):
    add("cow/2.png")
    record("A cow")
    push()
    os.chdir(ben)
    add("bee/ben.png")
    run("git", "pull", "--quiet")
    with pytest.raises(RepositoryError) as refused:
        require_recorded()
    assert "because you changed it" not in str(refused.value)
    pull_here()
    assert {"cow/2.png", "bee/ben.png"} <= set(names())
    record("Ben's bee")
    require_recorded()


def test_a_pull_keeps_what_no_commit_has_and_deletes_what_a_colleague_removed(ana, ben, caplog):
    (LIBRARY / "bee/1.png").unlink()
    record("One bee less")
    push()
    os.chdir(ben)
    add("bee/ben.png")
    run("git", "pull", "--quiet")
    with caplog.at_level("INFO"):
        pull_here()
    assert names() == ["bee/2.png", "bee/ben.png", "cow/1.png"]
    assert "1 file of yours stay" in caplog.text or "data/library/bee/ben.png" in caplog.text


def test_a_picture_of_ones_own_is_not_replaced_by_a_colleague_s_of_the_same_name(ana, ben):
    add("cow/2.png")
    record("A cow")
    push()
    os.chdir(ben)
    write(f"{LIBRARY}/cow/2.png", "another cow")
    run("git", "pull", "--quiet")
    with pytest.raises(RepositoryError, match=r"cow/2\.png\. Rename or move your own"):
        pull_here()
    assert (LIBRARY / "cow/2.png").read_text() == "another cow"


def test_a_pull_that_was_killed_gives_back_what_it_had_put_aside(ana, ben):
    os.chdir(ben)
    add("bee/ben.png")

    waiting = Path(".dvc/tmp/retrain/own-pictures") / LIBRARY / "bee/ben.png"
    waiting.parent.mkdir(parents=True)
    (LIBRARY / "bee/ben.png").rename(waiting)  # as SIGKILL between the two renames leaves it
    pull_here()
    assert "bee/ben.png" in names()


def refuses_the_stage() -> str | None:
    """What a stage says that DVC runs, which has written the folder's digest over the pulled one by then."""
    try:
        require_not_reverted([LIBRARY])
    except RepositoryError as error:
        return str(error)
    return None


def test_plain_dvc_repro_after_a_pull_is_refused_by_the_stage(ana, ben):
    add("cow/2.png")
    record("A cow")
    push()
    os.chdir(ben)
    run("git", "pull", "--quiet")
    put_under_dvc(str(LIBRARY))  # what DVC does before it runs a stage
    assert "what an earlier commit had" in (refuses_the_stage() or "")
    add("bee/ben.png")
    put_under_dvc(str(LIBRARY))
    assert "never had" in (refuses_the_stage() or "")


def test_what_a_person_adds_or_removes_is_not_refused_by_the_stage(ana):
    add("bee/3.png")
    put_under_dvc(str(LIBRARY))
    assert refuses_the_stage() is None
    (LIBRARY / "cow/1.png").unlink()
    put_under_dvc(str(LIBRARY))
    assert refuses_the_stage() is None


def test_what_arrives_during_a_run_is_named_at_its_end(ana):
    digest = dvc_file(LIBRARY).read_text().split("md5: ")[1].split()[0]
    write("dvc.lock", f"stages: {{shard: {{deps: [{{path: data/library, md5: {digest}}}]}}}}")
    assert changed_meanwhile(["shard"]) == []
    write("dvc.lock", "stages: {shard: {deps: [{path: data/library, md5: 0.dir}, {path: dvc.yaml, md5: 1}]}}")
    assert changed_meanwhile(["shard"]) == ["data/library"]


def test_a_run_of_some_stages_is_not_refused_for_what_the_others_read_earlier(ana):
    write("dvc.lock", "stages: {train: {deps: [{path: data/library, md5: 0.dir}]}, split: {deps: [{path: a, md5: 1}]}}")
    assert changed_meanwhile(["split"]) == []


def test_checking_out_an_old_commit_is_the_same_case(ana):
    add("bee/3.png")
    record("A bee")
    run("git", "checkout", "--quiet", "HEAD~1")
    with pytest.raises(RepositoryError, match="checked out a commit: `make pull`"):
        require_recorded()
    pull_here()
    assert "bee/3.png" not in names()
    require_recorded()


def test_additions_on_both_branches_are_merged(ana, ben):
    add("cow/ana.png", "same.png")
    record("Ana's cow")
    push()
    os.chdir(ben)
    add("bee/ben.png", "same.png")
    record("Ben's bee")
    run("git", "pull", "--quiet", "--no-rebase", "--no-edit")
    assert run("git", "status", "--porcelain") == ""
    pull_here()
    assert names() == ["bee/1.png", "bee/2.png", "bee/ben.png", "cow/1.png", "cow/ana.png", "same.png"]
    merged = dvc_file(LIBRARY).read_text()
    put_under_dvc(str(LIBRARY))
    assert [line for line in dvc_file(LIBRARY).read_text().splitlines() if "size" not in line] == [
        line for line in merged.splitlines() if "size" not in line
    ]


def test_an_addition_and_a_removal_are_merged(ana, ben):
    (LIBRARY / "bee/1.png").unlink()
    record("One bee less")
    push()
    os.chdir(ben)
    add("bee/ben.png")
    (LIBRARY / "bee/2.png").unlink()
    record("Ben's bee for another")
    run("git", "pull", "--quiet", "--no-rebase", "--no-edit")
    pull_here()
    assert names() == ["bee/ben.png", "cow/1.png"]


def test_what_both_changed_is_a_conflict_in_words_that_loses_nothing(ana, ben):
    write(f"{LIBRARY}/cow/1.png", "Ana's crop")
    record("Ana crops")
    push()
    os.chdir(ben)
    write(f"{LIBRARY}/cow/1.png", "Ben's crop")
    record("Ben crops")
    ours = dvc_file(LIBRARY).read_text()
    with pytest.raises(AssertionError, match=r"both branches changed cow/1\.png.*docs/guide/merging\.md"):
        run("git", "pull", "--quiet", "--no-rebase", "--no-edit")
    assert dvc_file(LIBRARY).read_text() == ours
    assert (ROOT / "docs/guide/merging.md").is_file()


def test_what_a_run_wrote_on_both_branches_is_kept_without_marks_and_a_message(ana, ben):
    for folder, figure in ((ana, "0.9"), (ben, "0.8")):
        os.chdir(folder)
        write("data/scores/metrics.json", figure)
        commit(f"A run of {folder.name}")
    os.chdir(ana)
    push()
    os.chdir(ben)
    with pytest.raises(AssertionError, match="data/scores/metrics.json. Ours stands there.*make repro"):
        run("git", "pull", "--quiet", "--no-rebase", "--no-edit")
    assert Path("data/scores/metrics.json").read_text() == "0.8"


LISTINGS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from("xyz"))


@given(LISTINGS, LISTINGS, LISTINGS)
def test_a_merge_has_what_either_added_and_lacks_what_either_removed(ancestor, ours, theirs):
    try:
        merged = merge_listings(ancestor, ours, theirs)
    except RepositoryError:
        clashes = [path for path in "abcdef" if len({side.get(path) for side in (ancestor, ours, theirs)}) == 3]
        assert clashes
        return
    assert merged == merge_listings(ancestor, theirs, ours)
    for path in "abcdef":
        for side in (ours, theirs):
            if side.get(path) != ancestor.get(path):
                assert merged.get(path) == side.get(path)
        if ours.get(path) == ancestor.get(path) == theirs.get(path):
            assert merged.get(path) == ancestor.get(path)
