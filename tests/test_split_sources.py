"""The split where pictures have sources: a source stands on one side, in every class and in every later cycle."""

import random

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_split import PARAMS, TESTED, images, lineage, sides, write
from worlds import write_base

from stages import split, train
from stages.labels.sources import find_sources
from stages.tables.lineage import LINEAGE
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow

SIZES = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=4)


def sent(frame, rng, num_senders=8, unknown=0.2):
    """Give pictures senders, some of whom send much more than others, and groups that join a few of them."""
    names = frame["image_id"].tolist()
    senders = [f"sender{int(num_senders * rng.random() ** 3)}" if rng.random() > unknown else None for _ in names]
    paths = [
        f"library/x/{sender}_{name}" if sender else f"library/x/{name}"
        for sender, name in zip(senders, names, strict=True)
    ]
    groups = [
        rng.choice(names[max(0, row - 5) : row + 1]) if rng.random() < 0.1 else name for row, name in enumerate(names)
    ]
    frame = frame.assign(path=paths, group=groups, camera=None, taken_at=pd.NaT)
    frame[["source", "sources"]] = find_sources(frame, r"/(sender\d+)_", None)
    return frame


@st.composite
def worlds(draw):
    sizes = draw(SIZES)
    frame = pd.concat([images(*size, f"class {n}", 1000 * n) for n, size in enumerate(sizes)], ignore_index=True)
    assume(len(frame))
    return sent(frame, random.Random(draw(st.integers(0, 2**32))), draw(st.sampled_from([2, 8, 40])))


