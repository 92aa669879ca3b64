import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, write_no_embedding
from PIL import ExifTags, Image

from runtime import parameters
from runtime.errors import InputError
from runtime.repository import folder_digest
from sample import LIBRARY_DIGEST
from sample.write import write
from stages import dedup, fingerprint, merge, split
from stages.labels import decisions
from stages.labels.confused import read_confused
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.splits import CLASS_COUNTS, SPLITS

pytestmark = pytest.mark.slow

NAMES = ("library", "benchmarks", "unlabelled", "base")
CUT_OFF = parameters.Split(minimum=40, maximum=125, staged_cap=60, validation_fraction=0.1, test_fraction=0.0)
DEDUP = parameters.Dedup(
    distance=14, similarity=0.935, colour=0.03, neighbours=3, edges=0.945, alike=0.9, distance_alone=8
)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    write(folder)
    return folder


def test_the_sample_is_the_same_bytes_every_time(written, tmp_path):
    write(tmp_path / "data")
    assert digests(tmp_path / "data") == digests(written)


def test_the_library_is_known_by_its_digest(written):
    assert folder_digest(written / "library") == LIBRARY_DIGEST


@pytest.fixture
def not_adopted(written):
    """Skip what compares the sample with what Git has, in a clone whose library is the user's own."""
    recorded = yaml.safe_load((ROOT / "data/library.dvc").read_text())["outs"][0]["md5"]
    if recorded != folder_digest(written / "library"):
        pytest.skip("data/library.dvc names another library than the sample's")


def test_the_instructions_are_those_that_git_has(written, not_adopted):
    for name in ("classes.yaml", "confused.csv", "decisions/ana.csv", "decisions/ben.csv"):
        assert (written / name).read_text() == (ROOT / "data" / name).read_text()


def test_the_sample_holds_what_its_dvc_files_say(written, not_adopted):
    for name in ("library", "benchmarks", "unlabelled"):
        recorded = yaml.safe_load((ROOT / f"data/{name}.dvc").read_text())["outs"][0]
        assert recorded["nfiles"] == len(digests(written / name))
        assert recorded["size"] == sum(path.stat().st_size for path in (written / name).rglob("*") if path.is_file())


def test_a_library_that_is_there_already_is_not_overwritten(written):
    before = digests(written)
    with pytest.raises(InputError, match="is there already, and the sample overwrites nothing"):
        write(written)
    assert digests(written) == before


@pytest.fixture
def recorded(written, tmp_path):
    """A fresh clone's data/: .dvc files that name the sample, and no pictures."""
    for name in NAMES:
        digest = folder_digest(written / name)
        (tmp_path / f"{name}.dvc").write_text(yaml.safe_dump({"outs": [{"md5": digest, "hash": "md5", "path": name}]}))
    return tmp_path


def test_where_git_names_the_sample_it_is_written(recorded, written):
    before = digests(recorded)
    write(recorded)
    assert digests(recorded) == before | digests(written)


@pytest.mark.parametrize("name", NAMES)
def test_where_git_names_pictures_of_another_library_the_sample_is_not_written(recorded, name):
    other = yaml.safe_dump({"outs": [{"md5": "0123456789abcdef0123456789abcdef.dir", "hash": "md5", "path": name}]})
    (recorded / f"{name}.dvc").write_text(other)
    before = digests(recorded)
    with pytest.raises(InputError, match=rf"{name} is not here, and .*{name}.dvc says .*`dvc pull` fetches"):
        write(recorded)
    assert digests(recorded) == before
    assert not list(recorded.glob("*.partial"))


@pytest.fixture(scope="module")
def tables(written):
    """What the data half of the pipeline, without shards, makes of the sample under its own parameters."""
    shutil.copy(ROOT / "params.yaml", written.parent)
    params = yaml.safe_load((written.parent / "params.yaml").read_text())
    params |= {"split": CUT_OFF.model_dump()}
    (written.parent / "params.yaml").write_text(yaml.safe_dump(params))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(written.parent)
        write_no_embedding()  # tests/check_sample.py has the pairs that the frozen network leads to
        for stage in (fingerprint, dedup, merge, split):
            stage.main()
        yield SimpleNamespace(
            fingerprints=FINGERPRINTS.read(),
            pairs=DUPLICATES.read(),
            images=IMAGES.read(),
            splits=SPLITS.read(),
            counts=pd.read_csv(CLASS_COUNTS).set_index("class_name"),
        )


def test_ten_classes_are_in_and_most_overflow_to_the_test_set(tables):
    counts = tables.counts[tables.counts["included"]]
    assert len(counts) == 10
    full = counts[counts["train"] + counts["validation"] == CUT_OFF.maximum]
    assert len(full) == 8
    assert (full["test"] >= 20).all()
    # One just below the maximum, and one that is filled up.
    assert counts.loc["six", "real"] in range(110, CUT_OFF.maximum)
    assert (counts["validation"] > 0).all()


def test_one_class_is_just_too_small_and_its_members_stand_among_the_unlabelled(tables, written):
    assert tables.counts.index[~tables.counts["included"]].tolist() == ["flower"]
    assert tables.counts.loc["flower", "real"] == 37
    lower = split.split(tables.images, set(), CUT_OFF.model_copy(update={"minimum": 35}))
    assert (lower.loc[lower["class_name"] == "flower", "split"] == "train").sum() > 30
    assert sum(path.startswith("flower") for path in digests(written / "unlabelled")) == 8


