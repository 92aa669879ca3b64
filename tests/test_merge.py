from itertools import pairwise

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, save

from runtime.errors import InstructionError
from stages import dedup, fingerprint, merge
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES

IDS = [f"{number:032x}" for number in range(12)]


@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS))))
def test_a_group_has_one_name_and_holds_what_pairs_connect(pairs):
    groups = merge.group_pictures(IDS, pairs)
    assert all(groups[a] == groups[b] for a, b in pairs)
    for group in set(groups.values()):
        members = {image_id for image_id, name in groups.items() if name == group}
        assert group == min(members)
        reached, edge = set(), {group}
        while edge:
            reached |= edge
            edge = {b for pair in pairs for a, b in (pair, pair[::-1]) if a in edge} - reached
        assert reached == members


def files(*rows):
    columns = ["image_id", "set", "class_name", "origin", "kept", "pixels"]
    frame = pd.DataFrame(rows, columns=columns)
    return frame.assign(
        rank=range(len(frame)), error=None, removed=False, sub_class=frame["class_name"], group=frame["image_id"],
        source=None, path=[f"library/{row}" for row in range(len(frame))],
    )  # fmt: skip


def reasons(rows, pairs):
    return [None if pd.isna(reason) else reason for reason in merge.drop(rows, pairs)]


def pairs_of(*pairs):
    return pd.DataFrame(pairs, columns=["image_a", "image_b", "kind"])


A, B, C, D = IDS[:4]


def test_of_a_chain_only_those_paired_with_a_kept_picture_are_dropped():
    rows = files(*((image_id, "library", "x", "real", False, image_id) for image_id in (A, B, C, D)))
    chain = pairs_of((A, B, "near"), (B, C, "near"), (C, D, "near"))
    assert reasons(rows, chain) == [None, f"near-duplicate of {A}", None, f"near-duplicate of {C}"]


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda pair: pair[0] < pair[1])))
def test_a_picture_is_dropped_exactly_when_a_kept_one_is_paired_with_it(pairs):
    rows = files(*((image_id, "library", "x", "real", False, image_id) for image_id in IDS))
    dropped = merge.drop(rows, pairs_of(*((*pair, "near") for pair in set(pairs)))).isna()
    kept = set(rows["image_id"][dropped])
    for image_id in IDS:
        paired = {b for pair in pairs for a, b in (pair, pair[::-1]) if a == image_id}
        assert (image_id in kept) == (not any(other < image_id for other in paired & kept))
        assert image_id not in kept or not paired & kept


@pytest.mark.slow
@given(st.permutations(IDS), st.sets(st.sampled_from(IDS)))
def test_a_chain_of_look_alikes_keeps_a_third_of_its_pictures_at_least_and_those_far_apart_whoever_comes_first(
    chain, gone
):
    """Whatever the order, and whichever pictures come and go."""
    here = [image_id for image_id in chain if image_id not in gone]
    rows = files(*((image_id, "library", "x", "real", False, image_id) for image_id in sorted(here)))
    links = [(min(pair), max(pair)) for pair in pairwise(chain) if not gone & set(pair)]
    kept = set(rows["image_id"][merge.drop(rows, pairs_of(*((*pair, "near") for pair in links))).isna()])
    assert len(kept) >= len(here) / 3
    for position, image_id in enumerate(chain):
        if image_id in here:  # itself or a neighbour is kept: nothing is dropped for one that it does not resemble
            assert kept & {*chain[max(0, position - 1) : position + 2]} & set(here)


@pytest.mark.slow
@given(st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)), st.data())
def test_what_a_person_keeps_stays_however_pictures_come_and_go(kept, here, data):
    rows = files(*((image_id, "library", "x", "real", image_id in kept, image_id) for image_id in sorted(here)))
    pairs = data.draw(
        st.sets(st.tuples(st.sampled_from(IDS), st.sampled_from(IDS)).filter(lambda pair: pair[0] < pair[1]))
    )
    dropped = merge.drop(rows, pairs_of(*((*pair, "near") for pair in pairs)))
    assert dropped[rows["kept"]].isna().all()


def test_near_pictures_of_two_classes_are_both_used():
    rows = files((A, "library", "x", "real", False, "p"), (B, "library", "y", "real", False, "q"))
    assert reasons(rows, pairs_of((A, B, "near"))) == [None, None]


def test_what_people_said_shows_the_same_is_told_of_each_picture_directly_or_through_others():
    assert merge.said_the_same([("a", "b"), ("b", "c"), ("x", "y")]) == {
        "a": ["a", "b", "c"], "b": ["a", "b", "c"], "c": ["a", "b", "c"], "x": ["x", "y"], "y": ["x", "y"],
    }  # fmt: skip
    assert merge.said_the_same([]) == {}


def test_a_picture_that_a_person_keeps_stays_next_to_its_near_duplicate():
    rows = files((A, "library", "x", "real", False, "p"), (B, "library", "x", "real", True, "q"))
    assert reasons(rows, pairs_of((A, B, "near"))) == [None, None]


