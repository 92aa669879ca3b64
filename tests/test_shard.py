import hashlib
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import webdataset
from hypothesis import given
from hypothesis import strategies as st
from pictures import save
from PIL import Image

from runtime.errors import BaseError, InputError, ParameterError
from runtime.outputs import write_json
from stages import fingerprint, shard
from stages.images.letterbox import letterbox
from stages.shards.prepared import decode
from stages.shards.tars import ShardReader, write_shard
from stages.tables.shards import INDEX

pytestmark = pytest.mark.slow

IDS = st.sets(st.integers(0, 40).map(lambda number: f"{number:032x}"))


def index_of(plan):
    rows = [(image_id, name) for name, members in plan for image_id in members]
    return pd.DataFrame(rows, columns=["image_id", "shard"])


@given(IDS, IDS, IDS, st.integers(1, 7))
def test_kept_pictures_stay_new_ones_go_into_new_shards_and_only_shards_that_lost_one_change(base, gone, new, size):
    before = shard.plan_shards(base, None, size)
    here = (base - gone) | new
    after = shard.plan_shards(here, index_of(before), size)
    assert sorted(image_id for _, members in after for image_id in members) == sorted(here)
    assert all(0 < len(members) <= size for _, members in after)
    assert [name for name, _ in after] == sorted({name for name, _ in after})
    now, then = dict(after), dict(before)
    for name, members in then.items():
        assert now.get(name, []) == [image_id for image_id in members if image_id in here]
    assert {image_id for name, members in after if name not in then for image_id in members} == here - base


@given(IDS, IDS, IDS, st.integers(1, 7), st.integers(1, 7))
def test_a_compaction_keeps_full_shards_and_leaves_one_at_most_that_is_not_full(base, gone, new, size, size_before):
    before = shard.plan_shards(base, None, size_before)
    here = (base - gone) | new
    after = shard.plan_shards(here, index_of(before), size, compact=True)
    assert sorted(image_id for _, members in after for image_id in members) == sorted(here)
    assert sum(len(members) < size for _, members in after) <= 1
    assert max((len(members) for _, members in after), default=0) <= size
    left = [(name, [image_id for image_id in members if image_id in here]) for name, members in before]
    full = [(name, members) for name, members in left if len(members) == size]
    assert after[: len(full)] == full
    assert not {name for name, _ in after[len(full) :]} & dict(before).keys()


@given(st.permutations(sorted(f"{number:032x}" for number in range(20))), st.booleans())
def test_the_plan_does_not_depend_on_the_order_of_the_pictures(ids, compact):
    base = index_of(shard.plan_shards(ids[:9], None, 4))
    assert shard.plan_shards(ids, base, 4, compact) == shard.plan_shards(sorted(ids), base, 4, compact)


@pytest.mark.parametrize(("base", "compacted", "wanted"), [(0, 0, False), (7, 7, False), (7, 8, True), (9, 8, False)])
def test_a_compaction_is_made_in_its_cycle_and_in_no_later_one(base, compacted, wanted):
    assert shard.wants_compaction(base, compacted) == wanted


def test_a_compaction_of_a_cycle_to_come_is_refused():
    with pytest.raises(ParameterError, match=r"shard.compacted is 9, and the cycle after model 7 is 8.*make compact"):
        shard.wants_compaction(7, 9)


def test_a_shard_is_a_tar_that_is_read_by_offset(tmp_path):
    members = [("a.png", b"one"), ("b.png", b"two" * 500)]
    extents = write_shard(tmp_path / "0.tar", members)
    data = (tmp_path / "0.tar").read_bytes()
    assert [data[offset : offset + size] for offset, size in extents] == [content for _, content in members]
    with tarfile.open(tmp_path / "0.tar") as tar:
        assert [(member.name, member.mtime, member.uid) for member in tar] == [("a.png", 0, 0), ("b.png", 0, 0)]


@pytest.fixture
def library(workspace):
    for seed in range(7):
        save(workspace / f"data/library/a/{seed}.png", seed, (40, 20 + seed))
    save(workspace / "data/benchmarks/hard/a/again.png", 0, (40, 20))
    save(workspace / "data/unlabelled/8.png", 8)
    (workspace / "data/unlabelled/broken.png").write_bytes(b"no")
    path = workspace / "params.yaml"
    path.write_text(path.read_text().replace("images: 1000", "images: 3"))
    fingerprint.main()
    return workspace


