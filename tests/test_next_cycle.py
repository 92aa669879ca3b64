"""The next cycle: the base becomes the promoted release, once, whole or not at all."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import repositories
from repositories import commit, dvc, run, surroundings, write

from release.next_cycle import main, require_promoted
from runtime.command import INTERRUPTED
from runtime.errors import ParameterError, RepositoryError
from stages.models.base import BASE_CALIBRATION

pytestmark = pytest.mark.slow

RELEASE = {
    "data/base/calibration.json",
    "data/base/metrics.json",
    "data/base/model/model.json",
    "data/base/model/model.weights.h5",
    "data/base/shards/index.parquet",
    "data/base/version.json",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = repositories.make(tmp_path_factory.mktemp("next"))
    with surroundings(clone):
        run("git", "tag", "--annotate", "model-001", "--message", "promoted")
    return clone.parent


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(template, tmp_path / "world")
    with surroundings(tmp_path / "world" / "clone"):
        yield tmp_path / "world" / "clone"


def files(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def state() -> tuple[dict[str, bytes], bytes, bytes, str]:
    kept = (Path("data/base.dvc").read_bytes(), Path("params.yaml").read_bytes())
    return files("data/base"), *kept, run("git", "status", "--porcelain") + run("git", "rev-parse", "HEAD")


def test_the_base_is_the_release_and_the_version_is_one_higher_in_one_clean_commit(clone: Path) -> None:
    before = run("git", "rev-parse", "HEAD")
    main()
    assert set(files("data/base")) == RELEASE
    assert json.loads(Path("data/base/version.json").read_text()) == {"version": 1, "tag": "model-001"}
    assert Path("data/base/model/model.weights.h5").read_bytes() == b"a boot"
    assert json.loads(Path(BASE_CALIBRATION).read_text()) == repositories.CALIBRATION
    assert run("git", "rev-parse", "HEAD~1") == before
    assert run("git", "show", "--format=%s", "--name-only").split("\n") == [
        "Open the cycle of model-002: the base is model-001",
        "",
        "data/base.dvc",
        "params.yaml",
        "",
    ]
    assert run("git", "status", "--porcelain") == ""
    with pytest.raises(RepositoryError, match=r"no tag model-002 here.*after model-001: its cycle is open already"):
        main()


def test_the_release_comes_from_the_tag_not_from_the_workspace(clone: Path) -> None:
    write("data/model/model.weights.h5", "another model")
    write("data/scores/metrics.json", "{}")
    Path("dvc.lock").unlink()
    commit("Another model since")
    main()
    assert json.loads(Path("data/base/metrics.json").read_text()) == repositories.METRICS
    assert Path("data/base/model/model.weights.h5").read_bytes() == b"a boot"


def test_a_depth_1_clone_fetches_the_tag_and_the_release_and_pushes_only_what_is_new(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("README.md", "later")
    commit("Later")
    run("git", "clone", "--quiet", "--depth=1", clone.as_uri(), "../shallow")
    monkeypatch.chdir("../shallow")
    with pytest.raises(RepositoryError, match="`git fetch --tags --depth 1` brings the tag"):
        main()
    run("git", "fetch", "--quiet", "--tags", "--depth", "1")
    main()
    assert set(files("data/base")) == RELEASE
    assert not Path("data/library").exists()
    pushed = set(files("../remote"))
    dvc("push", "data/base.dvc")
    contents = [content for path, content in files("../remote").items() if path not in pushed]
    # The version, the folder's listing, and metrics and calibration, which git held so far.
    assert len(contents) == 4
    assert not {b"a boot", b"index\n", b"tar\n"} & set(contents)


def test_a_remote_that_was_named_after_the_tag_is_used(clone: Path) -> None:
    write(".dvc/config", "['remote \"elsewhere\"']\n    url = ../../moved\n[core]\n    remote = elsewhere\n")
    commit("The remote moved")
    shutil.move("../remote", "../moved")
    shutil.rmtree(".dvc/cache")
    main()
    assert set(files("data/base")) == RELEASE


def test_what_is_nowhere_leaves_everything_as_it_was(clone: Path) -> None:
    shutil.rmtree("../remote")
    shutil.rmtree(".dvc/cache")
    before = state()
    with pytest.raises(RepositoryError, match=r"model-001 cannot be read .*`make push` on the machine"):
        main()
    assert state() == before
    assert not list(Path().glob("*.partial"))


def test_a_damaged_object_is_noticed(clone: Path) -> None:
    for path, content in files(".dvc/cache").items():
        if content == b"a boot":
            Path(path).chmod(0o644)
            Path(path).write_bytes(b"a b0ot")
    before = state()
    with pytest.raises(RepositoryError, match=r"data/model/model.weights.h5 of model-001 is damaged"):
        main()
    assert state() == before


def test_a_commit_that_git_refuses_leaves_everything_as_it_was(clone: Path) -> None:
    hook = write(".git/hooks/pre-commit", "#!/bin/sh\necho not on Fridays >&2\nexit 1\n")
    hook.chmod(0o755)
    before = state()
    with pytest.raises(RepositoryError, match="`git commit` failed: not on Fridays"):
        main()
    assert state() == before
    assert Path("data/base").is_dir()


def test_a_dvc_add_that_fails_leaves_everything_as_it_was(clone: Path) -> None:
    Path("data/base.dvc").write_text("outs: nonsense\n")
    commit("A broken file")
    before = state()
    with pytest.raises(RepositoryError, match=r"`dvc add data/base` failed: .*base.dvc"):
        main()
    assert state() == before


KILLED = """
import os, shutil, signal, sys
from release import next_cycle
from runtime import undo

