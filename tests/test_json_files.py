"""JSON files that are not what they say: refused by their size and form, in one short message."""

import json
import os
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, FiniteFloat, TypeAdapter

from runtime.errors import BaseError, InputError
from runtime.json_files import read_json
from stages.models.description import read_description
from stages.tables.model import MAX_CLASSES, read_label_map

FORM = TypeAdapter(Annotated[dict[str, FiniteFloat], Field(max_length=3)])
REMEDY = "`dvc checkout` brings it back."


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


HOSTILE = {
    "a pipe": (os.mkfifo, "is a pipe, not a regular file"),
    "a folder": (os.mkdir, "is a folder, not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a regular file"),
    "a link to itself": (lambda path: path.symlink_to(path), r"cannot be opened \(Too many levels"),
    "gigabytes": (sparse, "has 1,099,511,627,776 bytes; expected at most 16,777,216"),
    "nothing": (lambda path: path.touch(), "is no list: the file: invalid JSON"),
    "no UTF-8": (lambda path: path.write_bytes(b'{"\\xff": 1}'), "is no list: the file: invalid JSON"),
    "nested": (lambda path: path.write_text("[" * 100_000), "is no list: the file: invalid JSON: recursion limit"),
    "a number of a million digits": (
        lambda path: path.write_text('{"a": 1' + "0" * 10**6 + "}"),
        "is no list: .*number out of range",
    ),
    "NaN": (lambda path: path.write_text('{"a": NaN}'), "is no list: a: input should be a finite number"),
    "infinity": (lambda path: path.write_text('{"a": 1e999}'), "is no list: a: input should be a finite number"),
    "a text": (lambda path: path.write_text('{"a": "1"}'), "is no list: a: input should be a valid number"),
    "too many": (
        lambda path: path.write_text(json.dumps({str(number): 1 for number in range(100_000)})),
        "is no list: the file: dictionary should have at most 3 items",
    ),
    "a long key": (lambda path: path.write_text('{"' + 10**6 * "a" + '": ""}'), "is no list: a{60}"),
    "much that is wrong": (
        lambda path: path.write_text('{"a": "", "b": "", "c": ""}'),
        "is no list: a: .*; b: .*; c: ",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_of_another_kind_size_or_form_is_refused_in_one_short_message(tmp_path, case):
    make, match = HOSTILE[case]
    path = tmp_path / "x.json"
    make(path)
    with pytest.raises(BaseError, match=rf"x\.json {match}.*`dvc checkout` brings it back") as raised:
        read_json(path, FORM, "list", REMEDY, BaseError)
    assert len(str(raised.value)) < 500
    assert "\n" not in str(raised.value)


def test_only_the_first_problems_are_shown(tmp_path):
    (tmp_path / "x.json").write_text(json.dumps({str(number): "" for number in range(7)}))
    with pytest.raises(InputError, match=r"0: .*; 1: .*; 2: [^;]*; and 4 more\. "):
        read_json(tmp_path / "x.json", TypeAdapter(dict[str, int]), "list", REMEDY)


def description(**changed: object) -> str:
    plain = {"format": 1, "network": "small", "size": 32, "weights_sha256": 64 * "0", "sub_classes": {"a": ["a"]}}
    return json.dumps(plain | changed)


MODELS = {
    "pixels": (description(size=100_000), "size: input should be less than or equal to 1024"),
    "negative pixels": (description(size=-1), "size: input should be greater than or equal to 1"),
    "classes": (
        description(sub_classes={str(number): [] for number in range(MAX_CLASSES + 1)}),
        "sub_classes: dictionary should have at most 50000 items",
    ),
    "a name": (description(sub_classes={"a": [10_000 * "a"]}), r"sub_classes\.a\.0: string should have at most 1000"),
}


@pytest.mark.parametrize("case", MODELS)
def test_a_description_of_a_model_that_nobody_could_train_is_refused(tmp_path, case):
    content, match = MODELS[case]
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(BaseError, match=rf"model\.json is no description of a model: {match}.*`dvc checkout"):
        read_description(tmp_path, BaseError)


def test_a_label_map_of_too_many_classes_is_refused(tmp_path):
    (tmp_path / "classes.json").write_text(json.dumps(list(map(str, range(MAX_CLASSES + 1)))))
    with pytest.raises(InputError, match="list should have at most 50000 items"):
        read_label_map(tmp_path / "classes.json", REMEDY)