def digests():
    return {path.name: hashlib.md5(path.read_bytes()).hexdigest() for path in Path("data/shards").iterdir()}


def test_main_packs_every_readable_picture_once_letterboxed(library):
    shard.main()
    index = INDEX.read()
    assert index["shard"].value_counts(sort=False).to_dict() == {"00000.tar": 3, "00001.tar": 3, "00002.tar": 2}
    assert not list(library.glob("data/*.partial"))
    path = library / "data/library/a/5.png"
    with ShardReader("data/shards", index) as reader:
        pixels = decode(reader.encoded(hashlib.md5(path.read_bytes()).hexdigest()))
    assert np.array_equal(pixels, letterbox(Image.open(path), 32))


def release(library, version=1):
    """Make what was packed the base."""
    for name in ("model/model.weights.h5", "model/model.json", "model/classes.json", "model/lineage.parquet",
                 "metrics.json"):  # fmt: skip
        path = library / "data/base" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    write_json("data/base/version.json", {"version": version, "tag": f"model-{version:03d}"})
    INDEX.write(INDEX.read(), "data/base/shards/index.parquet")


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves the tar open
def test_a_shard_is_a_webdataset_and_tar_lists_it(library):
    shard.main()
    index = INDEX.read()
    samples = list(webdataset.WebDataset("data/shards/00000.tar", shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == index["image_id"][:3].tolist()
    with ShardReader("data/shards", index) as reader:
        for sample in samples:
            assert np.array_equal(sample["webp"], decode(reader.encoded(sample["__key__"])))
    listed = subprocess.run(["tar", "--list", "--file", "data/shards/00002.tar"], capture_output=True, text=True)
    assert listed.stdout.split() == [f"{image_id}.webp" for image_id in index["image_id"][6:]]


def test_after_a_release_new_pictures_leave_its_shards_as_they_are(library):
    shard.main()
    before = digests()
    release(library)
    save(library / "data/library/b/9.png", 9)
    fingerprint.main()
    shard.main()
    after = digests()
    assert {name for name in after if after[name] != before.get(name)} == {"00003.tar", "index.parquet"}
    assert before.keys() <= after.keys()


def test_a_compaction_packs_again_what_is_not_full(library):
    shard.main()
    before = digests()
    release(library)
    save(library / "data/library/b/9.png", 9)
    params = library / "params.yaml"
    params.write_text(params.read_text().replace("compacted: 0", "compacted: 2"))
    fingerprint.main()
    shard.main()
    assert {name for name, digest in digests().items() if before.get(name) == digest} == {"00000.tar", "00001.tar"}
    assert INDEX.read()["shard"].value_counts(sort=False).tolist() == [3, 3, 3]


def test_a_base_that_does_not_say_its_version_is_refused(library):
    shard.main()
    release(library)
    (library / "data/base/version.json").write_text("{}")
    match = r'version.json is no \{"version": number\}: version: field required\. `dvc checkout --force data/base`'
    with pytest.raises(BaseError, match=match):
        shard.main()


def test_a_picture_that_vanished_since_it_was_fingerprinted_is_named(library):
    (library / "data/library/a/3.png").unlink()
    with pytest.raises(
        InputError, match=r"data/library/a/3\.png was readable and is not now: .*Run `make repro` again"
    ):
        shard.main()
    assert not (library / "data/shards").exists()


def test_a_shard_that_the_index_names_and_is_not_there_is_named(library):
    shard.main()
    (library / "data/shards/00001.tar").unlink()
    with (
        pytest.raises(InputError, match=r"data/shards/00001\.tar is not there.*dvc pull"),
        ShardReader("data/shards", INDEX.read()),
    ):
        pass


def test_a_file_that_changed_since_its_fingerprint_enters_no_shard_and_no_memo(library):
    changed = next(Path("data/library").rglob("*.png"))
    changed.write_bytes(changed.read_bytes() + b"after the end")
    with pytest.raises(InputError, match=rf"{changed} changed after it was fingerprinted\. Run `make repro` again"):
        shard.main()
    assert not Path("data/shards").exists()
    assert not list(Path(".dvc/tmp/retrain/memo").glob("shards/*"))
