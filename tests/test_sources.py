from datetime import datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, save, saved
from PIL import Image

from runtime import parameters
from runtime.errors import ParameterError
from stages import dedup, fingerprint, merge
from stages.labels.sources import find_sources
from stages.tables.images import IMAGES

SENDER = r"library/[^/]+/([^/_]+)_"
NOON = datetime(2026, 5, 1, 12)


def files(*rows):
    """Rows of path, group, seconds after noon and camera."""
    frame = pd.DataFrame(rows, columns=["path", "group", "seconds", "camera"])
    taken = pd.Series([NOON + timedelta(seconds=each) if pd.notna(each) else pd.NaT for each in frame["seconds"]])
    folders = frame["path"].str.split("/")
    sets = folders.str[1].where(folders.str[0] == "benchmarks", "library")
    return frame.assign(taken_at=taken.astype("datetime64[ms]"), set=sets)


def sources_of(*rows, pattern=SENDER, burst_seconds=5):
    found = find_sources(files(*rows), pattern, burst_seconds)
    return [None if pd.isna(each) else each for each in found["source"]], found["sources"].tolist()


def test_the_source_is_the_pattern_s_group_and_null_where_it_is_not_found():
    rows = ("library/a/ann_1.png", "g1", None, None), ("library/b/ann_2.png", "g2", None, None)
    other = ("library/b/3.png", "g3", None, None), ("unlabelled/ann_4.png", "g4", None, None)
    assert sources_of(*rows, *other)[0] == ["ann", "ann", None, None]
    assert sources_of(*rows, pattern=None)[0] == [None, None]
    assert sources_of(*rows, pattern="(x?)ann")[0] == [None, None]  # an empty name is none


def test_a_burst_is_chained_by_one_camera():
    shots = [(f"library/a/{number}.png", f"g{number}", seconds, "iPhone") for number, seconds in enumerate((9, 4, 0))]
    rows = (*shots, ("library/a/x.png", "x", 4, "Canon"), ("library/a/y.png", "y", 4, None),
            ("library/a/z.png", "z", 15, "iPhone"))  # fmt: skip
    name = "iPhone 2026-05-01 12:00:00"
    assert sources_of(*rows)[0] == [name] * 3 + [None] * 3
    assert sources_of(*rows, burst_seconds=4)[0] == [None] + [name] * 2 + [None] * 3
    for off in (None, 0):
        assert sources_of(*rows, *rows, burst_seconds=off)[0] == [None] * 12


def test_a_burst_or_a_near_duplicate_joins_sources_and_one_name_stands_for_them():
    rows = (
        ("library/a/ben_1.png", "g1", 0, "iPhone"),
        ("library/a/1.png", "g2", 2, "iPhone"),
        ("library/a/2.png", "g3", None, None),
        ("library/b/ann_1.png", "g3", None, None),
        ("library/b/ben_2.png", "g3", None, None),
        ("library/b/3.png", "g4", None, None),
        ("library/b/4.png", "g4", None, None),
    )
    joined = ["ann", "ben", "iPhone 2026-05-01 12:00:00"]
    assert sources_of(*rows) == (["ann"] * 5 + [None] * 2, [joined] * 5 + [None] * 2)


def test_a_benchmark_s_near_duplicate_joins_no_source():
    rows = (("library/a/ann_1.png", "g", None, None), ("library/a/ben_1.png", "h", None, None),
            ("benchmarks/hard/a/1.png", "g", None, None), ("benchmarks/hard/a/2.png", "h", None, None))  # fmt: skip
    assert sources_of(*rows)[0] == ["ann", "ben", None, None]


NAMES = st.sampled_from(["ann", "ben", "cyd", ""])
ROWS = st.tuples(NAMES, st.integers(0, 6), st.integers(0, 40), st.sampled_from(["iPhone", "Canon", None]))


@given(st.lists(ROWS, min_size=1, max_size=12))
def test_files_have_one_source_exactly_when_a_chain_of_names_bursts_and_groups_connects_them(drawn):
    rows = [
        (f"library/a/{name}{'_' if name else ''}{row}.png", f"{group}", seconds, camera)
        for row, (name, group, seconds, camera) in enumerate(drawn)
    ]
    frame = files(*rows).assign(name=[each[0] for each in drawn])
    found, _ = sources_of(*rows)

    def connected(one, other):
        a, b = frame.iloc[one], frame.iloc[other]
        if a["group"] == b["group"] or (a["name"] and a["name"] == b["name"]):
            return True
        return a["camera"] is not None and a["camera"] == b["camera"] and abs(a["seconds"] - b["seconds"]) <= 5

    reached = list(range(len(rows)))
    for _ in rows:
        for one in range(len(rows)):
            reached[one] = min(reached[other] for other in range(len(rows)) if connected(one, other))
    for one in range(len(rows)):
        for other in range(len(rows)):
            if found[one] is not None:
                assert (found[one] == found[other]) == (reached[one] == reached[other])
    bursts = [any(connected(one, other) and frame["camera"][one] == frame["camera"][other] is not None
                  and abs(frame["seconds"][one] - frame["seconds"][other]) <= 5
                  for other in range(len(rows)) if other != one) for one in range(len(rows))]  # fmt: skip
    for one, source in enumerate(found):
        if source is None:
            assert not frame["name"][one] and not bursts[one]


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("library/(", r"merge\.source_pattern: value error, no regular expression \(missing \)"),
        ("library/.*", r"merge\.source_pattern: value error, expected one group in parentheses, .* there are 0"),
        ("(a)(b)", r"there are 2, got '\(a\)\(b\)'"),
    ],
)
def test_a_wrong_pattern_is_named(workspace, pattern, message):
    with pytest.raises(ParameterError, match=message):
        parameters.change({"merge.source_pattern": pattern})


def exif_of(time):
    exif = Image.Exif()
    exif[0x0110] = "iPhone"
    exif.get_ifd(0x8769)[0x9003] = time
    return exif


def test_main_writes_sources_and_drops_the_library_s_pictures_of_a_benchmark_s_source(workspace, caplog):
    caplog.set_level("INFO")
    for seed, path in enumerate(["library/a/ann_1.png", "library/b/ann_2.png", "library/b/ben_1.png",
                                 "library/b/3.png", "benchmarks/hard/a/ben_9.png"]):  # fmt: skip
        save(workspace / "data" / path, seed)
    for number in range(2):
        shot = saved(draw(20 + number), "JPEG", exif=exif_of(f"2026:05:01 12:00:0{number}"))
        (workspace / f"data/library/a/shot{number}.jpg").write_bytes(shot)
    parameters.change({"merge.source_pattern": r"/([^/_]+)_[^/]+$", "merge.burst_seconds": 2.0})
    fingerprint.main()
    dedup.main()
    merge.main()
    images = IMAGES.read().set_index("path").sort_index()
    burst = "iPhone 2026-05-01 12:00:00"
    assert images["source"].dropna().to_dict() == {
        "benchmarks/hard/a/ben_9.png": "ben", "library/a/ann_1.png": "ann", "library/b/ann_2.png": "ann",
        "library/b/ben_1.png": "ben", "library/a/shot0.jpg": burst, "library/a/shot1.jpg": burst,
    }  # fmt: skip
    assert images["sources"]["library/a/ann_1.png"].tolist() == ["ann"]
    assert images["dropped"].dropna().to_dict() == {"library/b/ben_1.png": merge.OF_BENCHMARK}
    assert "dropped: 1 from a benchmark's source" in caplog.text
