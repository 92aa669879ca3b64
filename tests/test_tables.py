import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS

ROWS = pd.DataFrame({"image_id": ["b", "a", "c"], "class_name": ["x", None, "y"], "split": ["train", "out", "test"]})


@given(st.permutations(range(3)))
def test_rows_are_written_in_one_order_whatever_order_they_come_in(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("tables")
    SPLITS.write(ROWS, str(folder / "one"))
    SPLITS.write(ROWS.iloc[list(order)].assign(more=1), str(folder / "two"))
    assert (folder / "one").read_bytes() == (folder / "two").read_bytes()
    assert SPLITS.read(str(folder / "two"))["image_id"].tolist() == ["a", "c", "b"]


def test_two_rows_with_one_key_are_refused(tmp_path):
    with pytest.raises(ValueError, match="rows share the key"):
        SPLITS.write(pd.concat([ROWS, ROWS]), str(tmp_path / "splits"))


def test_an_absent_table_says_which_stage_writes_it(workspace):
    with pytest.raises(InputError, match="data/images.parquet is not there: `dvc repro merge` writes it"):
        IMAGES.read()


def test_a_table_without_a_column_says_so(workspace):
    SPLITS.write(ROWS, "data/images.parquet")
    with pytest.raises(InputError, match="lacks the columns path, sub_class"):
        IMAGES.read()


def test_a_hash_of_64_bits_keeps_its_bits_beside_missing_ones(tmp_path):
    rows = pd.DataFrame({"path": ["a", "b"], "phash": pd.array([2**64 - 1, None], dtype="UInt64")})
    rows = rows.reindex(columns=IMAGES.schema.names)
    IMAGES.write(rows, str(tmp_path / "images"))
    assert IMAGES.read(str(tmp_path / "images"))["phash"].tolist() == [2**64 - 1, pd.NA]
