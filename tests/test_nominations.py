"""Nominations for benchmarks as they stand in data/nominations: what is read, who agrees, and what goes where."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import ROOT, commit, surroundings

from intake import from_production, nominations
from intake.nominations import SAID, Nomination, read_nominations, settle, standing
from runtime.errors import InstructionError
from stages.labels.classes import Classes
from stages.labels.decisions import Verdicts

A, B = f"{0xA:032x}", f"{0xB:032x}"
HEADER = "image_id,said,benchmark,value,on,why"
TIME = "2026-11-27T09:15:00.000Z"
CLASSES = Classes(
    {"boots": "boots", "boots_tall": "boots", "hat": "hat", "unknown_x": None},
    {"boots": "real", "boots_tall": "real", "hat": "real", "unknown_x": "unknown"},
    {"wellies": "boots_tall"},
)
PEOPLE = ("ana", "ben", "carl")


def read(tmp_path, *lines, person="ana"):
    (tmp_path / f"{person}.csv").write_text("\n".join([HEADER, *lines, ""]))
    return read_nominations(tmp_path)


def test_all_that_is_said_is_read_as_it_is_written(tmp_path):
    lines = [
        f"{A},nominated,difficult,boots,{TIME},",
        f"{A.upper()},nominated,out_of_scope,,{TIME},",
        f'{A},named,,cafe\u0301,{TIME},"a, b"',
        f"{A},no_class,,,{TIME},",
        f"{A},cannot_tell,,,{TIME},",
        f"{A},undo,,,{TIME},",
    ]
    found = read(tmp_path, *lines)
    assert [(each.said, each.benchmark, each.value) for each in found] == [
        ("nominated", "difficult", "boots"), ("nominated", "out_of_scope", ""), ("named", "", "caf\u00e9"),
        ("no_class", "", ""), ("cannot_tell", "", ""), ("undo", "", ""),
    ]  # fmt: skip
    assert {(each.image_id, each.person) for each in found} == {(A, "ana")} and found[2].why == "a, b"
    assert read_nominations(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"abc,named,,hat,{TIME},", "ana.csv, line 2: expected an image_id of 32 hex digits, got 'abc'"),
        (f"{A},proposed,,hat,{TIME},", "line 2: expected one of nominated, named, no_class, .*, got 'proposed'"),
        (f"{A},nominated,,hat,{TIME},", "line 2: nominated names a benchmark, and nothing else does; got ''"),
        (f"{A},named,difficult,hat,{TIME},", "line 2: nominated names a benchmark, and nothing else does; got 'diff"),
        (f"{A},nominated,../../.git,hat,{TIME},", "line 2: '../../.git' cannot be a folder of data/benchmarks"),
        (f"{A},nominated,library,hat,{TIME},", "line 2: 'library' cannot be a folder of data/benchmarks"),
        (f"{A},nominated,difficult,,{TIME},", "line 2: named, and nominated for another benchmark than out_of_scope"),
        (f"{A},nominated,out_of_scope,hat,{TIME},", "need the class as value, and nothing else has one; got 'hat'"),
        (f"{A},named,,,{TIME},", "need the class as value"),
        (f"{A},no_class,,hat,{TIME},", "need the class as value, and nothing else has one; got 'hat'"),
        (f"{A},named,,hat,yesterday,", f"line 2: expected a time in UTC such as {TIME}, got 'yesterday'"),
        (f"{A},named,,hat,{TIME}", rf"line 2: expected 6 fields \({HEADER}\), got 5"),
    ],
)
def test_a_wrong_line_is_named_with_the_way_out(tmp_path, line, message):
    with pytest.raises(InstructionError, match=message):
        read(tmp_path, line)


def said(day, person, what, value="", benchmark="", image_id=A):
    on = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day)
    return Nomination(on, person, day, image_id, what, benchmark, value, "")


def settled(*rows):
    return settle(sorted(rows), CLASSES.of_benchmark)


NOMINATED = said(1, "ana", "nominated", "boots", "difficult")


def test_a_picture_goes_when_another_person_names_the_class_also_by_a_sub_class_or_an_old_name():
    for name in ("boots", "boots_tall", "wellies"):
        assert settled(NOMINATED, said(2, "ben", "named", name)).agreed == {A: NOMINATED}
    out = said(1, "ana", "nominated", "", "out_of_scope")
    assert settled(out, said(2, "ben", "no_class")).agreed == {A: out}


def test_it_waits_as_long_as_nobody_else_looked_and_who_nominated_it_too_has_not():
    assert settled(NOMINATED).waiting == {A: NOMINATED}
    also = said(3, "ben", "nominated", "boots", "difficult")
    assert settled(NOMINATED, said(2, "ben", "named", "boots"), also).waiting == {A: also}
    assert settled(said(1, "ben", "named", "boots"), said(2, "ben", "nominated", "hat", "difficult")).waiting
    assert settled(NOMINATED, said(2, "ben", "named", "hat"), said(3, "ben", "undo")).waiting == {A: NOMINATED}


@pytest.mark.parametrize(
    "other",
    [
        said(2, "ben", "named", "hat"),
        said(2, "ben", "no_class"),
        said(2, "ben", "cannot_tell"),
        said(2, "ben", "nominated", "hat", "difficult"),
        said(2, "ben", "nominated", "boots", "most_common"),
    ],
)
def test_who_says_anything_else_ends_it_in_a_dispute_though_a_third_agrees(other):
    for rows in ((NOMINATED, other), (NOMINATED, other, said(3, "carl", "named", "boots"))):
        assert settled(*rows) == ({}, {}, {A: rows})


def test_what_was_named_among_others_before_it_was_nominated_counts_and_alone_does_nothing():
    assert settled(said(1, "ben", "named", "hat")) == ({}, {}, {})
    later = said(2, "ana", "nominated", "hat", "difficult")
    assert settled(said(1, "ben", "named", "hat"), later).agreed == {A: later}
    assert settled(NOMINATED, said(2, "ben", "named", "boots"), said(3, "ana", "undo")) == ({}, {}, {})


def rows_of(kind):
    """Any rows of one kind, those that no file can hold left out."""
    values = st.sampled_from(("boots", "boots_tall", "hat")) if kind in ("nominated", "named") else st.just("")
    benchmarks = st.sampled_from(("difficult", "most_common")) if kind == "nominated" else st.just("")
    picture = st.sampled_from((A, B))
    return st.builds(said, st.integers(1, 30), st.sampled_from(PEOPLE), st.just(kind), values, benchmarks, picture)


NOWHERE = st.builds(
    said, st.integers(1, 30), st.sampled_from(PEOPLE), st.just("nominated"), st.just(""), st.just("out_of_scope")
)
ROWS = st.lists(st.one_of(*(rows_of(kind) for kind in SAID), rows_of("nominated"), rows_of("named"), NOWHERE))


def meant(row):
    return {"boots_tall": "boots"}.get(row.value, row.value)


@given(ROWS)
def test_nothing_goes_to_a_benchmark_without_two_people_who_say_the_same_and_nobody_who_does_not(rows):
    for image_id, nomination in settled(*rows).agreed.items():
        stands = standing(sorted(rows))[image_id]
        looked = [each for each in stands.values() if each.said in ("named", "no_class")]
        assert nomination.said == "nominated" and stands[nomination.person] == nomination
        assert looked and nomination.person not in {each.person for each in looked}
        assert {meant(each) for each in stands.values()} == {meant(nomination)}
        assert "cannot_tell" not in {each.said for each in stands.values()}


@given(ROWS, ROWS)
def test_repeats_and_the_files_in_which_rows_stand_change_nothing(some, more):
    assert settled(*some, *more) == settled(*more, *some, *some)


@given(ROWS, st.permutations(PEOPLE))
def test_who_spoke_first_changes_nothing(rows, people):
    one_after_another = [replace(row, on=row.on + timedelta(days=100 * people.index(row.person))) for row in rows]
    now, then = settled(*rows), settled(*one_after_another)
    for before, after in zip(now, then, strict=True):
        assert before.keys() == after.keys()
    for image_id, nomination in now.agreed.items():
        other = then.agreed[image_id]
        assert (nomination.benchmark, meant(nomination)) == (other.benchmark, meant(other))


@given(
    ROWS,
    st.dictionaries(st.sampled_from((A, B)), st.sampled_from(("boots", "hat"))),
    st.sets(st.sampled_from((A, B))),
    st.sets(st.sampled_from((A, B))),
    st.sets(st.sampled_from((A, B))),
)
def test_no_picture_goes_to_the_library_and_to_a_benchmark_and_none_twice(rows, relabelled, removed, known, harvested):
    verdicts = Verdicts(frozenset(removed), frozenset(), relabelled, frozenset(), frozenset(), ())
    senders, found = dict.fromkeys(harvested, ""), settled(*rows)
    library = from_production.plan(senders, verdicts, ("boots", "hat"), known | found.image_ids)
    benchmarks = from_production.plan_benchmarks(senders, found, verdicts, CLASSES, known)
    ids = [each.image_id for each in (*library, *benchmarks)]
    assert len(set(ids)) == len(ids) and set(ids) <= harvested - known - removed
    assert {each.image_id for each in benchmarks} <= found.agreed.keys() - relabelled.keys()
    assert not {each.image_id for each in library} & found.image_ids


def test_a_class_that_there_is_no_more_has_no_folder_and_out_of_scope_needs_none():
    verdicts = Verdicts(frozenset(), frozenset(), {}, frozenset(), frozenset(), ())
    gone = [said(1, "ana", "nominated", "cap", "difficult"), said(2, "ben", "named", "cap")]
    out = [said(1, "ana", "nominated", "", "out_of_scope", B), said(2, "ben", "no_class", image_id=B)]
    found = from_production.plan_benchmarks({A: "", B: "0123456789ab"}, settled(*gone, *out), verdicts, CLASSES, ())
    assert found == [(B, "benchmarks/out_of_scope", "0123456789ab")]


def test_branches_on_which_one_person_nominated_merge_without_a_conflict(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    path = Path(nominations.FOLDER, "ana.csv")

    def nominated(numbers):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{number:032x},nominated,difficult,hat,{TIME},\n" for number in numbers)

    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        Path(".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
        path.parent.mkdir(parents=True)
        path.write_text(HEADER + "\n")
        nominated(range(9))
        commit("Nominations of before")
        for branch, numbers in (("monday", range(9, 30)), ("tuesday", range(20, 50))):
            subprocess.run(["git", "switch", "--quiet", "--create", branch, "main"], check=True)
            nominated(numbers)
            commit(f"Nominations of {branch}")
        subprocess.run(["git", "merge", "--quiet", "--no-edit", "monday"], check=True)
        assert len(settle(read_nominations(), CLASSES.of_benchmark).waiting) == 50
