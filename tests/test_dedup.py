import pandas as pd
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, save

from stages import dedup, fingerprint
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS


def pictures(**hashes):
    rows = [(name * 32, phash, pixels) for name, (phash, pixels) in sorted(hashes.items())]
    return pd.DataFrame(rows, columns=["image_id", "phash", "pixels"])


A, B, C = ("a" * 32, "b" * 32, "c" * 32)
SOME = pictures(a=(0b0, "p"), b=(0b11, "p"), c=(0b1111111, "q"))
NOTHING = frozenset()


def as_rows(frame):
    return list(frame.itertuples(index=False, name=None))


def test_pairs_within_the_distance_are_found_and_told_apart():
    found = dedup.find_pairs(SOME, 2, NOTHING, NOTHING)
    assert as_rows(found) == [(A, B, "identical", 2)]
    assert as_rows(dedup.find_pairs(SOME, 5, NOTHING, NOTHING))[1:] == [(B, C, "near", 5)]


def test_people_s_word_counts_more_than_the_distance():
    assert as_rows(dedup.find_pairs(SOME, 2, frozenset({(A, C)}), frozenset({(A, B)}))) == [(A, C, "near", 7)]


def test_decisions_about_pictures_that_are_gone_change_nothing():
    gone = frozenset({(A, "d" * 32)})
    assert as_rows(dedup.find_pairs(SOME, 0, gone, gone)) == []


HASHES = st.lists(st.integers(0, 255), unique=True, min_size=2, max_size=12)


@given(HASHES, st.data())
def test_a_pair_called_distinct_never_comes_back_however_pictures_come_and_go(hashes, data):
    frame = pd.DataFrame({"image_id": [f"{value:032x}" for value in sorted(hashes)], "phash": sorted(hashes)})
    frame["pixels"] = frame["image_id"]
    pairs = set(zip(*dedup.find_pairs(frame, 8, NOTHING, NOTHING)[["image_a", "image_b"]].values.T, strict=True))
    distinct = frozenset(data.draw(st.sets(st.sampled_from(sorted(pairs)))))
    rest = frame[data.draw(st.lists(st.booleans(), min_size=len(frame), max_size=len(frame)))]
    left = dedup.find_pairs(rest, 8, NOTHING, distinct)
    here = set(rest["image_id"])
    assert set(zip(left["image_a"], left["image_b"], strict=True)) == {
        pair for pair in pairs - distinct if here.issuperset(pair)
    }


def labelled(*rows):
    return pd.DataFrame(rows, columns=["image_id", "set", "class_name", "rank"])


PAIR = pd.DataFrame({"image_a": [A], "image_b": [B]})


def test_the_picture_of_lower_rank_is_kept_and_a_benchmark_s_before_the_library_s():
    both = labelled((A, "library", "x", 1), (B, "library", "x", 0))
    assert dedup.judge_pairs(PAIR, both)["keep"].tolist() == [B]
    assert dedup.judge_pairs(PAIR, labelled((A, "hard", "x", 1), (B, "library", "x", 0)))["keep"].tolist() == [A]
    assert dedup.judge_pairs(PAIR, labelled((B, "library", "x", 0)))["keep"].tolist() == [B]


def test_two_classes_are_a_label_conflict_and_a_missing_class_is_none():
    assert dedup.judge_pairs(PAIR, labelled((A, "library", "x", 0), (B, "library", "y", 1)))["label_conflict"].all()
    assert not dedup.judge_pairs(PAIR, labelled((A, "library", "x", 0), (B, "library", None, 1)))[
        "label_conflict"
    ].any()


def test_main_finds_a_planted_pair(workspace, caplog):
    caplog.set_level("INFO")
    for seed in range(5):
        save(workspace / f"data/library/a/{seed}.png", seed)
    draw(3).point(lambda value: min(255, value + 4)).save(workspace / "data/library/a/again.png")
    draw(4).save(workspace / "data/library/a/4 resaved.png", compress_level=0)
    fingerprint.main()
    dedup.main()
    ids = FINGERPRINTS.read().set_index("path")["image_id"]
    found = {frozenset(row[:2]): row[2] for row in as_rows(DUPLICATES.read())}
    assert found == {
        frozenset(ids[["library/a/3.png", "library/a/again.png"]]): "near",
        frozenset(ids[["library/a/4.png", "library/a/4 resaved.png"]]): "identical",
    }
    assert "1 identical and 1 near pairs among 7 pictures" in caplog.text
