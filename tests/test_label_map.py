import pytest

from runtime.errors import BaseError, InputError
from stages.tables.model import parse_label_map, read_label_map

REMEDY = "`dvc repro evaluate` writes it."


def test_a_label_map_is_read_in_its_order(tmp_path):
    (tmp_path / "classes.json").write_text('["b", "a", "鳥"]', encoding="utf-8")
    assert read_label_map(tmp_path / "classes.json", REMEDY) == ["b", "a", "鳥"]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "is no list of class names: the file: invalid JSON"),
        ('["a"', "is no list of class names: the file: invalid JSON"),
        ('{"a": 1}', "is no list of class names: the file: input should be a valid array"),
        ('["a", 1]', "is no list of class names: 1: input should be a valid string"),
        ('["a", ""]', "is no list of class names: 1: string should have at least 1 character"),
        ('["a", "b", "a"]', "names a class twice"),
        ("[]", "is an empty list; expected at least one class name"),
    ],
)
def test_what_is_no_label_map_is_refused_with_the_file_and_the_way_out(content, match):
    with pytest.raises(BaseError, match=rf"data/classes\.json {match}.*`dvc repro evaluate` writes it"):
        parse_label_map(content.encode(), "data/classes.json", REMEDY, BaseError)


def test_an_empty_list_may_say_that_there_is_no_model():
    assert parse_label_map(b"[]", "base_classes.json", REMEDY, may_be_empty=True) == []


def test_an_absent_label_map_is_named(tmp_path):
    with pytest.raises(InputError, match="classes.json is not there: `dvc repro evaluate` writes it"):
        read_label_map(tmp_path / "classes.json", REMEDY)
