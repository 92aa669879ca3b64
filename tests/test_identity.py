import shutil
import subprocess
import sys

import numpy
import PIL
import pytest
from conftest import ROOT
from PIL import features
from test_dvc_yaml import closure

from runtime import identity
from runtime.identity import code_identity
from stages import dedup, embed, fingerprint, shard
from stages.training import session

pytestmark = pytest.mark.slow


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A module of a package of its own."""
    monkeypatch.setattr(identity, "ROOT", tmp_path)
    (tmp_path / "painted").mkdir()
    path = tmp_path / "painted/red.py"
    path.write_text("SHADE = 1")
    return path


@pytest.mark.parametrize("modules", [["painted"], ["painted.red"]])
def test_another_line_of_code_is_another_identity(source, modules):
    before = code_identity(modules)
    assert code_identity(modules) == before
    source.write_text("SHADE = 2")
    assert code_identity(modules) != before


def test_only_the_modules_that_are_asked_for_count(source):
    (source.parent / "blue.py").touch()
    before = code_identity(["painted.blue"])
    source.write_text("SHADE = 2")
    assert code_identity(["painted.blue"]) == before


def test_other_settings_are_another_identity():
    assert code_identity([], {"side": 32}) != code_identity([], {"side": 33})


@pytest.mark.parametrize(
    ("owner", "name"), [(features, "version"), (identity, "_version"), (identity.platform, "python_version")]
)
def test_another_version_of_a_library_is_another_identity(owner, name, monkeypatch):
    before = code_identity([])
    monkeypatch.setattr(owner, name, lambda *_: "1.0")
    assert code_identity([]) != before


SCRIPT = """
from pathlib import Path
from runtime.identity import changed_code, code_identity, loaded_code

before, loaded = code_identity(["stages"]), loaded_code()
assert loaded.keys() == {"stages/kept.py", "stages/edited.py", "stages/deleted.py", *NAMES}
assert not changed_code()
Path("stages/edited.py").write_text("SHADE = 2")
Path("stages/deleted.py").unlink()
Path("stages/new.py").touch()
assert changed_code() == ["stages/deleted.py", "stages/edited.py"]
differs = {path for path, digest in loaded_code().items() if loaded.get(path) != digest}
assert differs == {"stages/deleted.py", "stages/edited.py", "stages/new.py"}
print(before, code_identity(["stages"]))
"""


def test_what_was_edited_after_a_process_began_is_of_no_known_identity(tmp_path):
    shutil.copytree(ROOT / "runtime", tmp_path / "runtime")
    (tmp_path / "stages").mkdir()
    for name in ("kept", "edited", "deleted"):
        (tmp_path / f"stages/{name}.py").touch()
    names = [f"runtime/{path.name}" for path in (ROOT / "runtime").glob("*.py")]
    command = [sys.executable, "-c", f"NAMES = {names}{SCRIPT}"]
    before, unknown = subprocess.check_output(command, cwd=tmp_path, encoding="utf-8").split()
    # What a process says that begins after the edit.
    command[-1] = "from runtime.identity import *; print(code_identity(['stages']))"
    after = subprocess.check_output(command, cwd=tmp_path, encoding="utf-8").strip()
    assert len({before, unknown, after}) == 3


def test_of_a_library_that_is_loaded_its_own_word_counts(monkeypatch):
    monkeypatch.setattr(identity, "version", lambda _: "installed since")
    monkeypatch.delitem(sys.modules, "numba", raising=False)
    versions = identity.library_versions()
    assert versions["numpy"] == numpy.__version__
    assert versions["pillow"] == PIL.__version__
    assert versions["numba"] == "installed since"


# What a stage imports and its memo does not depend on: where a table stands, and how a memo is kept.
NOT_COMPUTING = (
    "stages/tables/",
    "stages/memos/",
    "stages/labels/",
    "stages/models/base.py",
    "stages/tables/model.py",
)


@pytest.mark.parametrize(
    ("stage", "modules"),
    [
        ("fingerprint", fingerprint.COMPUTING),
        ("dedup", dedup.COMPARING),
        ("shard", shard.PREPARING),
        ("training/session", session.TRAINING),  # a checkpoint holds nothing of what `train` calculates afterwards
        ("embed", embed.COMPUTING),
    ],
)
def test_what_a_stage_remembers_is_named_by_all_the_code_that_computes_it(stage, modules):
    counted = [module.replace(".", "/") for module in modules]
    for path in closure(f"stages/{stage}.py"):
        computes = not path.startswith(NOT_COMPUTING) and not path.endswith("__init__.py")
        assert not computes or any(path == f"{name}.py" or path.startswith(f"{name}/") for name in counted), path
