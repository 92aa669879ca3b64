"""Adoption: the user's pictures in place of the sample, once, whole or not at all, and their folders untouched."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import repositories
import yaml
from pictures import save
from repositories import commit, dvc, run, surroundings, write

from intake.adopt import main, outputs
from runtime import parameters
from runtime.errors import InputError, RepositoryError
from stages.labels.decisions import read_decisions

pytestmark = pytest.mark.slow

NAMES = ("boots", 'it\'s "new" #1', "кот", "-dash, [x]: y", "back\\slash", "кот_staged")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clone = repositories.make(tmp_path_factory.mktemp("adopt"))
    with surroundings(clone):
        write("data/classes.yaml", "merge: {}\n")
        write("data/confused.csv", "truth,predicted,weight\nboots,cap,0.5\n")
        write("data/decisions/ana.csv", "image_id,decision,value,on,why\n")
        commit("Instructions")
    return clone.parent


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(template, tmp_path / "world")
    for name in NAMES:
        write(str(tmp_path / "theirs" / name / "1.png"), f"picture of {name}")
    with surroundings(tmp_path / "world" / "clone"):
        yield tmp_path / "world" / "clone"


def adopt(monkeypatch: pytest.MonkeyPatch, **folders: str) -> None:
    arguments = [part for name, folder in folders.items() for part in (f"--{name}", folder)]
    monkeypatch.setattr("sys.argv", ["adopt", *arguments])
    main()


def logged(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records if record.name == "intake.adopt")


@pytest.mark.parametrize(
    ("side", "settings", "network"),
    [
        (240, "", "efficientnet_lite0"),
        (240, "keep", "small"),
        (80, "", "small"),
        (80, "photographs", "efficientnet_lite0"),
    ],
)
def test_photographs_get_their_settings_and_small_pictures_keep_those_of_the_sample(
    clone: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    side: int,
    settings: str,
    network: str,
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(60):
        save(tmp_path / "photos" / "boots" / f"{number}.png", number, (side + 80, side))
    before = Path("params.yaml").read_text()
    adopt(monkeypatch, library=str(tmp_path / "photos"), settings=settings)
    params = parameters.read(parameters.Train)
    assert params.network == network
    assert f"the shorter side of the median picture has {side} pixels" in logged(caplog) or settings == "keep"
    if network == "small":
        assert yaml.safe_load(before)["train"] == yaml.safe_load(Path("params.yaml").read_text())["train"]
        assert "params.yaml keeps its settings" in logged(caplog)
        return
    assert params.weights == "data/pretrained/efficientnet_lite0.weights.h5"
    assert (parameters.read(parameters.Picture).side, params.augmentation.mirror) == (224, True)
    assert parameters.read(parameters.Split).maximum == 60
    assert parameters.read(parameters.Quality).min_side == min(side, 224)
    assert "train.network efficientnet_lite0" in logged(caplog)
    assert "split.maximum 60, split.test_fraction 0.1: 0 folders have more" in logged(caplog)


def test_on_a_machine_with_a_gpu_it_proposes_half_precision_and_larger_batches(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    save(tmp_path / "photos/boots/1.png", 1, (320, 240))
    write(str(tmp_path / "bin/nvidia-smi"), "#!/bin/sh\n")
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    adopt(monkeypatch, library=str(tmp_path / "photos"))
    params = parameters.read(parameters.Train)
    assert (params.precision, params.batch_size) == ("bfloat16", 128)


def test_settings_that_nobody_knows_are_refused(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="SETTINGS=photos is not known: photographs or keep"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"), settings="photos")


def contents(folder: str) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def stamps(folder: str) -> list[tuple[int, int, int, int]]:
    stats = [path.stat() for path in sorted(Path(folder).rglob("*.png"))]
    return [(stat.st_ino, stat.st_mtime_ns, stat.st_mode, stat.st_nlink) for stat in stats]


def state() -> tuple[dict[str, bytes], str]:
    files = {name: Path(name).read_bytes() for name in ("dvc.lock", "params.yaml")}
    return contents("data") | files, run("git", "status", "--porcelain", "--ignored")


def test_the_sample_gives_way_and_nothing_outside_the_clone_changes(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    theirs = str(tmp_path / "theirs")
    before = contents(theirs), stamps(theirs)
    adopt(monkeypatch, library=theirs, benchmarks="", unlabelled="")
    assert (contents(theirs), stamps(theirs)) == before
    assert {path.name for path in Path("data/library").iterdir()} == set(NAMES)
    for name in NAMES:
        assert Path("data/library", name, "1.png").read_text() == f"picture of {name}"
    for folder in ("data/benchmarks", "data/unlabelled", "data/base"):
        assert list(Path(folder).iterdir()) == []
    assert [path.name for path in Path("data/decisions").iterdir()] == ["example.csv"]
    assert read_decisions("data/decisions", NAMES) == []
    assert Path("data/confused.csv").read_text() == "truth,predicted,weight\n"
    assert yaml.safe_load(Path("data/classes.yaml").read_text()) is None
    assert [rule.set for rule in parameters.read(parameters.Gate).rules] == ["held_out", "held_out"]
    for gone in ("dvc.lock", "data/model", "data/shards", "data/scores/metrics.json", "data/scores/gate.json"):
        assert not Path(gone).exists()
    commit("Adopt our library")
    assert "data/library.dvc" not in dvc("status", "data/library.dvc", "data/base.dvc", "data/benchmarks.dvc")
    with pytest.raises(RepositoryError, match=r"data/library, data/benchmarks.*not the sample any more.*fresh clone"):
        adopt(monkeypatch, library=theirs)


def test_a_fresh_clone_without_pictures_is_adopted_with_all_three_folders(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run("git", "clone", "--quiet", "--depth=1", clone.as_uri(), "../shallow")
    monkeypatch.chdir("../shallow")
    write("../more/benchmarks/difficult/boots/9.png", "benchmark")
    write("../more/benchmarks/notes.txt", "loose")
    write("../more/unlabelled/8.png", "unlabelled")
    adopt(
        monkeypatch,
        library=str(tmp_path / "theirs"),
        benchmarks="../more/benchmarks",
        unlabelled="../more/unlabelled",
    )
    assert set(contents("data/benchmarks")) == {"data/benchmarks/difficult/boots/9.png"}
    assert set(contents("data/unlabelled")) == {"data/unlabelled/8.png"}
    assert [rule.set for rule in parameters.read(parameters.Gate).rules] == ["difficult", "difficult"]


def test_a_failure_leaves_everything_as_it_was(clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write(".dvc/config.local", "[cache]\n    dir = /dev/null/nowhere\n")
    before = state()
    with pytest.raises(RepositoryError, match=r"`dvc add data/library .*` failed: "):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))
    assert state() == before


KILLED = """
import os, signal, sys
from intake import adopt

