import os
from datetime import UTC, datetime

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intake.proposals import decisions_example
from runtime.errors import InputError, InstructionError
from stages.labels import classes, confused
from stages.labels.classes import Classes, read_classes
from stages.labels.confused import read_confused
from stages.labels.decisions import OF_ONE, OF_TWO, Decision, read_decisions, settle
from stages.labels.labelling import label, list_sub_classes, waiting
from stages.labels.names import names_now, renamed_classes
from stages.labels.person_files import MAX_BYTES

A, B, C = ("a" * 32, "b" * 32, "c" * 32)
FOLDERS = ["cat", "kitten", "dog", "dog_staged", "bird's “nest” 鳥", "odd"]


def classes_of(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    return read_classes(tmp_path / "classes.yaml", FOLDERS)


def test_an_empty_file_makes_every_folder_a_real_class(tmp_path):
    classes = classes_of(tmp_path, "# nothing yet\n")
    assert classes.class_names == {name: name for name in FOLDERS}
    assert set(classes.origins.values()) == {"real"}


def test_sub_classes_merge_and_have_origins(tmp_path):
    classes = classes_of(
        tmp_path,
        "merge:\n  feline: [cat, kitten]\n  dog: [dog, dog_staged]\n"
        "origin:\n  staged: [dog_staged]\n  unknown: [odd]\n",
    )
    assert classes.class_names["kitten"] == "feline"
    assert (classes.class_names["dog_staged"], classes.origins["dog_staged"]) == ("dog", "staged")
    assert (classes.class_names["odd"], classes.origins["odd"]) == (None, "unknown")
    assert classes.of_benchmark("cat") == "feline"
    assert classes.of_benchmark("feline") == "feline"
    assert classes.of_benchmark("zebra") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("merge:\n  feline: [cat, lion]\n", "line 2: there is no folder data/library/lion. Correct the name"),
        ("merge:\n  feline: [cat]\n  pet: [cat]\n", "line 3: cat is named under feline already"),
        ("origin:\n  staged: [cat]\n  synthetic: [cat]\n", "line 3: cat is named under staged already"),
        ("merge:\n  cat: [kitten]\n", "the class cat has the name of a folder that does not belong to it"),
        ("merged:\n  feline: [cat]\n", "line 1: expected the heading merge, origin or was, got 'merged'"),
        ("was:\n  dog: [hound]\n  cat: [kitten]\n", "line 3: data/library/kitten is still there, so it is no old name"),
        (
            "was:\n  dog: [hound]\n  cat: [hound]\n",
            "line 3: hound is an old name of dog already. It can be of one only",
        ),
        ("was:\n  dog: [hound]\n  hound: [wolf]\n", "line 3: hound is itself an old name, of dog. Write all old names"),
        ("was:\n  lion: [puma]\n  puma: [lion]\n", "line 2: lion is itself an old name, of puma"),
        ("was:\n  dog: [a/b]\n", "line 2: 'a/b' was no folder's name"),
        ("was:\n  lion: [puma]\n", "line 2: there is no folder data/library/lion. Correct the name"),
        ("merge:\n  pet: [hound]\nwas:\n  dog: [hound]\n", "line 2: hound is an old name of dog. Write the new name"),
        ("origin:\n  fake: [cat]\n", "line 2: expected staged, synthetic or unknown, got 'fake'"),
        ("merge:\n  feline: cat\n", "line 2: expected a list of sub-classes"),
        ("merge:\n  feline: [cat]\n  feline: [kitten]\n", "line 3: feline appears here a second time"),
        ("- cat\n", "line 1: expected `name: ...` entries"),
        ("merge:\n  ? [feline]\n  : [cat]\n", "line 2: expected a name before the colon"),
        ("merge: {", "is not YAML"),
    ],
)
def test_a_wrong_line_of_classes_yaml_is_named(tmp_path, text, message):
    with pytest.raises(InstructionError, match=message):
        classes_of(tmp_path, text)


def test_a_renamed_folder_keeps_its_decisions_and_its_benchmarks(tmp_path):
    table = fingerprints("library/cat/1.png", "library/dog/2.png", "benchmarks/hard/hound/3.png")
    classes = classes_of(tmp_path, "was:\n  dog: [hound, wolf]\n")
    line = f"{table['image_id'][0]},relabel,hound,2026-01-01T00:00:00.000Z,"
    (tmp_path / "said").mkdir()
    (tmp_path / "said/ann.csv").write_text(f"image_id,decision,value,on,why\n{line}\n")
    said = read_decisions(tmp_path / "said", FOLDERS, renamed=classes.renamed)
    rows = label(table, classes, settle(said))
    assert rows["sub_class"].tolist() == rows["class_name"].tolist() == ["dog"] * 3
    assert rows["was"].tolist() == ["hound/wolf"] * 3
    assert renamed_classes(rows) == {"hound": "dog", "wolf": "dog"}


