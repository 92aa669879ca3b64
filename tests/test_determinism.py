"""Determinism is switched on before anything is calculated, and off only where params.yaml says so."""

import json
import os
from pathlib import Path

import keras
import pytest
import tensorflow as tf
from worlds import write_model, write_world

from runtime import parameters
from stages import evaluate, identify, train
from stages.models import determinism, networks

pytestmark = pytest.mark.slow
HOW = parameters.Evaluate(batch_size=4, precision="float32")


@pytest.mark.parametrize("stage", [lambda: evaluate.main(), lambda: identify.identify([], HOW), lambda: train.main()])
def test_it_comes_before_a_network_is_built(workspace, monkeypatch, stage):
    write_world(epochs_from_scratch=1)
    write_model("data/model", ["amber", "blue"], seed=1)
    calls = []
    enable = determinism.enable
    monkeypatch.setattr(
        determinism, "enable", lambda *given, **named: [calls.append("enable"), enable(*given, **named)]
    )

    def build(*_):
        calls.append("build")
        raise InterruptedError

    monkeypatch.setattr(networks, "build", build)
    with pytest.raises(InterruptedError):
        stage()
    assert calls[0] == "enable"
    assert calls[-1] == "build"


@pytest.mark.parametrize("deterministic", [True, False])
def test_what_a_run_chose_is_said_in_model_json(workspace, monkeypatch, deterministic):
    switched = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: switched.append(True))
    write_world(train=4, validation=1, epochs_from_scratch=1, deterministic=deterministic)
    train.main()
    assert json.loads(Path("data/model/model.json").read_text())["deterministic"] is deterministic
    assert bool(switched) is deterministic


def test_on_jax_it_is_a_flag_of_the_compiler_given_once(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    determinism.enable(1, deterministic=False)
    assert os.environ["XLA_FLAGS"] == "--xla_a=1"
    determinism.enable(1)
    determinism.enable(1)
    assert os.environ["XLA_FLAGS"] == f"--xla_a=1 {determinism.XLA_FLAG}"
