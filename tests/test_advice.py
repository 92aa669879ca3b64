"""What users are told: a text for every fault, and nothing that nobody would ever be told."""

import pytest
import yaml
from conftest import ROOT

from runtime.errors import InstructionError
from serving.advice import read_advice
from stages.images.faults import FAULTS

OURS = ROOT / "data/advice.yaml"


def test_the_texts_that_we_ship_advise_on_each_fault_on_several_and_on_none():
    advice = read_advice(OURS)
    assert advice.texts([], True) == [advice.general]
    assert advice.texts([], False) == [advice.out_of_scope]
    assert advice.texts(["dark", "tiny"], True) == [advice.faults["dark"], advice.faults["tiny"]]
    assert len({*advice.faults.values(), advice.general, advice.out_of_scope}) == len(FAULTS) + 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it["faults"].pop("dark"), "dark is missing or unknown"),
        (lambda it: it["faults"].update(foggy="It is foggy."), "foggy is missing or unknown"),
        (lambda it: it["faults"].update(dark=""), "faults.dark: String should have at least 1 character"),
        (lambda it: it.update(classes={"cat": {"special": "frown"}}), "classes.cat.special"),
        (lambda it: it.pop("general"), "general: Field required"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(tmp_path, change, words):
    content = yaml.safe_load(OURS.read_text())
    change(content)
    (tmp_path / "advice.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(InstructionError, match=words):
        read_advice(tmp_path / "advice.yaml")


def test_a_file_that_is_no_yaml_or_absent_is_said(tmp_path):
    for text in ("a: [", "general: 2026-02-30", f"general: {'[' * 3000}"):
        (tmp_path / "advice.yaml").write_text(text)
        with pytest.raises(InstructionError, match="is not YAML"):
            read_advice(tmp_path / "advice.yaml")
    with pytest.raises(InstructionError, match="is not there"):
        read_advice(tmp_path / "absent.yaml")