def test_two_classes_are_merged_and_one_is_filled_up_with_staged_and_synthetic_pictures(tables):
    used = tables.images[tables.images["dropped"].isna() & (tables.images["set"] == "library")]
    merged = used.groupby("class_name")["sub_class"].nunique()
    assert merged[merged > 1].to_dict() == {"seven": 2, "zero": 3}
    zero = tables.counts.loc["zero"]
    assert zero["train_staged"] > 0
    assert zero["train_synthetic"] > 0
    assert zero["train"] + zero["validation"] == CUT_OFF.staged_cap
    assert zero["unused"] > 0


def test_unknown_pictures_have_no_class_and_are_never_split(tables):
    unknown = tables.images[tables.images["origin"] == "unknown"]
    assert len(unknown) >= 10
    assert unknown["class_name"].isna().all()
    assert not set(unknown["image_id"]) & set(tables.splits["image_id"])


@pytest.mark.parametrize("kind", ["identical", "near"])
def test_duplicates_stand_within_a_class_across_classes_and_between_library_and_benchmark(tables, kind):
    pairs = tables.pairs[tables.pairs["kind"] == kind]
    assert pairs["label_conflict"].any()
    labels = tables.images.drop_duplicates("image_id").set_index("image_id")
    a, b = (pairs[side].map(labels["class_name"]) for side in ("image_a", "image_b"))
    sets = [pairs[side].map(labels["set"]) for side in ("image_a", "image_b")]
    library = (sets[0] == "library") & (sets[1] == "library")
    assert (library & (a == b)).any()
    assert (library & (a != b)).any()
    assert (sets[0].eq("library") ^ sets[1].eq("library")).any()


@pytest.mark.parametrize(
    "reason",
    [merge.UNREADABLE, merge.REMOVED, merge.BENCHMARK, merge.CONFLICT, merge.COPY, merge.IDENTICAL, merge.NEAR],
)
def test_every_reason_not_to_use_a_picture_occurs(tables, reason):
    assert tables.images["dropped"].dropna().str.startswith(reason).any()


def test_one_file_cannot_be_read(tables):
    (error,) = tables.fingerprints["error"].dropna()
    assert "truncated" in error


def test_one_picture_lies_on_its_side_and_is_used(tables):
    lying = []
    for path in tables.fingerprints["path"]:
        with Image.open(Path("data", path)) as image:
            if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                lying.append(path)
    (path,) = lying
    assert tables.images.set_index("path").loc[path, "image_id"] in set(tables.splits["image_id"])


def test_pictures_are_square_and_upright_and_lying(tables):
    readable = tables.fingerprints.dropna(subset="width")
    lying = np.sign(readable["width"] - readable["height"]).value_counts(normalize=True)
    assert lying.index.sort_values().tolist() == [-1, 0, 1]
    assert (lying > 0.2).all()


def test_there_are_four_benchmarks_and_each_is_used(tables):
    sizes = tables.splits["split"].value_counts()
    assert {"difficult", "out_of_scope", "most_common", "least_common"} <= set(sizes.index)
    assert set(sizes.index) - {"train", "validation", "test"} == set(tables.images["set"]) - {"library"}


def test_all_six_decisions_are_used_and_each_has_its_effect(tables):
    sub_classes = tables.images["sub_class"].dropna().unique()
    said = decisions.read_decisions("data/decisions", sub_classes)
    assert {one.decision for one in said} == {*decisions.OF_ONE, *decisions.OF_TWO}
    verdicts = decisions.settle(said)
    here = set(tables.images["image_id"])
    assert verdicts.image_ids - here  # of a picture that is gone
    assert verdicts.disputed
    dropped = tables.images.groupby("image_id")["dropped"].agg(lambda reasons: reasons.isna().any())
    undone = {one.image_id for one in said if one.decision == "undo"}
    assert dropped[list(undone)].all()
    assert not dropped[list(verdicts.removed)].any()
    assert dropped[list(verdicts.kept & here)].all()
    labels = tables.images["image_id"].map(verdicts.relabelled).dropna()
    assert set(tables.images.loc[labels.index, "image_id"]) == verdicts.relabelled.keys()
    assert (tables.images.loc[labels.index, "sub_class"] == labels).all()
    pairs = set(zip(tables.pairs["image_a"], tables.pairs["image_b"], strict=True))
    assert verdicts.duplicate <= pairs
    hashes = tables.images.drop_duplicates("image_id").set_index("image_id")["phash"]
    assert not verdicts.distinct & pairs
    labelled = [pair for pair in verdicts.distinct if here.issuperset(pair)]
    bits = [(int(hashes[a]) ^ int(hashes[b])).bit_count() for a, b in labelled]
    assert min(bits) <= DEDUP.distance < max(bits)  # the hash leads to one, embeddings alone lead to others


def test_a_pair_of_classes_is_easily_confused(tables):
    confused = read_confused("data/confused.csv", set(tables.counts.index))
    assert (confused["weight"] < 1).any()