def test_a_decision_about_an_unlabelled_picture_may_name_a_sub_class_that_has_no_folder_yet(tmp_path):
    table = fingerprints("library/cat/1.png", "unlabelled/2.png")
    ids = table["image_id"].tolist()
    text = "".join(f"{image_id},relabel,walrus,2026-01-01T00:00:00Z,\n" for image_id in ids[1:])
    (tmp_path / "ann.csv").write_text(f"image_id,decision,value,on,why\n{text}")
    said = read_decisions(tmp_path, FOLDERS, waiting=lambda: waiting(table))
    assert settle(said).relabelled == {ids[1]: "walrus"}
    (tmp_path / "ann.csv").write_text(f"image_id,decision,value,on,why\n{text.replace(ids[1], ids[0])}")
    with pytest.raises(InstructionError, match="no folder data/library/walrus.*`make intake` makes the folder"):
        read_decisions(tmp_path, FOLDERS, waiting=lambda: waiting(table))


def test_a_picture_is_confirmed_if_a_person_gave_its_label_or_said_that_it_rightly_has_none(tmp_path):
    table = fingerprints("library/cat/1.png", "library/cat/2.png", "library/cat/3.png", "benchmarks/out_of_scope/4.png")
    answers = (("relabel", "cat"), ("relabel", "dog"), ("keep", ""), ("keep", ""))
    decided = [said(1, "ann", image_id, *answer) for image_id, answer in zip(table["image_id"], answers, strict=True)]
    rows = label(table, classes_of(tmp_path, ""), settle(decided))
    assert rows["confirmed"].tolist() == [True, True, False, True]
    assert rows["sub_class"].tolist()[:3] == ["cat", "dog", "cat"]


def test_a_class_that_has_the_old_name_of_a_folder_keeps_it(tmp_path):
    classes = classes_of(tmp_path, "merge:\n  hound: [dog, dog_staged]\nwas:\n  dog: [hound]\n")
    rows = label(fingerprints("library/dog/1.png", "benchmarks/hard/hound/2.png"), classes, settle([]))
    assert rows["class_name"].tolist() == ["hound", "hound"]
    assert renamed_classes(rows) == {}


def test_the_classes_of_a_base_are_named_as_they_are_now():
    renamed = {"chimp": "chimpanzee", "ape": "gorilla"}
    assert names_now(["chimp", "cafe\u0301", "rat"], renamed) == ["chimpanzee", "caf\xe9", "rat"]
    assert names_now(["ape", "gorilla", "cafe\u0301", "caf\xe9"], renamed) == [
        "ape",
        "gorilla",
        "cafe\u0301",
        "caf\xe9",
    ]


def test_an_absent_classes_yaml_says_that_an_empty_one_will_do(tmp_path):
    with pytest.raises(InstructionError, match="an empty file will do"):
        read_classes(tmp_path / "classes.yaml", FOLDERS)


def decisions_of(tmp_path, *lines, person="ann"):
    (tmp_path / f"{person}.csv").write_text("\n".join(["image_id,decision,value,on,why", *lines, ""]))
    return read_decisions(tmp_path, FOLDERS)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("abc,keep,,2026-01-01T00:00:00.000Z,", "ann.csv, line 2: expected an image_id of 32 hex digits, got 'abc'"),
        (f"{A},kepe,,2026-01-01T00:00:00.000Z,", "line 2: expected one of keep, remove, relabel, undo, .*got 'kepe'"),
        (f"{A},relabel,lion,2026-01-01T00:00:00.000Z,", "line 2: 'lion' is not a sub-class"),
        (f"{A},distinct,,2026-01-01T00:00:00.000Z,", "line 2: distinct needs the other picture's image_id"),
        (f"{A},duplicate,{A},2026-01-01T00:00:00.000Z,", "line 2: duplicate needs the other picture's image_id"),
        (f"{A},keep,,yesterday,", "line 2: expected a time in UTC such as 2026-11-02T09:15:00.000Z, got 'yesterday'"),
        (f"{A},keep,,2026-01-01T00:00:00.000+02:00,", "line 2: expected a time in UTC"),
        (f"{A},keep", "line 2: expected 5 fields"),
        (f'{A},keep,,2026-01-01T00:00:00.000Z,"open', "line 2: no CSV"),
    ],
)
def test_a_wrong_decision_is_named(tmp_path, line, message):
    with pytest.raises(InstructionError, match=message):
        decisions_of(tmp_path, line)


