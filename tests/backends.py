"""Run Python on one of Keras' backends, in a process of its own: a process chooses its backend once."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

BACKENDS = ["tensorflow", "jax"]


def run_on(backend: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments to its end; skip the test where the backend is not installed."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip("JAX is not installed: `pip install .[jax]` in this environment, then this test runs")
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=variables | environment, capture_output=True, text=True)
