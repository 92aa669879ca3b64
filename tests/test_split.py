import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from worlds import write_base

from runtime import parameters
from runtime.errors import BaseError, InputError, InstructionError
from stages import merge, split
from stages.duplicates.turns import turn_hashes
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow

PARAMS = parameters.Split(minimum=10, maximum=25, staged_cap=15, validation_fraction=0.1, test_fraction=0.0)


def images(num_real=0, num_staged=0, num_synthetic=0, class_name="x", start=0):
    origins = ["real"] * num_real + ["staged"] * num_staged + ["synthetic"] * num_synthetic
    ids = [f"{number * 2654435761 % 2**64:032x}" for number in range(start, start + len(origins))]
    return pd.DataFrame(
        {"image_id": ids, "path": ids, "sub_class": class_name, "class_name": class_name, "origin": origins,
         "set": "library", "group": ids, "group_size": 1, "dropped": None,
         "phash": pd.array([int(i, 16) for i in ids], dtype="UInt64"), "faults": None,
         "source": None, "sources": None, "said_same": None}
    )  # fmt: skip


def sides(frame, trained=frozenset(), params=PARAMS):
    rows = split.split(frame, set(trained), params)
    return rows.set_index("image_id")["split"]


@pytest.mark.parametrize(
    ("numbers", "train", "validation", "test"),
    [
        ((9, 0, 0), 0, 0, 0),  # below the minimum
        ((10, 0, 0), 9, 1, 0),
        ((40, 0, 0), 23, 2, 15),  # the overflow tests
        ((40, 30, 0), 23, 2, 15),  # enough real ones: none staged
        ((8, 30, 30), 13, 2, 0),  # staged up to the cap
        ((5, 4, 30), 13, 2, 0),  # then synthetic up to the cap
        ((5, 4, 0), 0, 0, 0),
        ((0, 30, 0), 15, 0, 0),  # nothing real to judge with
    ],
)
def test_the_cut_offs_are_those_of_the_design(numbers, train, validation, test):
    counts = sides(images(*numbers)).value_counts()
    assert [counts.get(side, 0) for side in ("train", "validation", "test")] == [train, validation, test]


def test_real_pictures_are_used_before_staged_and_those_before_synthetic():
    frame = images(5, 4, 30)
    used = frame[frame["image_id"].map(sides(frame)).notna().to_numpy()]
    assert used["origin"].value_counts().to_dict() == {"real": 5, "staged": 4, "synthetic": 6}


WORLDS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=3).map(
    lambda sizes: pd.concat([images(*size, f"class {n}", 1000 * n) for n, size in enumerate(sizes)], ignore_index=True)
)