def test_the_same_picture_in_two_classes_is_used_in_neither():
    rows = files((A, "library", "x", "real", False, "p"), (B, "library", "y", "real", False, "p"))
    assert reasons(rows, pairs_of((A, B, "identical"))) == [merge.CONFLICT] * 2
    copies = files((A, "library", "x", "real", False, "p"), (A, "library", "y", "real", False, "p"))
    assert reasons(copies, pairs_of()) == [merge.CONFLICT] * 2


def test_a_person_who_keeps_one_of_two_says_which_class_is_right():
    rows = files((A, "library", "x", "real", False, "p"), (B, "library", "y", "real", True, "p"))
    assert reasons(rows, pairs_of((A, B, "identical"))) == [merge.CONFLICT, None]


def test_a_library_picture_that_shows_what_a_benchmark_shows_is_dropped():
    rows = files((A, "library", "x", "real", True, "p"), (B, "hard", "x", "real", False, "q"))
    rows["group"] = A
    assert reasons(rows, pairs_of((A, B, "near"))) == [merge.BENCHMARK, None]


def test_one_picture_may_be_in_two_benchmarks_but_once_in_each():
    rows = files(*((A, name, "x", "real", False, "p") for name in ("easy", "hard", "hard")))
    assert reasons(rows, pairs_of()) == [None, None, "the same file as data/library/1"]


def test_alike_pictures_of_the_library_are_in_one_group_and_not_in_a_benchmark_s():
    a, b, c, d, e = (letter * 32 for letter in "abcde")
    rows = pd.DataFrame({"image_id": [a, b, c, d, e], "set": ["library"] * 4 + ["hard"]})
    groups = merge.group_alike(rows, [(d, e)], [(a, b), (b, c), (c, d), (a, e)])
    assert groups == {a: a, b: a, c: a, d: d, e: d}


@pytest.fixture
def planted(workspace):
    for seed in range(6):
        save(workspace / f"data/library/{'ab'[seed % 2]}/{seed}.png", seed)
    draw(0).save(workspace / "data/library/b/zero again.png", compress_level=0)
    draw(1).point(lambda value: min(255, value + 3)).save(workspace / "data/library/b/one brighter.png")
    save(workspace / "data/benchmarks/hard/a/2.png", 2)
    (workspace / "data/library/a/broken.jpg").write_bytes(b"no")
    fingerprint.main()
    dedup.main()
    return workspace


def used(workspace):
    merge.main()
    rows = IMAGES.read()
    assert len(rows) == len(FINGERPRINTS.read())
    return set(rows.loc[rows["dropped"].isna(), "path"])


def test_main_drops_what_must_not_be_used_twice(planted, caplog):
    caplog.set_level("INFO")
    paths = used(planted)
    assert {"library/a/0.png", "library/b/zero again.png", "library/a/2.png", "library/a/broken.jpg"}.isdisjoint(paths)
    assert len({"library/b/1.png", "library/b/one brighter.png"} & paths) == 1
    assert {"library/b/3.png", "library/a/4.png", "library/b/5.png", "benchmarks/hard/a/2.png"} <= paths
    assert "2 in two classes" in caplog.text
    assert "1 unreadable" in caplog.text


def conflicts_of(workspace):
    merge.main()
    return pd.read_csv("data/conflicts.csv", keep_default_na=False)


def decide(workspace, *said):
    lines = "".join(f"{line},2026-01-01T00:00:00.000Z,\n" for line in said)
    (workspace / "data/decisions/ann.csv").write_text("image_id,decision,value,on,why\n" + lines)
    dedup.main()


@pytest.fixture
def at_two_paths(workspace):
    """One file in two classes, the second in a sub-class, and two files of the same pixels in two classes."""
    for seed in range(4):
        save(workspace / f"data/library/{'ab'[seed % 2]}/{seed}.png", seed)
    save(workspace / "data/library/b_old/again.png", 0)
    draw(1).save(workspace / "data/library/a/saved again.png", compress_level=0)
    (workspace / "data/classes.yaml").write_text("merge:\n  b: [b, b_old]\n")
    fingerprint.main()
    dedup.main()
    return workspace


def test_every_file_of_a_conflict_is_listed_by_its_path_and_the_log_says_where(at_two_paths, caplog):
    rows = conflicts_of(at_two_paths).sort_values("path")
    assert rows[["kind", "path", "class_name"]].values.tolist() == [
        ["same file", "library/a/0.png", "a"],
        ["same pixels", "library/a/saved again.png", "a"],
        ["same pixels", "library/b/1.png", "b"],
        ["same file", "library/b_old/again.png", "b"],
    ]
    assert "2 pictures or pairs are in two classes; data/conflicts.csv" in caplog.text
    assert "data/library/b_old/again.png" in caplog.text


@pytest.mark.parametrize("path", ["a/0.png", "b_old/again.png", "a/saved again.png", "b/1.png"])
def test_the_words_of_a_row_end_its_conflict_with_the_file_in_its_class(at_two_paths, path):
    row = conflicts_of(at_two_paths).set_index("path").loc[f"library/{path}"]
    decide(at_two_paths, row["decide"])
    left = conflicts_of(at_two_paths)
    assert row["picture"] not in set(left["picture"])
    assert len(left) == 2
    images = IMAGES.read()
    of_picture = images[(images["image_id"] == row["image_id"]) & images["dropped"].isna()]
    assert of_picture["class_name"].tolist() == [row["class_name"]]