def test_a_file_with_another_header_is_refused(tmp_path):
    (tmp_path / "bob.csv").write_text("image,what\n")
    with pytest.raises(InstructionError, match="bob.csv, line 1: expected image_id,decision,value,on,why"):
        read_decisions(tmp_path, FOLDERS)


def test_a_union_merge_s_repeated_header_and_lines_do_not_matter(tmp_path):
    line = f"{A},remove,,2026-01-01T00:00:00.000Z,blurred"
    once = settle(decisions_of(tmp_path, line))
    assert settle(decisions_of(tmp_path, line, "image_id,decision,value,on,why", "", line)) == once


LINE = f"{A},remove,,2026-01-01T00:00:00.000Z"


def test_a_line_ends_where_csv_says(tmp_path):
    (one,) = decisions_of(tmp_path, f'{LINE},"copied\u2028from\v a\f page\u0085"')
    assert one.why == "copied\u2028from\v a\f page\u0085"
    (one,) = decisions_of(tmp_path, f'{LINE},"two\nlines"')
    assert one.why == "two\nlines"


def test_what_a_spreadsheet_adds_counts_for_nothing(tmp_path):
    text = f"\ufeffimage_id,decision,value,on,why,,\r\n{LINE},dark,,\r\n,,,,,,\r\n\r\n"
    (tmp_path / "ann.csv").write_bytes(text.encode())
    (one,) = read_decisions(tmp_path, FOLDERS)
    assert (one.line, one.why) == (2, "dark")


def test_an_image_id_may_be_in_upper_case(tmp_path):
    (one,) = decisions_of(tmp_path, f"{A.upper()},distinct,{B.upper()},2026-01-01T00:00:00.000Z,")
    assert one.subject == (A, B)


def test_a_line_that_begins_with_a_number_sign_is_a_comment(tmp_path):
    assert decisions_of(tmp_path, f"# {LINE},", "#", "# a, b, c") == []
    (tmp_path / "ann.csv").write_text(decisions_example())
    assert read_decisions(tmp_path, FOLDERS) == []


def test_every_line_of_the_example_is_a_decision_once_its_comment_sign_is_taken_off(tmp_path):
    (tmp_path / "ann.csv").write_text(decisions_example().replace("# 0", "0"))
    assert [one.decision for one in read_decisions(tmp_path, ["boots"])] == [
        "keep", "remove", "relabel", "distinct", "duplicate", "undo"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["ANA.CSV", "ana.txt", "ana.csv.orig", "ana.xlsx", "old/ana.csv"])
def test_a_file_that_nobody_would_read_is_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    with pytest.raises(InstructionError, match=rf"{name.split('/')[0]} is not read: .* called <person>\.csv"):
        read_decisions(tmp_path, FOLDERS)


@pytest.mark.parametrize("name", ["._ana.csv", ".gitkeep", "ana.csv~", "~$ana.xlsx", ".~lock.ana.csv#", "Thumbs.db"])
def test_litter_is_no_file_of_decisions(tmp_path, name):
    (tmp_path / name).write_bytes(b"\0\5\x16\7\xff\xfe")
    assert read_decisions(tmp_path, FOLDERS) == []


@pytest.mark.parametrize("text", ["20261102T091500Z", "2026-11-02", "2026-W45-1T00:00:00Z", "2026-13-02T09:15:00Z"])
def test_a_time_has_one_form(tmp_path, text):
    with pytest.raises(InstructionError, match="line 2: expected a time in UTC such as 2026-11-02T09:15:00.000Z"):
        decisions_of(tmp_path, f"{A},keep,,{text},")


def said(day, person, image_id, decision, value=""):
    return Decision(datetime(2026, 1, day, tzinfo=UTC), person, day, image_id, decision, value, "")


def test_the_latest_counts():
    assert settle([said(1, "ann", A, "remove"), said(2, "bob", A, "keep")]).kept == {A}
    assert settle([said(1, "ann", A, "keep"), said(2, "bob", A, "remove")]).removed == {A}
    assert settle([said(1, "ann", A, "remove"), said(2, "ann", A, "relabel", "cat")]).removed == set()
    assert settle([said(1, "ann", A, "relabel", "cat"), said(2, "ann", A, "relabel", "dog")]).relabelled == {A: "dog"}
    assert settle([said(1, "ann", A, "duplicate", B), said(2, "bob", B, "distinct", A)]).distinct == {(A, B)}


