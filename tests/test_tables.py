import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.splits import SPLITS
from stages.tables.table import MAX_ROWS

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


def column(path: str, name: str, values: pa.Array) -> None:
    """Write a column in place of one of SPLITS, the other columns being empty."""
    others = {other: pa.nulls(len(values), pa.string()) for other in SPLITS.schema.names}
    pq.write_table(pa.table(others | {name: values}), path)


def swap_bytes(path: str, old: bytes, new: bytes) -> None:
    column(path, "image_id", pa.array(["a", "b", "c"]))
    Path(path).write_bytes(Path(path).read_bytes().replace(old, new))


HOSTILE = {
    "more rows than any library": (
        lambda path: column(path, "image_id", pa.nulls(MAX_ROWS + 1, pa.string())),
        r"has 20,000,001 rows, .*expected at most 20,000,000 rows",
    ),
    "another type": (
        lambda path: column(path, "image_id", pa.array([1, 2])),
        "the column image_id should be string, it is int64",
    ),
    "a nested column": (
        lambda path: column(path, "split", pa.array([["a"], ["b"]])),
        "the column split should be string, it is list<",
    ),
    "a row without its key": (
        lambda path: column(path, "image_id", pa.array(["a", None])),
        "has rows without image_id",
    ),
    "no UTF-8": (
        lambda path: column(path, "image_id", pa.Array.from_buffers(
            pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xff\xfe")])),
        r"is damaged, or no Parquet file \(.*UTF8",
    ),
    "a pickle": (
        lambda path: Path(path).write_bytes(b"\x80\x04 and so on, long enough for a footer."),
        r"is damaged, or no Parquet file \(",
    ),
    "an empty file": (lambda path: Path(path).touch(), r"is damaged, or no Parquet file \("),
    "cut off in its middle": (
        lambda path: (column(path, "image_id", pa.array(["a"])), os.truncate(path, 200)),
        r"is damaged, or no Parquet file \(",
    ),
    "no pages": (lambda path: swap_bytes(path, b"PAR1\x15", b"PAR1\xff"), r"is damaged, or no Parquet file \("),
    "a pipe": (os.mkfifo, "is a pipe, not a regular file. Delete it"),
    "a folder": (os.mkdir, "is a folder, not a regular file. Delete it"),
    "a device": (lambda path: Path(path).symlink_to("/dev/zero"), "is a device, not a regular file. Delete it"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_no_table_of_ours_is_refused_in_one_message(workspace, case):
    make, match = HOSTILE[case]
    make(SPLITS.path)
    with pytest.raises(InputError, match=rf"(?s)^data/splits\.parquet:? {match}.*`dvc repro .*split` writes it"):
        SPLITS.read()


def test_rows_are_counted_before_any_is_read(workspace, monkeypatch):
    column(SPLITS.path, "image_id", pa.nulls(MAX_ROWS + 1, pa.string()))
    monkeypatch.delattr(pq.ParquetFile, "read")
    with pytest.raises(InputError, match="20,000,001 rows"):
        SPLITS.read()


def test_a_table_that_would_fill_the_memory_is_refused_before_it_is_read(workspace, monkeypatch):
    monkeypatch.setattr("stages.tables.table.MAX_BYTES", 1000)
    column(SPLITS.path, "image_id", pa.array(["a" * 2000]))
    monkeypatch.delattr(pq.ParquetFile, "read")
    with pytest.raises(InputError, match="MB decompressed; expected at most 20,000,000 rows and 0 MB"):
        SPLITS.read()


def repeated(text: str, num_rows: int) -> pa.Array:
    """Texts that a file stores once, whatever their number."""
    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(num_rows, np.int32)), pa.array([text]))


def write_plainly_typed(path: str, columns: dict[str, pa.Array], schema: pa.Schema) -> None:
    """Write dictionaries as a column of texts: without the schema of Arrow in the file."""
    pq.write_table(pa.table(columns), path, store_schema=False, compression="zstd")
    assert pq.read_schema(path).equals(schema)


def test_a_text_that_is_stored_once_and_stands_in_every_row_is_counted_in_every_row(workspace, monkeypatch):
    long, short = repeated("x" * 100_000, 300_000), repeated("a", 300_000)
    write_plainly_typed(SPLITS.path, {"image_id": long, "class_name": short, "split": short}, SPLITS.schema)
    assert Path(SPLITS.path).stat().st_size < 10_000
    read = pq.ParquetFile.read
    whole = pytest.fail
    monkeypatch.setattr(
        pq.ParquetFile, "read", lambda file, columns: read(file, columns) if len(columns) == 1 else whole("was read")
    )
    with pytest.raises(InputError, match=r"has 300,000 rows, 30,\d+ MB decompressed; expected at most"):
        SPLITS.read()


def test_lists_of_a_text_that_is_stored_once_are_counted_too(tmp_path):
    members = pa.ListArray.from_arrays([0, 300_000], repeated("x" * 100_000, 300_000))
    columns = {"image_id": pa.array(["a"]), "group": pa.array(["a"]), "members": members}
    columns["phash"] = pa.array([1], pa.uint64())
    path = str(tmp_path / "lineage.parquet")
    pq.write_table(pa.table(columns), path, store_schema=False, compression="zstd")
    with pytest.raises(InputError, match=r"has 1 rows, 30,\d+ MB decompressed"):
        LINEAGE.read(path)


def test_texts_that_repeat_within_the_bound_are_read(workspace, monkeypatch):
    monkeypatch.setattr("stages.tables.table.MAX_BYTES", 100_000)
    ids = [f"{number:04}" for number in range(1000)]
    rows = pd.DataFrame({"image_id": ids, "class_name": ["boots", None] * 500, "split": "train"})
    SPLITS.write(rows)  # the rough bound is passed, the exact one is not
    assert SPLITS.read()["class_name"].tolist() == [*rows["class_name"]]
    monkeypatch.setattr("stages.tables.table.MAX_BYTES", 30_000)
    with pytest.raises(InputError, match="has 1,000 rows"):
        SPLITS.read()


def test_a_table_out_of_the_cache_is_checked_like_one_on_the_disk(workspace):
    SPLITS.write(ROWS)
    content = Path(SPLITS.path).read_bytes()
    assert SPLITS.parse(content).equals(SPLITS.read())
    assert SPLITS.parse(content, ["image_id", "split"]).columns.tolist() == ["image_id", "split"]
    with pytest.raises(InputError, match="is damaged, or no Parquet file"):
        SPLITS.parse(content[:-9])
