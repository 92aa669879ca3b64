"""The reports of data/scores that are not what they say: each is refused in one message, whoever reads it."""

import json
import os
from pathlib import Path

import pytest

from release.promote import require_pass
from review import page, summary
from review.reports import MAX_BYTES, parse_report, read_report
from runtime.errors import BaseError, InputError
from stages.models.base import BASE_VERSION, base_version
from stages.tables.documents import (
    parse_gate,
    parse_metrics,
    read_calibration,
    read_gate,
    read_metrics,
    read_wanted_error,
)
from stages.tables.scores import CALIBRATION, FIGURE_COLUMNS, FIGURES, FOLDER, GATE, METRICS, WANTED_ERROR

RULING = {"set": "test", "metric": "coverage", "passed": True, "why": "so it is"}
GATES = {
    "another verdict": ({"verdict": "maybe", "rules": []}, "verdict: input should be 'yes' or 'no'"),
    "no rules": ({"verdict": "yes"}, "rules: field required"),
    "rules in words": ({"verdict": "yes", "rules": "none"}, "rules: input should be a valid "),
    "a rule in words": (
        {"verdict": "yes", "rules": [RULING | {"passed": "yes"}]},
        r"rules\.0\.passed: input should be",
    ),
    "no reason": ({"verdict": "no", "rules": [{"set": "test"}]}, r"rules\.0\.metric: field required; "),
}


@pytest.fixture
def folder(workspace):
    Path(FOLDER).mkdir(parents=True)


@pytest.mark.parametrize("case", GATES)
def test_a_verdict_that_is_none_is_refused(folder, case):
    value, match = GATES[case]
    Path(GATE).write_text(json.dumps(value))
    with pytest.raises(InputError, match=rf"gate\.json is no verdict of the gate: {match}.*`git checkout` brings it"):
        read_gate()
    with pytest.raises(InputError, match=r"model-007:gate\.json is no verdict of the gate"):
        parse_gate(json.dumps(value), "model-007:gate.json")


def test_a_verdict_keeps_what_it_says_besides(folder):
    gate = {"verdict": "yes", "rules": [RULING | {"interval": [0.1, 0.2], "figure": None}]}
    assert parse_gate(json.dumps(gate), GATE) == gate
    require_pass(gate, "")


@pytest.mark.parametrize("text", ['{"test": 1}', '{"test": {"auc": NaN}}', '{"test": {"auc": "1"}}', "[]", ""])
def test_metrics_that_are_no_numbers_are_refused(folder, text):
    Path(METRICS).write_text(text)
    with pytest.raises(InputError, match=r"metrics\.json is no table of metrics: "):
        read_metrics()
    assert parse_metrics('{"test": {"num_pictures": 3, "auc": null}}', METRICS) == {
        "test": {"num_pictures": 3, "auc": None}
    }


@pytest.mark.parametrize("temperature", ["-1", "0", "NaN", "1e999", '"1"', "null", "[1]"])
def test_a_temperature_that_no_confidence_could_have_is_refused(folder, temperature):
    Path(CALIBRATION).write_text(f'{{"applied": true, "temperature": {temperature}}}')
    with pytest.raises(BaseError, match=r"calibration\.json is no calibration: .*`dvc checkout` does it"):
        read_calibration(CALIBRATION, "`dvc checkout` does it.", BaseError)


@pytest.mark.parametrize("version", ["-1", "1000", "1.5", '"1"', "null", "1e3", "[" * 500])
def test_a_base_of_no_version_is_refused(folder, version):
    Path(BASE_VERSION).write_text(f'{{"version": {version}}}')
    with pytest.raises(
        BaseError, match=r'version\.json is no \{"version": number\}: .*`dvc checkout --force data/base`'
    ):
        base_version()


@pytest.mark.parametrize("read", [read_gate, read_metrics, read_wanted_error, summary.main, page._verdict])
def test_a_pipe_keeps_nobody_waiting(folder, read):
    for path in (GATE, METRICS, WANTED_ERROR):
        os.mkfifo(path)
    with pytest.raises(InputError, match=r"data/scores/\w+\.json is a pipe, not a regular file"):
        read()


REPORTS = {
    "a column less": (b"model,num_pictures\nnew,3\n", "row 1 lacks the columns set"),
    "a field less": (b"model,num_pictures,set\nnew,3\n", "row 1 lacks the columns set"),
    "a field more": (b"model,set,num_pictures\nnew,test,3,4\n", "row 1: None should be a number"),
    "a field less at the end": (b"model,set,num_pictures\nnew,test\n", "row 1 lacks the columns num_pictures"),
    "a fraction of a picture": (
        b"model,set,real\nnew,test,158.5\n",
        "row 1: real should be a whole number, it is '158.5'",
    ),
    "no count": (b"model,set,train\nnew,test,\n", "row 1: train should be a whole number, it is ''"),
    "a negative count": (b"model,set,test\nnew,test,-3\n", "row 1: test should be a whole number, it is '-3'"),
    "a count without end": (b"model,set,real\nnew,test," + 13 * b"9", "row 1: real should be a whole number"),
    "a word": (b"model,set,num_pictures\nnew,test,many\n", "row 1: num_pictures should be a number, it is 'many'"),
    "NaN": (b"model,set,num_pictures\nnew,test,nan\n", "row 1: num_pictures should be a number, it is 'nan'"),
    "no UTF-8": (b"model,set\n\xff,test\n", "is no CSV in UTF-8: "),
    "a long field": (b"model,set\nnew," + 200_000 * b"a", "is no CSV in UTF-8: field larger than field limit"),
    "an open quotation mark": (b'model,set\n"new,test', "is no CSV in UTF-8: unexpected end of data"),
}


@pytest.mark.parametrize("case", REPORTS)
def test_a_report_that_is_none_is_refused(case):
    content, match = REPORTS[case]
    with pytest.raises(InputError, match=rf"^figures\.csv,? {match}.*`make repro` writes it"):
        parse_report(content, "figures.csv", ("model", "set"))


def test_a_report_is_a_regular_file_that_fits_in_memory(folder):
    Path(FIGURES).touch()
    assert read_report(FIGURES, FIGURE_COLUMNS) == []
    os.truncate(FIGURES, MAX_BYTES + 1)
    with pytest.raises(InputError, match="has 67,108,865 bytes; expected at most 67,108,864"):
        read_report(FIGURES, FIGURE_COLUMNS)