def test_a_kept_picture_keeps_its_new_label():
    verdicts = settle([said(1, "ann", A, "relabel", "cat"), said(2, "ann", A, "keep")])
    assert (verdicts.relabelled, verdicts.kept) == ({A: "cat"}, {A})


def test_undo_withdraws_everything_before_it_and_nothing_after():
    before = [said(1, "ann", A, "relabel", "cat"), said(2, "bob", A, "remove"), said(3, "ann", B, "distinct", A)]
    assert settle([*before, said(4, "ann", A, "undo")]) == settle([])
    assert settle([*before, said(4, "ann", A, "undo"), said(5, "bob", A, "keep")]).kept == {A}


def test_people_who_differ_are_listed_and_those_who_agree_are_not():
    differ = [said(1, "ann", A, "remove"), said(2, "bob", A, "keep")]
    agree = [said(3, "ann", B, "distinct", C), said(4, "bob", C, "distinct", B)]
    assert list(settle([*differ, *agree]).disputed) == differ
    assert settle([*differ, said(5, "ann", A, "keep")]).disputed == ()


DECISIONS = st.builds(
    said,
    st.integers(1, 28),
    st.sampled_from(["ann", "bob"]),
    st.sampled_from([A, B]),
    st.sampled_from([*OF_ONE, *OF_TWO]),
    st.just(C),
)


@given(st.lists(DECISIONS), st.lists(DECISIONS))
def test_settling_is_the_same_for_repeats_and_any_split_into_files(some, more):
    assert settle(sorted([*some, *more])) == settle(sorted([*more, *some, *some]))


def fingerprints(*paths):
    ids = [f"{number:032x}" for number in range(len(paths))]
    return pd.DataFrame({"path": paths, "image_id": ids, "error": None})


PLAIN = Classes({"cat": "cat", "dog": "dog", "odd": None}, {"cat": "real", "dog": "staged", "odd": "unknown"})


def test_a_label_is_the_folder_s_unless_a_person_said_another():
    table = fingerprints(
        "library/cat/1.png", "library/dog/deep/2.png", "benchmarks/hard/dog/3.png", "benchmarks/out_of_scope/cat/4.png",
        "library/stray.png", "unlabelled/5.png", "library/odd/6.png",
    )  # fmt: skip
    verdicts = settle([said(1, "ann", table["image_id"][0], "relabel", "dog")])
    rows = label(table, PLAIN, verdicts)
    assert rows["set"].tolist() == ["library", "library", "hard", "out_of_scope", "library", "library"]
    assert rows["class_name"].fillna("-").tolist() == ["dog", "dog", "dog", "-", "-", "-"]
    assert rows["origin"].fillna("-").tolist() == ["staged", "staged", "real", "real", "-", "unknown"]
    assert list_sub_classes(table["path"]) == ["cat", "dog", "odd"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("benchmarks/hard/zebra/1.png", "there is no class zebra"),
        ("benchmarks/hard/1.png", "belongs to no class: expected data/benchmarks/<benchmark>/<class>/1.png"),
        ("benchmarks/test/cat/1.png", "test is the name of a split"),
    ],
)
def test_a_benchmark_s_folder_that_is_no_class_is_named(path, message):
    with pytest.raises(InputError, match=message):
        label(fingerprints("library/cat/0.png", path), PLAIN, settle([]))


INSTRUCTIONS = {
    "classes.yaml": (read_classes, classes.MAX_BYTES),
    "confused.csv": (read_confused, confused.MAX_BYTES),
    "decisions/ada.csv": (lambda path, names: read_decisions(path.parent, names), MAX_BYTES),
}


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions_that_are_no_regular_file_or_too_large_are_refused_unread(tmp_path, name):
    read, max_bytes = INSTRUCTIONS[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.truncate(path, max_bytes + 1)
    with pytest.raises(InstructionError, match=f"has {max_bytes + 1:,} bytes; expected at most {max_bytes:,}"):
        read(path, [])
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InstructionError, match=r"is a pipe, not a regular file|is not read"):
        read(path, [])


@pytest.mark.parametrize("text", ["[" * 10_000, "a: " + "{b: " * 10_000])
def test_instructions_nested_without_end_are_refused(tmp_path, text):
    (tmp_path / "classes.yaml").write_text(text)
    with pytest.raises(InstructionError, match="classes.yaml is nested deeper than"):
        read_classes(tmp_path / "classes.yaml", [])