def test_to_keep_a_file_that_is_at_two_paths_ends_nothing_and_it_stays_listed(at_two_paths):
    rows = conflicts_of(at_two_paths).set_index("path")
    decide(at_two_paths, f"{rows.loc['library/a/0.png', 'image_id']},keep,")
    assert set(rows.index) == set(conflicts_of(at_two_paths)["path"])


def test_a_near_pair_in_two_classes_is_listed_until_it_is_decided(planted):
    (planted / "data/library/b/one brighter.png").rename(planted / "data/library/a/one brighter.png")
    fingerprint.main()
    dedup.main()
    rows = conflicts_of(planted)
    assert rows["kind"].value_counts().to_dict() == {"same pixels": 2, "near": 2}
    near = rows[rows["kind"] == "near"]
    for words in (word for decide in near["decide"] for word in decide.split(" or ")):
        decide(planted, words)
        assert "near" not in set(conflicts_of(planted)["kind"])


def test_what_a_benchmark_and_the_library_call_differently_is_listed_with_a_sub_class_to_write(workspace):
    for number, name in enumerate(("cat", "kitten", "dog")):
        save(workspace / f"data/library/{name}/{number}.png", number)
    save(workspace / "data/benchmarks/hard/feline/again.png", 2)
    (workspace / "data/classes.yaml").write_text("merge:\n  feline: [cat, kitten]\n")
    fingerprint.main()
    dedup.main()
    decided = conflicts_of(workspace)["decide"]
    assert [words.split(",")[1:] for words in decided] == [["relabel", "cat"], ["relabel", "dog"]]


def test_nothing_is_dropped_for_its_faults(planted):
    draw(9).point(lambda value: value // 9).save(planted / "data/library/a/dark.png")
    fingerprint.main()
    dedup.main()
    assert "library/a/dark.png" in used(planted)
    faults = IMAGES.read().set_index("path")["faults"]
    assert "dark" in faults["library/a/dark.png"].split(", ")
    assert "dark" not in str(faults["library/a/2.png"])
    assert pd.isna(faults["library/a/broken.jpg"])


def test_decisions_are_obeyed_and_disputes_are_listed(planted, caplog):
    caplog.set_level("INFO")
    ids = FINGERPRINTS.read().set_index("path")["image_id"]
    lines = {
        "ann": [
            (ids["library/a/0.png"], "relabel", "b"),
            (ids["library/b/3.png"], "remove", ""),
            ("f" * 32, "keep", ""),
        ],
        "bob": [(ids["library/b/3.png"], "keep", "")],
    }
    for person, said in lines.items():
        text = "".join(f"{','.join(line)},2026-01-0{1 + (person == 'bob')}T00:00:00.000Z,why\n" for line in said)
        (planted / f"data/decisions/{person}.csv").write_text("image_id,decision,value,on,why\n" + text)
    paths = used(planted)
    assert len({"library/a/0.png", "library/b/zero again.png"} & paths) == 1
    assert "library/b/3.png" in paths
    disputes = pd.read_csv("data/disputes.csv")
    assert disputes[["person", "decision", "counts"]].values.tolist() == [
        ["ann", "remove", False],
        ["bob", "keep", True],
    ]
    assert "decisions about 3 pictures, 1 of them not here now" in caplog.text
    assert "people differ about data/library/b/3.png: ann says remove, bob says keep" in caplog.text


@pytest.mark.parametrize(
    ("decided", "words"),
    [
        ((), "decisions about 1 picture, 0 of them not here now\n"),
        ((0,), "decisions about 2 pictures, 0 of them not here now; 1 unlabelled picture waits for `make intake`\n"),
        ((0, 1), "about 3 pictures, 0 of them not here now; 2 unlabelled pictures wait for `make intake`\n"),
    ],
)
def test_the_log_says_how_many_decisions_wait_for_intake(planted, caplog, decided, words):
    """They are about pictures without a label; what the library has too does not wait, whatever else is unlabelled."""
    caplog.set_level("INFO")
    for seed in range(10, 13):
        save(planted / f"data/unlabelled/{seed - 10}.png", seed)
    save(planted / "data/unlabelled/again.png", 5)
    fingerprint.main()
    ids = FINGERPRINTS.read().set_index("path")["image_id"]
    decide(planted, f"{ids['library/b/5.png']},keep,", *(f"{ids[f'unlabelled/{n}.png']},relabel,new" for n in decided))
    merge.main()
    assert words in caplog.text


def test_a_broken_instruction_stops_the_stage_before_it_writes(planted):
    (planted / "data/classes.yaml").write_text("merge:\n  x: [nowhere]\n")
    with pytest.raises(InstructionError, match=r"data/classes\.yaml, line 2: there is no folder data/library/nowhere"):
        merge.main()
    assert not (planted / "data/images.parquet").exists()
