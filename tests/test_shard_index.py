"""An index and shards that do not fit together, or are not what they say: no other picture is ever read for one."""

import os
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runtime.errors import InputError
from stages.shards.index import MAX_PICTURE_BYTES, MAX_SHARD_BYTES, fault, parse_index, read_index
from stages.shards.tars import ShardReader, write_shard
from stages.tables.shards import FOLDER, INDEX

NAMES = [letter * 32 for letter in "abcd"]
CONTENTS = [name.encode() * (100 + number) for number, name in enumerate(NAMES)]


@pytest.fixture
def index(workspace):
    """Two shards of two pictures each; one of them is the first's size, so that a swap shows by name alone."""
    Path(FOLDER).mkdir()
    rows = []
    for number in range(2):
        names, contents = NAMES[2 * number :][:2], [CONTENTS[0], CONTENTS[number]]
        shard = f"{number:05d}.tar"
        members = zip((f"{name}.webp" for name in names), contents, strict=True)
        extents = write_shard(Path(FOLDER, shard), members)
        rows += [(name, shard, *extent) for name, extent in zip(names, extents, strict=True)]
    return pd.DataFrame(rows, columns=INDEX.schema.names)


def read_all(index: pd.DataFrame) -> list[bytes]:
    INDEX.write(index)
    with ShardReader(FOLDER, read_index()) as reader:
        return [reader.encoded(name) for name in sorted(index["image_id"])]


def with_value(name: str, value: object):
    return lambda index: index.assign(**{name: index[name].where(index.index != 1, value)})


def swapped(index: pd.DataFrame) -> pd.DataFrame:
    names = index["image_id"].tolist()
    return index.assign(image_id=[names[1], names[0], *names[2:]])


UNTRUE = {
    "a path": (with_value("shard", "../../secret"), r"names the shard '\.\./\.\./secret', where 00000\.tar"),
    "an absolute path": (with_value("shard", "/dev/stdin"), "names the shard '/dev/stdin'"),
    "another name": (with_value("shard", "0.tar.gz"), "names the shard '0.tar.gz'"),
    "digits of another script": (with_value("shard", 5 * "\u0660" + ".tar"), "names the shard"),
    "no shard": (with_value("shard", None), "has empty fields"),
    "no offset": (with_value("offset", None), "has empty fields"),
    "a negative offset": (with_value("offset", -512), "has the picture b{32} at -512, 3200 bytes: no tar does"),
    "the largest offset": (with_value("offset", 2**63 - 512), "has the picture b{32} at 9223372036854775296, "),
    "a header": (with_value("offset", 0), "has the picture b{32} at 0, 3200 bytes"),
    "between two blocks": (with_value("offset", 5000), "has the picture b{32} at 5000, 3200 bytes"),
    "a negative size": (with_value("size", -1), "has the picture b{32} at 4608, -1 bytes"),
    "a size of gigabytes": (with_value("size", 2**35), "has the picture b{32} at 4608, 34359738368 bytes"),
    "the same place": (with_value("offset", 512), "has the pictures a{32} and b{32} overlap"),
    "part of another": (with_value("offset", 1024), "has the pictures a{32} and b{32} overlap"),
    "the next one's header": (
        lambda index: index.assign(size=[4000, *index["size"][1:]]),
        "has the pictures a{32} and b{32} overlap",
    ),
}


@pytest.mark.parametrize("case", UNTRUE)
def test_an_index_that_no_shards_could_have_is_refused_in_one_message(index, case):
    change, match = UNTRUE[case]
    INDEX.write(change(index))
    with pytest.raises(InputError, match=rf"^data/shards/index\.parquet {match}.*`dvc checkout --force data/shards`"):
        read_index()
    with pytest.raises(InputError, match=match):
        parse_index(Path(INDEX.path).read_bytes())


def test_a_base_s_index_says_how_the_base_comes_back(index):
    INDEX.write(index.assign(size=-1), "data/base/shards/index.parquet")
    with pytest.raises(InputError, match=r"`dvc checkout --force data/base/shards/index\.parquet` brings it back"):
        read_index("data/base/shards/index.parquet")


def test_a_picture_that_an_index_has_twice_is_refused(index):
    twice = index.assign(image_id=index["image_id"].replace(NAMES[3], NAMES[0]))
    pq.write_table(pa.Table.from_pandas(twice, INDEX.schema, preserve_index=False), INDEX.path)
    with pytest.raises(InputError, match="has the picture a{32} twice"):
        read_index()


def test_an_index_that_may_be_true_has_no_fault(index):
    assert fault(index) is None
    assert fault(index.head(0)) is None
    largest = index.head(1).assign(offset=MAX_SHARD_BYTES, size=MAX_PICTURE_BYTES)
    assert fault(largest) is None


UNFIT = {
    "two rows swapped": (swapped, "holds 'b{32}.webp' where the index has 3,200 bytes of the picture a{32}"),
    "another shard": (
        lambda index: index.assign(shard=index["shard"].replace({"00000.tar": "00001.tar", "00001.tar": "00000.tar"})),
        "holds 'c{32}.webp' where the index has 3,200 bytes of the picture a{32}",
    ),
    "another size": (with_value("size", 3100), "holds 'b{32}.webp' where the index has 3,100 bytes"),
    "beyond the end": (with_value("offset", 2**30), "has 10,240 bytes, where the index has a picture that ends at"),
}


@pytest.mark.parametrize("case", UNFIT)
def test_a_shard_that_holds_another_picture_is_refused(index, case):
    change, match = UNFIT[case]
    with pytest.raises(InputError, match=rf"^data/shards/0000.\.tar {match}.*`dvc checkout --force data/shards`"):
        read_all(change(index))


SHARDS = {
    "a pipe": (os.mkfifo, "is a pipe, not a regular file"),
    "a folder": (os.mkdir, "is a folder, not a regular file"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "is a device, not a regular file"),
    "absent": (lambda path: None, "is not there"),
    "an empty file": (lambda path: path.touch(), "has 0 bytes, where the index has a picture that ends at 7,840"),
}


@pytest.mark.parametrize("case", SHARDS)
def test_a_shard_that_is_no_file_of_that_size_is_refused_at_once(index, case):
    make, match = SHARDS[case]
    path = Path(FOLDER, "00001.tar")
    path.unlink()
    make(path)
    with pytest.raises(InputError, match=rf"^data/shards/00001\.tar {match}.*`dvc (repro shard|checkout)"):
        read_all(index)
    assert not [link for link in Path("/proc/self/fd").iterdir() if str(link.resolve()).endswith("00000.tar")]


def test_what_fits_is_read(index):
    assert read_all(index) == [CONTENTS[0], CONTENTS[0], CONTENTS[0], CONTENTS[1]]
