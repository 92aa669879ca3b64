"""deploy/train.sh from end to end, on a small repository, a bare Git repository and a DVC remote."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import repositories
import yaml
from conftest import ROOT
from repositories import commit, dvc, surroundings, write

from deploy.settings import main, settings
from runtime.errors import ParameterError

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "deploy/train.sh"
# Trains for four epochs with the pipeline's own checkpoints; the model tells nothing of how often it was interrupted.
TRAIN = """\
import os
import time
from pathlib import Path
import numpy as np
from stages.training.checkpoints import Checkpoints
seconds = float(os.environ.get("SECONDS_AN_EPOCH", "0"))
checkpoints = Checkpoints("a" * 64)
last = checkpoints.latest()
first = last[1]["epoch"] + 1 if last else 1
print(f"going on at epoch {first}, writes to {os.environ['RETRAIN_CHECKPOINTS']}")
for epoch in range(first, 5):
    checkpoints.save(epoch, {"weights": np.full(3, epoch)}, {"epoch": epoch})
    checkpoints.finish()
    print(f"epoch {epoch} is done")
    time.sleep(seconds)
checkpoints.remove()
Path("data/model").mkdir(parents=True, exist_ok=True)
Path("data/model/weights").write_text("trained on " + Path("data/library/boot.txt").read_text())
"""
PIPELINE = """\
stages:
  train:
    cmd: python train.py
    deps: [data/library, train.py]
    params: [train]
    outs: [data/model]
  score:
    cmd: mkdir -p data/scores && wc -c < data/model/weights > data/scores/metrics.json
    deps: [data/model]
    metrics:
      - data/scores/metrics.json: {cache: false}
  identify:
    cmd: cp data/model/weights data/identified.parquet
    deps: [data/model]
    outs: [data/identified.parquet]
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with origin.git and the DVC remote `remote`, into which the library was pushed."""
    world = tmp_path_factory.mktemp("train")
    clone = world / "clone"
    clone.mkdir()
    with surroundings(clone):
        write(".dvc/config", "")
        dvc("remote", "add", "--default", "store", str(world / "remote"))
        dvc("remote", "modify", "store", "verify", "true")
        write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        write(".gitignore", "__pycache__/\n")
        write("requirements-gpu.lock", "tensorflow==2\n")
        shutil.copy(ROOT / "Makefile", ".")
        write("dvc.yaml", PIPELINE)
        write("train.py", TRAIN)
        shutil.copy(ROOT / "params.yaml", ".")
        write("data/library/boot.txt", "a boot")
        repositories.run("git", "init", "--quiet", "--initial-branch=main")
        dvc("add", "data/library")
        commit("A library")
        dvc("push")
        repositories.run("git", "switch", "--quiet", "--create", "broken")
        write("train.py", "raise SystemExit('error: the loss is not a number')\n")
        commit("Broken")
        repositories.run("git", "switch", "--quiet", "--create", "cloud", "main")
        dvc("remote", "add", "--default", "azure", "azure://pictures")
        dvc("remote", "modify", "azure", "verify", "true")
        commit("In the cloud")
        repositories.run("git", "clone", "--quiet", "--bare", ".", str(world / "origin.git"))
        repositories.run("git", "switch", "--quiet", "main")
        yield world


class Run:
    """A run of the script.

    Args:
        world: with origin.git and the remote.
        name: of the run.
        work: folder for its local disk.
        variables: of its environment.
    """

    def __init__(self, world: Path, name: str, work: str | None = None, **variables: str) -> None:
        self.world, self.out = world, world / "out" / name
        environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "REPOSITORY": f"file://{world / 'origin.git'}",
            "COMMIT": "main",
            "RUN": name,
            "OUT": str(world / "out"),
            "WORK": str(world / (work or name)),
            **variables,
        }
        self._process = subprocess.Popen(
            [SCRIPT], env=environment, cwd=world, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def log(self) -> str:
        path = self.out / "log.txt"
        return path.read_text() if path.exists() else ""

    def wait_for(self, words: str) -> None:
        """Wait until the log says something while the run goes on."""
        end = time.monotonic() + 120
        while words not in self.log():
            assert time.monotonic() < end, self.log()
            time.sleep(0.05)
        assert self._process.poll() is None

    def processes(self) -> list[psutil.Process]:
        script = psutil.Process(self._process.pid)
        return [script, *script.children(recursive=True)]

    def finish(self) -> tuple[int, str]:
        """Give its status and what it printed."""
        printed, _ = self._process.communicate(timeout=240)
        return self._process.returncode, printed

    def kept(self) -> list[str]:
        """Name the checkpoints that were kept."""
        return [path.name for path in (self.out / "checkpoints").glob("*/*")]


def origin(world: Path, *arguments: str) -> str:
    return repositories.run("git", "--git-dir", str(world / "origin.git"), *arguments)


def test_a_run_is_made_pushed_and_written_back_with_its_settings_and_identify_is_made_of_it(world):
    settings = "split.minimum=35 train.weights=null"
    run = Run(world, "one", BATCH_SIZE="8", NUM_EPOCHS="3", SETTINGS=settings, TARGETS="score")
    status, printed = run.finish()
    assert status == 0, printed
    assert run.log() == printed
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ ", line) for line in printed.splitlines())
    assert b"trained on a boot" in {path.read_bytes() for path in (world / "remote").rglob("*") if path.is_file()}
    params = yaml.safe_load(origin(world, "show", "runs/one:params.yaml"))
    assert [params["train"][key] for key in ("batch_size", "epochs", "epochs_from_scratch")] == [8, 3, 3]
    assert params["split"]["minimum"] == 35
    lock = yaml.safe_load(origin(world, "show", "runs/one:dvc.lock"))["stages"]
    assert set(lock) == {"train", "score"}
    assert lock["train"]["params"]["params.yaml"]["train"]["batch_size"] == 8
    assert origin(world, "show", "runs/one:data/scores/metrics.json") == "17\n"
    message = origin(world, "log", "-1", "--format=%B", "runs/one")
    assert f"Run one: score\n\nBATCH_SIZE=8 NUM_EPOCHS=3 SETTINGS={settings}" in message
    assert origin(world, "rev-parse", "runs/one^") == origin(world, "rev-parse", "main")
    assert run.kept() == []

    second = Run(world, "two", COMMIT="runs/one", TARGETS="identify")
    status, printed = second.finish()
    assert status == 0, printed
    assert "Running stage 'train'" not in printed
    assert not (world / "two/retrain/data/library").exists()

    repositories.run("git", "clone", "--quiet", "--branch=runs/two", str(world / "origin.git"), str(world / "new"))
    with surroundings(world / "new"):
        dvc("pull")
        assert "up to date" in dvc("status")
        assert Path("data/identified.parquet").read_text() == "trained on a boot"


def test_a_run_that_is_told_to_stop_says_what_it_reached_and_goes_on_on_another_machine(world):
    run = Run(world, "stopped", SECONDS_AN_EPOCH="2")
    run.wait_for("epoch 2 is done")
    script, *children = run.processes()
    script.send_signal(signal.SIGTERM)
    status, printed = run.finish()
    assert status == 128 + signal.SIGTERM
    assert "== SIGTERM while making everything" in printed
    assert "== FAILED while making everything, status 143" in printed
    assert "== reached: Running stage 'train'" in printed
    assert "checkpoints/aaaa" in printed.partition("== checkpoint: ")[2]
    assert run.kept() == ["000000002"]
    assert not [child for child in children if child.is_running()]
    assert "runs/stopped" not in origin(world, "branch", "--list")

    run = Run(world, "stopped", "another disk")
    status, printed = run.finish()
    assert status == 0, printed
    assert "going on at epoch 3" in printed
    assert "runs/stopped" in origin(world, "branch", "--list")
    assert run.kept() == []


def test_a_killed_container_that_is_started_again_on_its_disk_goes_on(world):
    run = Run(world, "killed", SECONDS_AN_EPOCH="2", KEEP_SECONDS="0.2")
    run.wait_for("epoch 2 is done")
    time.sleep(1)
    assert run.kept() == ["000000002"]
    for process in run.processes():
        with suppress(psutil.NoSuchProcess):  # it ended with the one before
            process.kill()
    assert run.finish()[0] == -signal.SIGKILL
    status, printed = Run(world, "killed").finish()
    assert status == 0, printed
    assert "going on at epoch 3" in printed


def test_a_stage_that_fails_fails_the_run_in_its_own_words(world):
    status, printed = Run(world, "failed", COMMIT="broken").finish()
    assert status not in (0, 143)
    assert "error: the loss is not a number" in printed
    assert "== FAILED while making everything" in printed
    assert "checkpoint: none" in printed


def test_without_the_right_to_push_a_branch_the_results_are_in_the_folder(world):
    refuse = "#!/bin/sh\nwhile read old new name; do [ $name != refs/heads/runs/refused ] || exit 1; done\n"
    write(str(world / "origin.git/hooks/pre-receive"), refuse).chmod(0o755)
    run = Run(world, "refused", BATCH_SIZE="8")
    status, printed = run.finish()
    assert status == 0, printed
    assert "no right to push a branch, so they are in" in printed
    results = run.out / "results"
    assert (results / "data/scores/metrics.json").read_text() == "17\n"
    assert "batch_size: 8" in (results / "params.yaml").read_text()
    repositories.run("git", "am", "--quiet", *map(str, results.glob("*.patch")))
    dvc("pull")
    assert "up to date" in dvc("status")


def test_an_image_of_another_lock_makes_nothing(world):
    write(str(world / "image.lock"), "tensorflow==1\n")
    status, printed = Run(world, "other", IMAGE_LOCK=str(world / "image.lock")).finish()
    assert status not in (0, 143)
    assert "not the one that this image was built from: build the image of this commit" in printed
    assert "parameters:" not in printed


@pytest.mark.skipif(bool(shutil.which("nvidia-smi")), reason="there is a GPU")
def test_without_the_gpu_that_is_wanted_nothing_is_begun(world):
    status, printed = Run(world, "cpu", REQUIRE_GPU="yes").finish()
    assert status not in (0, 143)
    assert "== FAILED while looking for a GPU" in printed
    assert not (world / "cpu/retrain").exists()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"COMMIT": "nothing"}, "FAILED while checking out nothing"),
        ({"REPOSITORY": "file:///nowhere"}, "FAILED while checking out main"),
        ({"BATCH_SIZE": "fifty"}, "train.batch_size: input should be a valid integer, got 'fifty'"),
    ],
)
def test_what_cannot_be_made_is_said_before_it_costs_anything(world, variables, words):
    status, printed = Run(world, f"wrong-{next(iter(variables))}", **variables).finish()
    assert status not in (0, 143)
    assert words in printed
    assert "Running stage" not in printed


def test_machines_that_train_together_know_of_each_other_and_share_checkpoints(world):
    hosts = {"WORKERS": "a.train:2222 b.train:2222"}
    first = Run(world, "together", TARGETS="train", **hosts)
    status, printed = first.finish()
    assert status == 0, printed
    config = '{"cluster": {"worker": ["a.train:2222", "b.train:2222"]}, "task": {"type": "worker", "index": 0}}'
    assert f"train together: {config}" in printed
    assert f"writes to {first.out}/checkpoints" in printed
    second = Run(world, "together", "second", COMMIT="runs/together", JOB_COMPLETION_INDEX="1", **hosts)
    status, printed = second.finish()
    assert '"index": 1}}' in printed
    assert "Running stage" not in printed
    assert (first.out / "log-1.txt").read_text() == printed
    # It takes its part in the stage alone; this small repository has no such pictures.
    assert status not in (0, 143)
    assert "FAILED while making everything" in printed


def test_a_wrong_credential_is_said_before_it_costs_anything(world, azurite):
    azurite.service().create_container("pictures")
    wrong = azurite.connection("AccountKey=d3Jvbmc=")
    status, printed = Run(world, "stranger", COMMIT="cloud", AZURE_STORAGE_CONNECTION_STRING=wrong).finish()
    assert status not in (0, 143)
    assert "== FAILED while checking the remote" in printed
    assert "error: " in printed
    assert "Running stage" not in printed
    assert "d3Jvbmc=" not in printed


def test_words_of_the_environment_become_settings():
    words = " train.seed=8  train.weights=null train.augmentation.mirror=true a.b=1e-3 train.head=new c.d=x=y"
    assert settings({"BATCH_SIZE": "50", "NUM_EPOCHS": "", "SETTINGS": words}) == {
        "train.batch_size": 50,
        "train.seed": 8,
        "train.weights": None,
        "train.augmentation.mirror": True,
        "a.b": 0.001,
        "train.head": "new",
        "c.d": "x=y",
    }
    assert list(settings({"NUM_EPOCHS": "3"})) == ["train.epochs", "train.epochs_from_scratch"]
    with pytest.raises(ParameterError, match=r"SETTINGS: 'seed=8' is no section.key=value"):
        settings({"SETTINGS": "seed=8"})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("train.epochs=3 gate.rules=[]", "gate.rules is of the gate"),
        ("gate.rules.0.at_least=0", "gate.rules.0.at_least is of the gate"),
        ("train.epochs=3 split.minimum=many", "split.minimum: .*got 'many'"),
        ("train.epochs=3 train.epocs=4", "train.epocs is not a parameter"),
        ("train.epochs=3 train=4", "'train=4' is no section.key=value"),
        ("split.minimum=40}", "split.minimum: .*got '40}'"),
    ],
)
def test_a_setting_that_is_refused_leaves_params_as_they_were_and_none_weakens_the_gate(
    workspace, monkeypatch, words, told
):
    before = Path("params.yaml").read_bytes()
    monkeypatch.setenv("SETTINGS", words)
    with pytest.raises(ParameterError, match=told):
        main()
    assert Path("params.yaml").read_bytes() == before


@pytest.mark.parametrize("variable", ["REPOSITORY", "COMMIT", "RUN", "OUT"])
def test_a_variable_that_is_missing_is_named(variable):
    environment = {name: "x" for name in ("REPOSITORY", "COMMIT", "RUN", "OUT") if name != variable}
    done = subprocess.run([SCRIPT], env={"PATH": os.environ["PATH"], **environment}, capture_output=True, text=True)
    assert done.returncode != 0
    assert re.search(rf"{variable}: (says|names) ", done.stderr)


def test_the_script_passes_its_linter():
    subprocess.run(["shellcheck", "--severity=style", SCRIPT], check=True)