@settings(max_examples=50)
@given(worlds(), st.randoms(use_true_random=False), st.sampled_from([PARAMS, TESTED]))
def test_no_source_and_no_group_is_on_two_sides_and_what_was_trained_on_never_judges(frame, random, params):
    trained = set(random.sample(frame["group"].tolist(), len(frame) // 10))
    result = split.split(frame, trained, params).dropna(subset="split")
    for what in ("source", "group"):
        assert (result.dropna(subset=what).groupby(what)["split"].nunique() == 1).all()
    judging = result[result["split"] != "train"]
    assert not set(judging["group"]) & trained
    assert not set(judging["source"].dropna()) & set(frame.loc[frame["group"].isin(trained), "source"])
    assert (judging["origin"] == "real").all()
    of_classes_in = frame[frame["class_name"].isin(result["class_name"])]
    assert not set(judging["source"].dropna()) & set(of_classes_in.loc[of_classes_in["origin"] != "real", "source"])


@settings(max_examples=50)
@given(worlds())
def test_sources_change_nothing_in_which_classes_are_in_and_how_many_pictures_are_used(frame):
    alone = frame.assign(source=None, sources=None, group=frame["image_id"])
    used = [
        rows[sides(rows).isin(["train", "validation"]).reindex(rows["image_id"]).to_numpy()]
        .groupby("class_name")
        .size()
        for rows in (frame, alone)
    ]
    # A picture that tests because its source overflows elsewhere is not used; the class keeps its minimum.
    assert used[0].index.equals(used[1].index)
    assert (used[0] <= used[1]).all() and (used[0] >= PARAMS.minimum).all()
    large = alone[alone["origin"] == "real"].groupby("class_name").size().reindex(used[0].index) > PARAMS.maximum
    assert (used[0][large] == PARAMS.maximum).all()


@settings(max_examples=60)
@given(worlds())
def test_real_pictures_are_used_before_staged_and_those_before_synthetic(frame):
    result = split.split(frame, set(), PARAMS)
    for _, of_class in result[result["split"].isna()].groupby("class_name"):
        used = result[(result["class_name"] == of_class["class_name"].iloc[0]) & (result["split"] == "train")]
        order = split.TRAINABLE.index
        assert not len(used) or used["origin"].map(order).max() <= of_class["origin"].map(order).max()


@settings(max_examples=40)
@given(SIZES)
def test_a_source_a_picture_is_as_good_as_none(sizes):
    frame = pd.concat([images(*size, f"class {n}", 1000 * n) for n, size in enumerate(sizes)], ignore_index=True)
    assume(len(frame))
    each = frame.assign(source=frame["image_id"], sources=[[name] for name in frame["image_id"]])
    for params in (PARAMS, TESTED):
        pd.testing.assert_series_equal(sides(frame, params=params), sides(each, params=params))


@settings(max_examples=30)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(frame, random):
    mixed = frame.sample(frac=1, random_state=random.randrange(2**32))
    pd.testing.assert_series_equal(sides(frame), sides(mixed).reindex(frame["image_id"]))


@settings(max_examples=40)
@given(worlds(), st.integers(1, 30))
def test_adding_pictures_of_new_classes_and_new_sources_moves_no_other(frame, added):
    new = images(added, 0, 0, "new", 10**6).assign(source="newcomer")
    before, after = sides(frame), sides(pd.concat([frame, new], ignore_index=True))
    pd.testing.assert_series_equal(before, after.reindex(before.index))


def test_adding_a_picture_moves_few_others():
    """Sources move whole, so a single world says little: of 240 pictures, one more moved 0.7 on average."""
    moved = []
    for seed in range(30):
        rng = random.Random(seed)
        frame = pd.concat([images(60, class_name=name, start=1000 * n) for n, name in enumerate("abcd")])
        frame = sent(frame.reset_index(drop=True), rng, num_senders=30)
        after, before = sides(frame), sides(frame.drop(index=rng.randrange(len(frame))))
        moved.append((before.fillna("") != after.reindex(before.index).fillna("")).sum())
    assert sum(moved) / len(moved) < 3


def test_a_source_of_a_class_that_is_beyond_the_maximum_may_test_with_its_pictures_of_a_smaller_class():
    """Else nothing would test where every sender sends something of a small class too."""
    frame = pd.concat([images(60, class_name="large"), images(20, class_name="small", start=1000)], ignore_index=True)
    frame["source"] = [f"sender{row % 20}" for row in range(80)]
    rows = split.split(frame, set(), PARAMS)
    counts = pd.crosstab(rows["class_name"], rows["split"])
    assert counts.loc["large", "test"] > 0 and counts.loc["small", "test"] == 1


def test_a_source_taints_by_every_name_that_stood_with_it_then():
    frame = images(4).assign(source=["ann", "ben", "cyd", None], sources=[["ann"], ["ben"], ["cyd"], None])
    then = lineage(("f" * 32, ["f" * 32], None)).assign(sources=[["ben", "old"]])
    assert split.trained_groups(frame, then, 0) == {frame["image_id"][1]}
    assert split.trained_groups(frame, then.assign(sources=None), 0) == set()


def test_a_picture_that_was_trained_on_taints_its_source_though_it_is_dropped_now():
    frame = images(60)
    frame.loc[:3, "source"] = "ann"
    frame.loc[0, "dropped"] = "removed by a decision"
    frame.loc[1, "set"] = "hard"
    result = sides(frame, {frame["group"][0]})
    assert result.reindex(frame["image_id"][:4]).fillna("none").tolist() == ["none", "none", "train", "train"]


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_in_ten_cycles_no_source_that_an_ancestor_trained_on_ever_judges(seed):
    """Pictures come from new and old senders, files are deleted, and each cycle's base is the model of the last."""
    rng = random.Random(seed)
    frame, ancestors, ever = images(0), None, set()
    for cycle in range(10):
        new = [
            images(rng.randrange(30), 0, rng.randrange(3), name, 10**5 * cycle + 10**4 * n)
            for n, name in enumerate("abc")
        ]
        new = sent(pd.concat(new, ignore_index=True), rng, num_senders=6 + 6 * cycle)
        kept = frame.sample(frac=0.8, random_state=rng.randrange(2**32))
        frame = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        frame[["source", "sources"]] = find_sources(frame, r"/(sender\d+)_", None)
        trained = set() if ancestors is None else split.trained_groups(frame, ancestors, 0)
        result = split.split(frame, trained, PARAMS)
        judging = result[result["split"].isin(["validation", "test"])]
        senders = judging["path"].str.extract(r"/(sender\d+)_")[0].dropna()
        assert not set(senders) & ever
        split.check(result, split.count_classes(result, PARAMS).assign(included=True), PARAMS.minimum)
        learned = result[result["split"] == "train"]
        ever |= set(learned["path"].str.extract(r"/(sender\d+)_")[0].dropna())
        ancestors = train.lineage(frame, learned["image_id"].tolist(), ancestors)


def test_main_says_how_many_sources_are_on_each_side_and_reads_a_base_that_knew_none(workspace, caplog):
    caplog.set_level("INFO")
    frame = pd.concat([images(60, class_name="x"), images(60, class_name="y", start=1000)], ignore_index=True)
    frame["source"] = [f"sender{row % 60}" for row in range(120)]
    frame["sources"] = [[source] for source in frame["source"]]
    write(frame)
    write_base(["x", "y"])
    old = frame.head(5).assign(members=[[each] for each in frame["image_id"][:5]]).drop(columns="sources")
    schema = LINEAGE.schema.remove(LINEAGE.schema.get_field_index("sources"))
    pq.write_table(pa.Table.from_pandas(old, schema, preserve_index=False), "data/base/model/lineage.parquet")
    assert LINEAGE.read("data/base/model/lineage.parquet")["sources"].isna().all()
    split.main()
    rows = SPLITS.read().set_index("image_id")["split"]
    tainted = frame[frame["source"].isin(frame["source"][:5])]
    assert (rows.reindex(tainted["image_id"]) == "train").all() and len(tainted) == 10
    assert "split: sources: " in caplog.text and " train" in caplog.text and " validation" in caplog.text


def test_a_source_on_two_sides_is_a_bug_and_not_written():
    rows = images(60).assign(source="ann", split=["train"] * 59 + ["test"])
    with pytest.raises(ValueError, match=r"sources are on two sides: \['ann'\]"):
        split.check(rows, pd.DataFrame({"included": [True, True]}), 10)
