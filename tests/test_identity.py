import pytest
from PIL import features
from test_dvc_yaml import closure

from runtime import identity
from runtime.identity import code_identity
from stages import dedup, fingerprint, shard
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
    ("owner", "name"), [(features, "version"), (identity, "version"), (identity.platform, "python_version")]
)
def test_another_version_of_a_library_is_another_identity(owner, name, monkeypatch):
    before = code_identity([])
    monkeypatch.setattr(owner, name, lambda *_: "1.0")
    assert code_identity([]) != before


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
        ("train", session.TRAINING),
        ("cross_validate", session.TRAINING),
    ],
)
def test_what_a_stage_remembers_is_named_by_all_the_code_that_computes_it(stage, modules):
    counted = [module.replace(".", "/") for module in modules]
    for path in closure(f"stages/{stage}.py"):
        computes = not path.startswith(NOT_COMPUTING) and not path.endswith("__init__.py")
        assert not computes or any(path == f"{name}.py" or path.startswith(f"{name}/") for name in counted), path
