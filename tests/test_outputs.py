import pytest

from runtime.outputs import whole, write_json


def test_what_fails_half_way_leaves_what_stood_there(tmp_path):
    (tmp_path / "table").write_text("old")
    with pytest.raises(KeyError), whole(tmp_path / "table") as partial:
        partial.write_text("half")
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["table"]
    assert (tmp_path / "table").read_text() == "old"


def test_a_folder_is_replaced_whole(tmp_path):
    for name in ("first", "second"):
        with whole(tmp_path / "out" / "folder") as partial:
            partial.mkdir()
            (partial / name).touch()
    assert [path.name for path in (tmp_path / "out/folder").iterdir()] == ["second"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["folder"]


def test_json_keeps_its_order_and_refuses_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": "ü"})
    assert (tmp_path / "a.json").read_text() == '{\n  "b": 1,\n  "a": "ü"\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