@settings(max_examples=60)
@given(WORLDS, st.randoms(use_true_random=False))
def test_no_group_is_on_two_sides_and_what_was_trained_on_never_judges(frame, random):
    if frame.empty:
        return
    names = frame["image_id"].tolist()
    frame["group"] = [random.choice(names[max(0, row - 3) : row + 1]) for row in range(len(names))]
    trained = set(random.sample(names, len(names) // 4))
    result = split.split(frame, trained, PARAMS).dropna(subset="split")
    assert (result.groupby("group")["split"].nunique() == 1).all()
    judging = result[result["split"] != "train"]
    assert not set(judging["group"]) & trained
    assert (judging["origin"] == "real").all()
    assert (result[result["split"] != "test"].groupby("class_name").size().between(10, 25)).all()


def with_alike(frame, random, number):
    """Some pairs of a world's pictures that are alike, and its groups then; its last pictures are a benchmark's too."""
    names = frame["image_id"].tolist()
    pairs = [tuple(sorted(random.sample(names, 2))) for _ in range(number if len(names) > 1 else 0)]
    everything = pd.concat([frame, benchmark(frame.tail(3))], ignore_index=True)
    everything["group"] = everything["image_id"].map(merge.group_alike(everything, [], pairs))
    judging = everything["image_id"].isin(frame["image_id"].tail(3)) & (everything["set"] == "library")
    everything.loc[judging, "dropped"] = merge.BENCHMARK
    return everything, pairs


def known_groups(result):
    return result.loc[result["set"] == "library", "group"]


@settings(max_examples=60)
@given(WORLDS, st.integers(0, 30), st.randoms(use_true_random=False))
def test_alike_pictures_are_on_one_side_now_and_after_a_release_and_none_is_dropped(frame, number, random):
    everything, pairs = with_alike(frame, random, number)
    result = split.split(everything, set(), PARAMS)
    assert len(result) == everything["dropped"].isna().sum()
    in_library = result[result["set"] == "library"].set_index("image_id")["split"].dropna()
    linked = [pair for pair in pairs if set(pair).issubset(in_library.index)]
    assert all(in_library[a] == in_library[b] for a, b in linked)
    assert set(result.loc[result["set"] != "library", "group"]).isdisjoint(known_groups(result))
    # What was trained on takes with it what was alike to it then, though the file that linked them may be gone.
    trained = in_library.index[in_library == "train"].tolist()
    members = everything.groupby("group")["image_id"].agg(list)
    known = everything.drop_duplicates("image_id").set_index("image_id")["group"]
    rows = lineage(*((image_id, members[known[image_id]], None) for image_id in trained))
    later = everything.assign(group=everything["image_id"])
    again = split.split(later, split.trained_groups(later, rows, 0), PARAMS)
    judging = set(again.loc[again["split"].notna() & (again["split"] != "train"), "image_id"])
    assert judging.isdisjoint(other for row in rows["members"] for other in row)


@settings(max_examples=40)
@given(st.integers(20, 60), st.integers(1, 5), st.randoms(use_true_random=False))
def test_an_added_alike_picture_moves_hardly_any_but_those_that_it_is_alike_to(number, added, random):
    frame = images(number + added)
    names = frame["image_id"].tolist()
    pairs = [tuple(sorted((name, random.choice(names[:number])))) for name in names[number:]]
    frame["group"] = frame["image_id"].map(merge.group_alike(frame, [], pairs))
    few = frame.head(number).assign(group=names[:number])
    before, after = sides(few), sides(frame)
    changed = before.index[before != after.reindex(before.index)]
    assert len(changed) <= 6 * added  # by each new picture, and by each old one that no longer judges, three


@settings(max_examples=60)
@given(st.integers(12, 80), st.integers(1, 5), st.randoms(use_true_random=False))
def test_adding_pictures_moves_hardly_any_other(number, added, random):
    frame = images(number + added)
    few = frame.iloc[sorted(random.sample(range(len(frame)), number))]
    before, after = sides(few), sides(frame)
    # A new picture moves at most one other out of training, and one out of validation.
    assert (before != after.reindex(before.index)).sum() <= 3 * added


@settings(max_examples=40)
@given(WORLDS)
def test_a_class_is_split_as_if_there_were_no_other(frame):
    together = sides(frame).fillna("out").to_dict()
    for _, pictures in frame.groupby("class_name"):
        assert sides(pictures).fillna("out").to_dict().items() <= together.items()


@given(st.permutations(range(30)))
@settings(max_examples=20)
def test_the_order_of_rows_does_not_matter(order):
    frame = images(30)
    pd.testing.assert_series_equal(sides(frame), sides(frame.iloc[list(order)]).reindex(frame["image_id"]))


def test_what_was_trained_on_is_taken_first():
    frame = images(60)
    trained = set(frame["image_id"].tail(20))
    assert (sides(frame, trained)[sorted(trained)] == "train").all()


TESTED = PARAMS.model_copy(update={"test_fraction": 0.2})


@pytest.mark.parametrize(
    ("numbers", "train", "validation", "test"),
    [
        ((10, 0, 0), 7, 1, 2),
        ((40, 0, 0), 18, 2, 20),  # besides those beyond the maximum
        ((8, 30, 30), 10, 2, 3),
        ((2, 30, 0), 13, 2, 0),  # the model cannot be chosen without validation pictures
        ((0, 30, 0), 15, 0, 0),
    ],
)
def test_a_share_of_the_used_pictures_tests(numbers, train, validation, test):
    counts = sides(images(*numbers), params=TESTED).value_counts()
    assert [counts.get(side, 0) for side in ("train", "validation", "test")] == [train, validation, test]


def test_however_large_the_shares_are_something_is_left_to_train_with():
    greedy = PARAMS.model_copy(update={"validation_fraction": 0.1, "test_fraction": 0.89})
    counts = sides(images(12, 0, 0), params=greedy).value_counts()
    assert counts.to_dict() == {"train": 1, "validation": 1, "test": 10}


@settings(max_examples=40)
@given(WORLDS, st.randoms(use_true_random=False))
def test_the_share_that_tests_is_real_and_new_and_taken_from_training_alone(frame, random):
    trained = set(random.sample(frame["image_id"].tolist(), len(frame) // 4))
    without, tested = sides(frame, trained), sides(frame, trained, TESTED)
    moved = tested.index[(without != tested) & (without.notna() | tested.notna())]
    assert (without[moved] == "train").all() and (tested[moved] == "test").all()
    assert not set(moved) & trained
    assert (frame.set_index("image_id")["origin"][moved] == "real").all()


@settings(max_examples=60)
@given(st.integers(12, 80), st.integers(1, 5), st.randoms(use_true_random=False))
def test_adding_pictures_moves_hardly_any_other_into_or_out_of_the_share_that_tests(number, added, random):
    frame = images(number + added)
    few = frame.iloc[sorted(random.sample(range(len(frame)), number))]
    before, after = sides(few, params=TESTED), sides(frame, params=TESTED)
    # As without the share, and at most one more out of it.
    assert (before != after.reindex(before.index)).sum() <= 4 * added


def lineage(*rows):
    return pd.DataFrame(rows, columns=["image_id", "members", "phash"]).assign(sources=None)


def test_a_trained_picture_taints_its_group_of_then_and_of_now():
    frame = images(5)
    a, b, c, d, _ = frame["image_id"]
    frame.loc[2, "group"] = d
    assert split.trained_groups(frame, lineage((a, [a, b], 0), (c, [c], 0)), 0) == {a, b, d}


def test_a_trained_picture_whose_file_is_gone_is_recognised_in_what_resembles_it():
    frame = images(5)
    near = int(frame["phash"][3]) ^ 0b101
    assert split.trained_groups(frame, lineage(("f" * 32, ["f" * 32], near)), 2) == {frame["image_id"][3]}
    assert split.trained_groups(frame, lineage(("f" * 32, ["f" * 32], near)), 1) == set()


def test_a_trained_picture_whose_file_is_gone_is_recognised_in_what_people_said_shows_the_same():
    frame = images(5)
    gone, between = "f" * 32, "e" * 32
    frame["said_same"] = [None, [frame["image_id"][1], between, gone], None, None, None]
    frame.loc[2, "group"] = frame["group"][1]
    assert split.trained_groups(frame, lineage((gone, [gone], 2**63 + 5)), 0) == {frame["group"][1]}
    assert split.trained_groups(frame, lineage(("d" * 32, ["d" * 32], 2**63 + 5)), 0) == set()


def test_a_trained_picture_that_cannot_be_read_any_more_is_recognised_in_what_resembles_it():
    """As after a lower fingerprint.max_pixels: the file is a row without a hash, and `dedup` finds nothing near it."""
    frame = images(5).astype({"phash": "UInt64"})
    phash = int(frame["phash"][0])
    frame.loc[3, "phash"] = phash ^ 0b1
    frame.loc[0, "phash"] = pd.NA
    trained = lineage((frame["image_id"][0], [frame["image_id"][0]], phash))
    assert split.trained_groups(frame, trained, 1) == {frame["group"][0], frame["group"][3]}


def test_a_trained_picture_whose_file_is_gone_is_recognised_mirrored_and_turned_too():
    frame = images(40)
    for turn in range(8):
        gone = int(turn_hashes(frame["phash"].to_numpy(dtype="uint64")[7:8], turn)[0]) ^ 0b1
        assert frame["image_id"][7] in split.trained_groups(frame, lineage(("f" * 32, ["f" * 32], gone)), 1)


def benchmark(frame, name="hard"):
    return frame.assign(set=name)


def test_a_benchmark_picture_that_was_trained_on_no_longer_judges():
    frame = benchmark(images(3))
    assert sides(frame, {frame["image_id"][1]}).isna().tolist() == [False, True, False]


def write(*frames):
    IMAGES.write(pd.concat(frames, ignore_index=True).reindex(columns=IMAGES.schema.names))


def test_main_writes_a_row_a_picture_and_a_count_a_class(workspace, caplog):
    caplog.set_level("INFO")
    many = images(130, 0, 0, "many")
    many.loc[:2, "faults"] = "blurred, dark"
    write(many, images(20, 50, 3, "staged", 500), images(39, 0, 0, "few", 700),
          benchmark(images(4, 0, 0, "few", 900)))  # fmt: skip
    split.main()
    counts = pd.read_csv("data/class_counts.csv", keep_default_na=False).set_index("class_name")
    assert counts.loc["many"].tolist() == [True, "", 130, 0, 0, 113, 12, 5, 0, 113, 0, 0, 3]
    assert counts.loc["staged", ["staged", "train_staged", "train_synthetic", "unused"]].tolist() == [50, 40, 0, 13]
    assert counts.loc["few", "why_out"] == "39 usable pictures, split.minimum is 40"
    assert SPLITS.read()["split"].value_counts().to_dict() == {"train": 167, "validation": 18, "test": 5, "hard": 4}
    assert "1 class is out (data/class_counts.csv says why), nearest to the cut-off: few (39 real)" in caplog.text


def test_no_class_above_the_minimum_stops_the_stage(workspace):
    write(images(39, 0, 0, "few"), images(12, 0, 0, "fewer", 500))
    with pytest.raises(
        InputError, match=r"0 classes reach split.minimum \(40\), .* the largest: few 39, fewer 12\. Add pictures"
    ):
        split.main()
    assert not (workspace / "data/splits.parquet").exists()


def test_a_misspelt_confused_pair_stops_before_training(workspace):
    write(images(50), images(50, 0, 0, "y", 500))
    (workspace / "data/confused.csv").write_text("truth,predicted,weight\nx,z,0.5\n")
    with pytest.raises(InstructionError, match="line 2: no picture and no model has the class 'z'"):
        split.main()
    assert not (workspace / "data/splits.parquet").exists()


def test_a_confused_pair_may_name_a_class_that_only_the_base_knows(workspace):
    write(images(50), images(50, 0, 0, "y", 500))
    (workspace / "data/confused.csv").write_text("truth,predicted,weight\nx,z,0.5\n")
    write_base(["x", "y", "z"])
    LINEAGE.write(pd.DataFrame(columns=LINEAGE.schema.names), "data/base/model/lineage.parquet")
    split.main()
    (workspace / "data/base/model/classes.json").write_text("[")
    with pytest.raises(BaseError, match=r"classes.json is no list of class names: .*`dvc checkout --force data/base`"):
        split.main()


def test_a_group_on_two_sides_is_a_bug_that_stops_the_stage():
    pictures = split.split(images(50), set(), PARAMS)
    counts = split.count_classes(pictures, PARAMS)
    counts = pd.concat([counts, counts.assign(class_name="y")])
    split.check(pictures, counts, 2)
    sides = pictures["split"].dropna().unique()
    assert len(sides) > 1
    leaking = pictures.assign(group=pictures["group"].where(pictures["split"].isna(), "one"))
    with pytest.raises(ValueError, match="groups are on two sides: \\['one'\\]"):
        split.check(leaking, counts, 2)


def test_a_class_without_pictures_to_validate_with_and_a_benchmark_picture_that_was_trained_on_are_named(
    workspace, caplog
):
    learned = images(60, class_name="y")
    hard = benchmark(learned.head(1)).assign(path="benchmarks/hard/y/1.png")
    write(images(60, class_name="x", start=100), learned, hard)
    write_base(["x", "y"])
    rows = learned.assign(members=[[each] for each in learned["image_id"]])
    LINEAGE.write(rows, "data/base/model/lineage.parquet")
    split.main()
    assert "split: class y has no picture to validate with: only staged or trained-on ones" in caplog.messages
    assert (
        "split: data/benchmarks/hard/y/1.png is left out of its benchmark: an ancestor was trained on it or its source"
        in caplog.messages
    )


def test_half_a_base_is_refused(workspace):
    write(images(50), images(50, 0, 0, "y", 500))
    (workspace / "data/base/metrics.json").touch()
    with pytest.raises(BaseError, match=r"data/base holds files, but lacks model/model\.weights\.h5.* `dvc checkout"):
        split.main()
