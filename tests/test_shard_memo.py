import hashlib
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest
from pictures import save
from repositories import dvc
from test_shard import digests, library, release

from stages import fingerprint, shard
from stages.memos import shard_memo
from stages.memos.shard_memo import NUM_KEPT, ShardMemo, dvc_objects

pytestmark = pytest.mark.slow

__all__ = ["library"]
OBJECTS = Path("cache")


@pytest.fixture
def packed(library, monkeypatch):
    """The library, packed once; DVC's cache is a plain folder. What is prepared from now on is counted."""
    monkeypatch.setattr(shard, "dvc_objects", lambda: OBJECTS)
    shard.main()
    commit()
    prepared, prepare = [], shard.prepare

    def count(picture, **options):
        prepared.append(picture[1])
        return prepare(picture, **options)

    monkeypatch.setattr(shard, "prepare", count)
    return prepared


def commit():
    """Do with the shards as DVC does."""
    for path in Path("data/shards").glob("*.tar"):
        md5 = hashlib.md5(path.read_bytes()).hexdigest()
        cached = OBJECTS / md5[:2] / md5[2:]
        cached.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, cached)
        cached.chmod(0o444)
    shutil.rmtree("data/shards", ignore_errors=True)


def pack_cold():
    """What a machine packs that has no memo."""
    shutil.rmtree(".dvc")
    shard.main()
    return digests()


def test_nothing_is_prepared_twice(packed):
    shard.main()
    assert packed == []
    assert Path("data/shards/00000.tar").stat().st_mode & 0o200
    assert digests() == pack_cold()
    assert len(packed) == 8


def test_a_recipe_has_one_memo(packed, library):
    save(library / "data/library/b/9.png", 9)
    fingerprint.main()
    shard.main()
    assert len(list(Path(".dvc/tmp/retrain/memo/shards").iterdir())) == 1


def test_with_new_pictures_those_alone_are_prepared_with_a_base_or_without(packed, library):
    save(library / "data/library/b/9.png", 9)
    fingerprint.main()
    shard.main()
    assert packed == ["library/b/9.png"]
    assert digests() == pack_cold()


def test_a_shard_that_lost_a_picture_is_made_of_what_it_held(packed, library):
    shard.main()
    release(library)
    commit()
    (library / "data/library/a/3.png").unlink()
    fingerprint.main()
    shard.main()
    assert packed == []
    assert digests() == pack_cold()


def test_a_run_that_dvc_did_not_commit_does_not_cost_what_was_committed_before(packed, library):
    save(library / "data/library/b/9.png", 9)
    fingerprint.main()
    shard.main()
    shard.main()
    assert packed == 2 * ["library/b/9.png"]
    assert digests() == pack_cold()


@pytest.mark.parametrize("damage", ["changed", "cut", "gone"])
def test_a_damaged_shard_of_the_cache_is_not_used(packed, damage):
    cached = sorted(path for path in OBJECTS.rglob("*") if path.is_file())[0]
    cached.chmod(0o644)
    data = cached.read_bytes()
    if damage == "gone":
        cached.unlink()
    else:
        cached.write_bytes(data[:-1024] if damage == "cut" else data[:600] + b"!" + data[601:])
    shard.main()
    assert 2 <= len(packed) <= 3
    assert digests() == pack_cold()


def test_a_damaged_memo_is_not_used(packed, caplog):
    (memo,) = Path(".dvc/tmp/retrain/memo/shards").iterdir()
    data = memo.read_bytes()
    memo.write_bytes(data[:200] + b"!" + data[201:])
    shard.main()
    assert len(packed) == 8
    assert "is damaged" in caplog.text
    assert digests() == pack_cold()


@pytest.mark.parametrize(("old", "new"), [("side: 32", "side: 33"), ("codec: webp", "codec: png")])
def test_what_was_prepared_in_another_way_is_not_used(packed, library, old, new):
    params = library / "params.yaml"
    params.write_text(params.read_text().replace(old, new))
    shard.main()
    assert len(packed) == 8
    assert digests() == pack_cold()


def test_only_the_newest_memos_are_kept(tmp_path):
    index = pd.DataFrame({"image_id": ["a"], "shard": ["0.tar"], "offset": [512], "size": [1]})
    (tmp_path / "0.tar").write_bytes(b"a tar")
    for number in range(NUM_KEPT + 2):
        ShardMemo(str(number), [], tmp_path, tmp_path / "memos").keep(tmp_path, index)
    kept = {path.name.partition("-")[0] for path in (tmp_path / "memos/shards").iterdir()}
    assert kept == {str(number) for number in range(2, NUM_KEPT + 2)}


def test_a_memo_that_cannot_be_written_costs_a_warning(packed, caplog, monkeypatch):
    Path("a file").touch()
    monkeypatch.setenv("RETRAIN_MEMO", "a file")
    shard.main()
    assert "will prepare every picture again" in caplog.text


def test_bytes_are_copied_where_blocks_cannot_be_shared(packed, monkeypatch):
    def refuse(*_):
        raise OSError("between two file systems")

    monkeypatch.setattr(shard_memo.os, "copy_file_range", refuse)
    shard.main()
    assert packed == []
    assert digests() == pack_cold()


def test_dvc_s_cache_holds_what_it_committed_by_the_md5_of_its_bytes(workspace):
    assert dvc_objects() is None
    dvc("init", "--no-scm", "--quiet")
    Path("file").write_text("bytes")
    dvc("add", "--quiet", "file")
    md5 = hashlib.md5(b"bytes").hexdigest()
    assert (dvc_objects() / md5[:2] / md5[2:]).read_text() == "bytes"


def test_a_memo_that_is_a_pipe_is_not_waited_for(packed, caplog):
    (memo,) = Path(".dvc/tmp/retrain/memo/shards").iterdir()
    memo.unlink()
    os.mkfifo(memo)
    shard.main()
    assert len(packed) == 8
    assert "is a pipe, not a regular file" in caplog.text
