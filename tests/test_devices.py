import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from worlds import digests, write_world

from runtime.errors import ParameterError
from stages import train
from stages.models import files
from stages.training.devices import Devices, together

pytestmark = pytest.mark.slow


def process(folder: Path | str = ".", **environment: str) -> subprocess.Popen:
    known = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment}
    command = [sys.executable, "-m", "stages.train"]
    return subprocess.Popen(command, cwd=folder, env=known, stderr=subprocess.PIPE, text=True)


def log_of(finished: subprocess.Popen) -> str:
    _, log = finished.communicate()
    assert finished.returncode == 0, log
    return log


def machines(checkpoints: dict[str, Path]) -> list[subprocess.Popen]:
    """Start one worker in each folder, as the machines of one cluster, each with its folder of checkpoints."""
    with ExitStack() as stack:
        free = [stack.enter_context(socket.socket()) for _ in checkpoints]
        for each in free:
            each.bind(("localhost", 0))
        addresses = [f"localhost:{each.getsockname()[1]}" for each in free]
    return [
        process(
            folder,
            TF_CONFIG=json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": number}}),
            RETRAIN_CHECKPOINTS=str(its_checkpoints),
        )
        for number, (folder, its_checkpoints) in enumerate(checkpoints.items())
    ]


def test_two_devices_calculate_what_one_does():
    done = subprocess.run([sys.executable, ROOT / "tests/replicas.py"], capture_output=True, text=True, check=True)
    figures_by_devices = json.loads(done.stdout)
    for name, figures in figures_by_devices["one"].items():
        assert figures_by_devices["two"][name] == pytest.approx(figures, abs=1e-6), name


def test_two_machines_train_the_model_of_two_devices_killed_or_not(workspace):
    write_world(epochs_from_scratch=3, devices=2, augmentation={"mirror": True, "rotation": 0.0, "zoom": 0.0})
    second, shared, own = (workspace.with_name(f"{workspace.name}_{name}") for name in ("second", "shared", "own"))
    shutil.copytree(".", second)
    log_of(process())
    model_of_two_devices = digests("data/model")
    shutil.rmtree("data/model")

    killed = machines({".": shared, str(second): shared})
    while not list(shared.glob("*/00000000[1-9]")) and killed[0].poll() is None:
        time.sleep(0.01)
    for each in killed:
        each.send_signal(signal.SIGKILL)
        each.communicate()
    assert not Path("data/model").exists()

    for each in machines({".": shared, str(second): own}):
        _, log = each.communicate()
        assert each.returncode == 1, log
        assert "error: The machines in TF_CONFIG found different checkpoints, this one that of step" in log

    logs = [log_of(each) for each in machines({".": shared, str(second): shared})]
    assert all("goes on after epoch" in log for log in logs)
    assert digests("data/model") == model_of_two_devices
    assert not Path(second, "data/model").exists()
    assert not list(shared.iterdir())


def test_what_cannot_be_shared_is_refused_by_the_parameters_name(monkeypatch):
    with pytest.raises(ParameterError, match=r"train.batch_size 30 cannot be shared evenly by train.devices 4\. Make"):
        together(4, 30, "float32", 1).__enter__()
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(ParameterError, match="train.devices 2: only Keras' backend tensorflow trains on several"):
        together(2, 8, "float32", 1).__enter__()
    monkeypatch.setenv("TF_CONFIG", "{}")
    with pytest.raises(ParameterError, match="train.devices 1 with TF_CONFIG: only Keras' backend tensorflow"):
        together(1, 8, "float32", 1).__enter__()


@pytest.mark.parametrize(("device", "precision"), [("cpu", "bfloat16"), ("gpu", "bfloat16"), ("cpu", "float32")])
def test_bfloat16_is_refused_with_jax_on_a_cpu_alone(monkeypatch, device, precision):
    jax = SimpleNamespace(default_backend=lambda: device, config=SimpleNamespace(update=lambda *_: None))
    monkeypatch.setitem(sys.modules, "jax", jax)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("XLA_FLAGS", "")
    refused = pytest.raises(ParameterError, match="train.precision bfloat16: JAX on a CPU gave scores that are no numb")
    with refused if (device, precision) == ("cpu", "bfloat16") else nullcontext(), together(1, 8, precision, 1):
        pass


def test_one_device_takes_the_whole_batch_and_agrees_with_itself():
    order = np.arange(6)
    assert Devices().share(order, 4) == (order, 4) or Devices().share(order, 4)[0] is order
    assert Devices().agree(7)
    assert Devices().is_chief


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_in_half_precision_weights_stay_float32_and_a_loss_scale_guards_float16(workspace, monkeypatch, precision):
    made = []
    optimizers = set()
    compiled = keras.Model.compile

    def spy(self, optimizer, **others):
        optimizers.add(type(optimizer).__name__)
        compiled(self, optimizer, **others)

    monkeypatch.setattr(keras.Model, "compile", spy)
    for chosen in ("float32", precision):
        write_world(epochs_from_scratch=2, precision=chosen)
        train.main()
        made.append(files.load(Path("data/model")).network.get_weights())
    assert keras.config.dtype_policy().name == "float32"
    assert {weight.dtype for weight in made[1]} == {np.dtype(np.float32)}
    differences = [np.abs(one - other).max() for one, other in zip(*made, strict=True)]
    assert max(differences) > 0
    assert np.isfinite(pd.read_csv("data/model/history.csv").to_numpy()).all()
    assert optimizers == ({"AdamW", "LossScaleOptimizer"} if precision == "float16" else {"AdamW"})
