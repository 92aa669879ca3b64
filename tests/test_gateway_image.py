"""The gateway's image: what deploy/gateway.Dockerfile copies and its lock installs is enough to answer, and no more."""

import re
import shutil
import subprocess
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from conftest import ROOT
from exports import write_export
from gateways import Gateway
from packaging.utils import canonicalize_name
from test_gateway import RED
from test_supply_chain import LOCKS, requirements

DOCKERFILE = ROOT / "deploy/gateway.Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
LOCK = (ROOT / "requirements-gateway.lock").read_text(encoding="utf-8")
COPIED = re.findall(r"^COPY (?!--from)(\S+) (\S+)$", TEXT, re.MULTILINE)
# Imports of a module fail as where it is not installed.
BLOCK = """
import sys

class Absent:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent)
"""


def entries(text: str) -> dict[str, tuple[str, set[str]]]:
    """Version and hashes by package."""
    parts = [part for part in re.split(r"\n(?=[a-zA-Z0-9])", text) if part[:1].isalnum()]
    return {
        canonicalize_name(re.match(r"[\w.\-]+", part)[0]): (
            re.search(r"==([^\s;]+)", part)[1],
            set(re.findall(r"--hash=(\S+)", part)),
        )
        for part in parts
    }


def test_the_image_keeps_its_rules():
    subprocess.run(["hadolint", "--no-color", DOCKERFILE], check=True)
    assert "--require-hashes --requirement /opt/requirements-gateway.lock" in TEXT
    assert re.search(r"^USER 65532$", TEXT, re.MULTILINE)
    (python,) = re.findall(r"^ARG PYTHON=(\d+\.\d+)-slim-", TEXT, re.MULTILINE)
    (line,) = (line for line in (ROOT / "Makefile").read_text().splitlines() if "requirements-gateway.lock" in line)
    assert f"--python-version {python} " in line
    ignored = DOCKERFILE.with_name(f"{DOCKERFILE.name}.dockerignore").read_text().split()
    assert ignored == ["*", *(f"!{path}" for path, _ in COPIED), "**/__pycache__"]


def test_its_lock_has_what_the_project_s_lock_has_and_no_tensorflow():
    ours, locked = entries(LOCK), entries(LOCKS["requirements.lock"])
    wanted = {
        line for line in (ROOT / "deploy/gateway.in").read_text().split("\n") if line and not line.startswith("#")
    }
    assert wanted <= ours.keys()
    for name, (version, hashes) in ours.items():
        assert version == locked[name][0], name
        assert hashes
        assert hashes <= locked[name][1], name
    assert not [name for name in ours if re.match(r"tensorflow|keras|dvc|jax|torch|nvidia", name)]
    assert len(ours) < len(locked) / 3
    assert "://" not in LOCK


def absent() -> set[str]:
    """The modules that are installed here, and are not in the image."""
    there = {canonicalize_name(one.name) for one in requirements(LOCK)}
    return {
        module
        for module, names in packages_distributions().items()
        if not {canonicalize_name(name) for name in names} & there
    }


@pytest.mark.slow
def test_what_is_copied_and_locked_answers_a_photo_and_writes_nothing_but_the_log(tmp_path):
    code, blocked = tmp_path / "code", tmp_path / "blocked"
    for source, target in COPIED:
        if target.startswith("/opt/retrain/"):
            place = code / target.removeprefix("/opt/retrain/")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / source, place)
    assert (code / "params.yaml").is_file()
    assert (code / "data/advice.yaml").is_file()
    blocked.mkdir()
    (blocked / "sitecustomize.py").write_text(BLOCK.format(names=absent()))
    assert {"tensorflow", "keras", "dvc", "sklearn"} <= absent()
    before = files(code)
    gateway = Gateway(tmp_path / "run", "--model", write_export(tmp_path / "models"))
    settings = dict(re.findall(r"^\s+(PYTHON\w+|NUMBA_CACHE_DIR)=(\S+)", TEXT, re.MULTILINE))
    settings["NUMBA_CACHE_DIR"] = str(tmp_path / Path(settings["NUMBA_CACHE_DIR"]).name)
    gateway.environment |= settings | {"PYTHONPATH": f"{blocked}:{code}"}
    with gateway:
        status, answer = gateway.identify(RED)
        assert (status, answer["answer"]["class"]) == (200, "red")
        assert gateway.get(f"/v1/explain/{answer['transaction']}")[0] == 200
    assert files(code) == before
    assert settings["PYTHONDONTWRITEBYTECODE"] == "1"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
