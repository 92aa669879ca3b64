"""dvc.yaml says what the modules read and write: DVC does not follow imports, so this does."""

import ast
import copy
import re
from functools import reduce
from operator import getitem
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.stage.cache import _get_cache_hash

# Tables are declared one by one: a comment on a column of a report must not retrain.
ONE_BY_ONE = "stages/tables"
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def file_of(module: str) -> str | None:
    path = module.replace(".", "/")
    return next((name for name in (f"{path}.py", f"{path}/__init__.py") if (ROOT / name).is_file()), None)


def imports(path: str) -> set[str]:
    """Files of ours that a file imports itself, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {file for name in names if name.startswith("stages") and (file := file_of(name))}
    return found


def closure(path: str) -> set[str]:
    reached: set[str] = set()
    edge = {path}
    while edge:
        reached |= edge
        edge = {file for found in edge for file in imports(found)} - reached
    return reached


def is_code(path: str) -> bool:
    return path.startswith("stages/")


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def declared_as(path: str, needed: set[str]) -> str:
    """A folder of which a stage needs more than half stands for its modules."""
    folder = Path(path).parent
    if folder in (Path("stages"), Path(ONE_BY_ONE)):
        return path
    num_needed = sum(Path(other).parent == folder for other in needed)
    return str(folder) if 2 * num_needed > len(modules(ROOT / folder)) else path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_modules_that_it_imports(stage):
    """All but those of runtime/, which cannot change a result: parameters are declared as such."""
    needed = {path for path in closure(f"stages/{stage}.py") if Path(path).name != "__init__.py"}
    declared = [path for path in STAGES[stage]["deps"] if is_code(path)]
    assert sorted(declared) == sorted({declared_as(path, needed) for path in needed})


def test_runtime_knows_no_stage():
    """Else a stage would depend on code that it does not declare."""
    for path in modules(ROOT / "runtime"):
        assert not imports(str(path.relative_to(ROOT))), path


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_the_module_of_its_name_and_imports_no_other(stage):
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    others = {f"stages/{name}.py" for name in STAGES if name != stage}
    assert not closure(f"stages/{stage}.py") & others


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_declares_the_parameters_that_it_reads(stage):
    read = re.findall(r"parameters\.read\(parameters\.(\w+)\)", (ROOT / f"stages/{stage}.py").read_text())
    # `export.version` declares one value of a section, so that the others rerun nothing.
    declared = [name.split(".")[0] for name in STAGES[stage].get("params", []) if isinstance(name, str)]
    assert sorted(declared) == sorted({name.lower() for name in read})


def test_every_module_of_stages_is_a_stage_and_what_stages_share_is_a_folder():
    assert {path.stem for path in modules(ROOT / "stages")} == set(STAGES)
    assert not list((ROOT / "stages").rglob("_[a-z]*.py"))


def test_folders_run_no_code_of_their_own():
    for path in (ROOT / "stages").rglob("__init__.py"):
        assert [type(node) for node in ast.parse(path.read_text()).body] == [ast.Expr], path


def outputs(stage: str) -> list[str]:
    listed = [item for kind in ("outs", "metrics", "plots") for item in STAGES[stage].get(kind, [])]
    return [item if isinstance(item, str) else next(iter(item)) for item in listed]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_s_data_are_named_in_its_docstring(stage):
    docstring = ast.get_docstring(ast.parse((ROOT / f"stages/{stage}.py").read_text()))
    reads = docstring.partition("Reads:")[2].partition("Writes:")[0]
    writes = docstring.partition("Writes:")[2].partition("Params:")[0]
    for path in STAGES[stage]["deps"]:
        assert is_code(path) or path in reads, f"{path} is not in Reads:"
    for path in outputs(stage):
        assert path in writes, f"{path} is not in Writes:"


def test_no_path_has_two_writers():
    written = [path for stage in STAGES for path in outputs(stage)]
    assert len(written) == len(set(written))


def test_no_stage_depends_on_a_folder_that_git_and_dvc_hold_in_parts():
    """Where DVC's part has not been pulled, the folder is another, and the stage would run again."""
    written = [path for stage in STAGES for path in outputs(stage)]
    for stage in STAGES.values():
        assert not [dep for dep in stage["deps"] for path in written if path.startswith(f"{dep}/")]


def leaves(value, path=()):
    """Paths of all values in a section of params.yaml."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [leaf for key, inner in items for leaf in leaves(inner, (*path, key))] or [path]


def with_other_value(section, path):
    changed = copy.deepcopy(section)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = "another"
    return changed


@pytest.mark.parametrize("stage", STAGES)
def test_each_parameter_of_a_stage_is_seen_by_the_run_cache(stage):
    """DVC drops keys of some names when it hashes: a change of such a parameter would bring back old outputs."""
    values = yaml.safe_load((ROOT / "params.yaml").read_text())
    declared = [name for name in STAGES[stage].get("params", []) if isinstance(name, str)]
    sections = {name: reduce(getitem, name.split("."), values) for name in declared}
    entry = {"cmd": "a command", "deps": [], "outs": [], "params": {"params.yaml": sections}}
    before = _get_cache_hash(copy.deepcopy(entry), key=True)
    for path in leaves(sections):
        changed = {**entry, "params": {"params.yaml": with_other_value(sections, path)}}
        assert _get_cache_hash(changed, key=True) != before, path