def killed(*_, **__):
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    import time
    time.sleep(1)

def killed_again(*arguments):
    undo.shutil.rmtree = rmtree
    killed()
    return rmtree(*arguments)

owner, _, name = sys.argv[1].rpartition(".")
rmtree = shutil.rmtree
if sys.argv[3:] == ["again"]:
    undo.shutil.rmtree = killed_again
if sys.argv[3:] == ["after the commit"]:
    original = next_cycle.git
    def git(*arguments, **options):
        printed = original(*arguments, **options)
        if arguments[0] == "commit":
            killed()
        return printed
    next_cycle.git = git
else:
    setattr(next_cycle if owner == "next_cycle" else next_cycle.parameters, name, killed)
next_cycle.run(next_cycle.main)
"""


def kill_next(*arguments: str) -> int:
    """Run `make next` in a process of its own, which gets a signal when it comes to a function."""
    environment = os.environ | {"PYTHONPATH": str(repositories.ROOT)}
    return subprocess.run([sys.executable, "-c", KILLED, *arguments], env=environment, capture_output=True).returncode


MOMENTS = ["next_cycle.fetch_release", "next_cycle.write_json", "parameters.change", "next_cycle.dvc_add"]


@pytest.mark.parametrize("moment", MOMENTS)
def test_sigterm_leaves_everything_as_it_was(clone: Path, moment: str) -> None:
    before = state()
    assert kill_next(moment, "SIGTERM") == 128 + signal.SIGTERM
    assert state() == before
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize("moment", MOMENTS)
def test_after_sigkill_the_same_command_goes_on(clone: Path, moment: str) -> None:
    assert kill_next(moment, "SIGKILL") == -signal.SIGKILL
    assert list(Path().glob("*.partial"))
    main()
    assert set(files("data/base")) == RELEASE
    assert run("git", "log", "--format=%s", "-1").strip() == "Open the cycle of model-002: the base is model-001"
    assert run("git", "status", "--porcelain") == ""
    assert not list(Path().glob("*.partial"))


def test_a_second_sigterm_does_not_keep_everything_from_being_as_it_was(clone: Path) -> None:
    before = state()
    assert kill_next("next_cycle.dvc_add", "SIGTERM", "again") == 128 + signal.SIGTERM
    assert state() == before
    assert not list(Path().glob("*.partial"))


def test_a_second_ctrl_c_loses_nothing_that_the_next_command_does_not_put_back(clone: Path) -> None:
    assert kill_next("next_cycle.dvc_add", "SIGINT", "again") == INTERRUPTED
    assert list(Path().glob("before-*.partial"))
    main()
    assert set(files("data/base")) == RELEASE
    assert run("git", "status", "--porcelain") == ""
    assert not list(Path().glob("*.partial"))


@pytest.mark.parametrize(
    ("name", "code"), [("SIGKILL", -signal.SIGKILL), ("SIGTERM", 128 + signal.SIGTERM), ("SIGINT", INTERRUPTED)]
)
def test_a_signal_after_the_commit_leaves_the_cycle_open(clone: Path, name: str, code: int) -> None:
    assert kill_next("next_cycle.git", name, "after the commit") == code
    with pytest.raises(RepositoryError, match="its cycle is open already"):
        main()
    assert set(files("data/base")) == RELEASE
    assert run("git", "status", "--porcelain") == ""


def test_the_last_version_number_is_refused_before_it_is_passed(clone: Path) -> None:
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("version: 1 ", "version: 999 "))
    commit("Many cycles later")
    run("git", "tag", "model-999")
    before = state()
    with pytest.raises(ParameterError, match=r"export.version: .*less than or equal to 999"):
        main()
    assert state() == before


def test_a_dirty_tree_is_refused(clone: Path) -> None:
    write("notes.txt", "mine")
    with pytest.raises(RepositoryError, match=r"not committed: notes.txt. Commit them"):
        main()


def test_a_tag_without_a_model_is_refused(clone: Path) -> None:
    root = run("git", "commit-tree", "-m", "empty", run("git", "hash-object", "-w", "-t", "tree", "/dev/null").strip())
    run("git", "tag", "--force", "model-001", root.strip())
    with pytest.raises(RepositoryError, match="model-001"):
        main()


@pytest.mark.parametrize(
    ("version", "promoted", "shallow", "words"),
    [
        (1, [], False, r"no tag model-001 here.*`git fetch --tags` brings.*still being made: train it"),
        (1, [], True, r"`git fetch --tags --depth 1` brings"),
        (3, [1, 2], False, r"no tag model-003.*after model-002: its cycle is open already"),
        (2, [1, 2, 3], False, r"model-003 is promoted, but export.version in params.yaml is 2.*git pull"),
    ],
)
def test_only_the_newest_promoted_model_opens_a_cycle(
    version: int, promoted: list[int], shallow: bool, words: str
) -> None:
    with pytest.raises(RepositoryError, match=words):
        require_promoted(version, promoted, shallow)


def test_the_promoted_model_of_this_cycle_opens_the_next() -> None:
    require_promoted(2, [1, 2], shallow=False)
