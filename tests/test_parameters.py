from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.utils.hydra import apply_overrides
from hypothesis import given
from hypothesis import strategies as st

from runtime import parameters
from runtime.errors import ParameterError


def edit(workspace, old, new):
    path = workspace / "params.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_the_committed_parameters_are_read(workspace):
    assert parameters.read(parameters.Split).minimum == 40


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "  minimum: 40",
            "  minimun: 40",
            r"split\.minimum is missing; split\.minimun is not a parameter \(misspelt\?\)",
        ),
        ("  minimum: 40", "  minimum: forty", r"split\.minimum: input should be a valid integer, got 'forty'"),
        ("  minimum: 40", "  minimum: 1", r"split\.minimum: input should be greater than or equal to 2, got 1"),
        ("  minimum: 40", "  minimum: 200", r"split: value error, minimum 200 is above maximum 125"),
        ("test_fraction: 0.0", "test_fraction: 0.9", r"split: value error, .* leave nothing to train with"),
        ("split:", "spilt:", r"split is missing; spilt is not a parameter"),
        ("codec: webp", "codec: jpeg", r"shard\.codec: input should be 'png' or 'webp', got 'jpeg'"),
        ("rotation: 12.0", "rotation: 300.0", r"train\.augmentation\.rotation: .* less than or equal to 180"),
        ("at_least: 0.80", "minimum: 0.80", r"gate\.rules\.0\.minimum is not a parameter"),
        ("side: 32", "side: {", r"params\.yaml is not YAML"),
    ],
)
def test_a_wrong_parameter_is_named(workspace, old, new, message):
    edit(workspace, old, new)
    with pytest.raises(ParameterError, match=message):
        parameters.read(parameters.Split)


def test_outside_the_repository_the_message_says_where_to_go(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match="run this in the root of the repository"):
        parameters.read(parameters.Split)


@pytest.mark.parametrize("override", ["split.minimum=35", "train.head=new", "gate.rules.0.at_least=0.9"])
def test_an_experiment_s_parameter_changes_one_line_of_the_file(workspace, override):
    apply_overrides("params.yaml", [override])
    lines = zip(
        (ROOT / "params.yaml").read_text().splitlines(), Path("params.yaml").read_text().splitlines(), strict=True
    )
    assert sum(before != after for before, after in lines) == 1
    parameters.read(parameters.Split)


TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@given(value=st.integers(1, 999))
def test_changing_a_number_changes_its_digits_and_nothing_else(value):
    start = TEXT.index("version: ", TEXT.index("\nexport:")) + len("version: ")
    rest = TEXT[start:].lstrip("0123456789")
    assert parameters.changed(TEXT, {"export.version": value}) == TEXT[:start] + str(value) + rest


@pytest.mark.slow
@given(
    key=st.sampled_from(["train.weights", "train.augmentation.mirror", "gate.rules.1.at_most", "shard.codec"]),
    value=st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
)
def test_any_value_is_read_again_as_it_was_set_and_nothing_else_changes(key, value):
    text = parameters.changed(TEXT, {key: value})
    node = yaml.safe_load(TEXT)
    *parents, last = [int(part) if part.isdigit() else part for part in key.split(".")]
    inner = node
    for part in parents:
        inner = inner[part]
    before, inner[last] = inner[last], value
    assert yaml.safe_load(text) == node
    assert parameters.changed(text, {key: before}) == TEXT


def test_null_stands_as_dvc_writes_it():
    text = parameters.changed(TEXT, {"train.weights": "a.weights.h5"})
    assert "  weights: a.weights.h5 # a .weights.h5 of the same network" in text
    assert parameters.changed(text, {"train.weights": None}) == TEXT


@pytest.mark.parametrize(
    "text",
    ["export: {version: 7}", "version: 1\r\nexport:\r\n  version: 7   # r\u00e4ise\r\n", "export:\n  'version': 7\n"],
)
def test_a_number_is_found_however_it_is_written(text):
    raised = parameters.changed(text, {"export.version": 8})
    assert yaml.safe_load(raised)["export"]["version"] == 8
    assert raised == text.replace("7", "8")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("export.versoin", 8, r"export\.versoin is not a parameter \(misspelt\?\)"),
        ("export.version.major", 8, r"export\.version\.major is not a parameter"),
        ("gate.rules.6.at_least", 1, r"gate\.rules\.6\.at_least is not a parameter"),
        ("gate.rules", None, r"gate\.rules is a section or a list: set one of its values"),
        ("gate", None, r"gate is a section or a list"),
        ("export.version", 1000, r"export\.version: .*less than or equal to 999, got 1000"),
        ("train.head", True, r"train\.head: .*got True"),
    ],
)
def test_a_change_that_is_refused_writes_nothing(workspace, key, value, message):
    before = Path("params.yaml").read_bytes()
    with pytest.raises(ParameterError, match=message):
        parameters.change({"split.minimum": 35, key: value})
    assert Path("params.yaml").read_bytes() == before


@pytest.mark.parametrize("numbers", [[], [0], [5], [1, 2, 4], [0, 1, 2, 3, 4, 5]])
def test_entries_of_a_list_are_taken_out_and_nothing_else_changes(numbers):
    text = parameters.without(TEXT, "gate.rules", numbers)
    expected = yaml.safe_load(TEXT)
    expected["gate"]["rules"] = [rule for number, rule in enumerate(expected["gate"]["rules"]) if number not in numbers]
    assert yaml.safe_load(text) == expected
    assert [line for line in TEXT.splitlines() if "#" in line] == [line for line in text.splitlines() if "#" in line]


def test_a_list_on_one_line_is_not_changed():
    with pytest.raises(ParameterError, match="gate.rules is no list with a line for each entry"):
        parameters.without("gate:\n  rules: [{set: test}]\n", "gate.rules", [0])


def test_several_values_are_changed_at_once_and_line_ends_stay(workspace):
    Path("params.yaml").write_bytes(TEXT.replace("\n", "\r\n").encode())
    parameters.change({"split.minimum": 35, "train.learning_rate": 1e-05, "score.confidence": "temperature"})
    changed = TEXT.replace("minimum: 40", "minimum: 35").replace("learning_rate: 0.0005", "learning_rate: 1.0e-05")
    changed = changed.replace("confidence: softmax", "confidence: temperature")
    assert Path("params.yaml").read_bytes() == changed.replace("\n", "\r\n").encode()