moment, name, folder = sys.argv[1:]
sys.argv = ["adopt", "--library", folder]
setattr(adopt, moment, lambda *_: os.kill(os.getpid(), getattr(signal, name)))
adopt.run(adopt.main)
"""


@pytest.mark.parametrize("moment", ["_copy", "_write_instructions", "dvc_add"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_command_that_is_killed_is_undone_or_goes_on_when_it_is_given_again(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, moment: str, name: str
) -> None:
    before = state()
    environment = os.environ | {"PYTHONPATH": str(repositories.ROOT)}
    theirs = str(tmp_path / "theirs")
    assert subprocess.run([sys.executable, "-c", KILLED, moment, name, theirs], env=environment).returncode
    if name == "SIGTERM":
        assert state() == before
    adopt(monkeypatch, library=theirs)
    assert {path.name for path in Path("data/library").iterdir()} == set(NAMES)
    assert not list(Path().glob("*.partial"))


def test_a_file_that_cannot_be_copied_leaves_everything_as_it_was(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    before = state()
    with pytest.raises(InputError, match=r"1.png cannot be copied: No space left on device. Nothing was changed"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))
    assert state() == before


@pytest.mark.parametrize("added", ["data/library/boots/mine.png", "data/unlabelled/mine.png"])
def test_a_picture_that_was_put_into_the_clone_is_never_overwritten(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, added: str
) -> None:
    write(added, "mine")
    with pytest.raises(RepositoryError, match=r"this is not the sample any more, the clone was adopted before or pict"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))
    assert Path(added).read_text() == "mine"


def test_a_decision_that_is_not_committed_is_never_overwritten(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write("data/decisions/bo.csv", "image_id,decision,value,on,why\n")
    with pytest.raises(RepositoryError, match=r"not committed: data/decisions/bo.csv"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))


def test_a_sample_that_cannot_be_written_is_no_reason_to_overwrite(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.rmtree("sample")
    with pytest.raises(RepositoryError, match=r"the sample cannot be written, .*: .*sample"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))


@pytest.mark.parametrize("folder", ["data/library", "data", "..", "."])
def test_a_library_in_or_around_the_clone_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    with pytest.raises(InputError, match="lie in each other"):
        adopt(monkeypatch, library=folder)


def test_a_library_that_data_library_links_to_is_refused(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.rmtree("data/library")
    Path("data/library").symlink_to(tmp_path / "theirs")
    with pytest.raises(InputError, match="lie in each other"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))


def test_a_disk_that_is_too_small_is_noticed_before_the_copy(
    clone: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 5, 5))
    with pytest.raises(InputError, match=r"0.0 GB are free here: make room"):
        adopt(monkeypatch, library=str(tmp_path / "theirs"))


def test_without_a_library_the_message_gives_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"no library is given: make adopt LIBRARY=folder"):
        adopt(monkeypatch, library="")


def test_outputs_are_found_under_every_heading_with_and_without_settings() -> None:
    pipeline = {
        "stages": {
            "a": {"cmd": "x", "outs": ["one", {"two": {"cache": False}}]},
            "b": {"cmd": "y", "metrics": [{"three": {"cache": False}}], "plots": ["four"]},
            "c": {"cmd": "z"},
        }
    }
    assert outputs(pipeline) == ["one", "two", "three", "four"]
