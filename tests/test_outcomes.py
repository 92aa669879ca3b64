"""What people found about answers in production, as it stands in data/outcomes: what is read, and what counts."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from repositories import ROOT, commit, surroundings

from curation.actions import why
from runtime.errors import InstructionError
from serving import outcomes
from serving.outcomes import OUTCOMES, Drawing, Outcome, drawing_of, parse_outcomes, read_outcomes, settle

A, B = "01a21c44-f07f-7e89-87a7-fd10adc1e8a9", "01a21c44-f07f-7e89-87a7-fd10adc1e8aa"
PICTURE = "0123456789abcdef0123456789abcdef"
HEADER = "transaction,image_id,outcome,value,on,why"
TIME = "2026-11-27T09:15:00.000Z"


def outcomes_of(tmp_path, *lines, person="ana"):
    (tmp_path / f"{person}.csv").write_text("\n".join([HEADER, *lines, ""]))
    return read_outcomes(tmp_path)


def test_every_outcome_is_read_as_it_is_written(tmp_path):
    given_values = {"wrong": "hat", "bad_picture": "dark", "candidate": "red panda", "should_have_answered": "boots"}
    lines = [f'{A},{PICTURE},{each},{given_values.get(each, "")},{TIME},"a, b"' for each in OUTCOMES]
    found = outcomes_of(tmp_path, *lines)
    assert [(each.outcome, each.value) for each in found] == [(each, given_values.get(each, "")) for each in OUTCOMES]
    assert {(each.transaction, each.image_id, each.person, each.why) for each in found} == {(A, PICTURE, "ana", "a, b")}
    assert found[0].on == datetime(2026, 11, 27, 9, 15, tzinfo=UTC)


def test_a_folder_that_is_not_there_holds_none(tmp_path):
    assert read_outcomes(tmp_path / "outcomes") == []


def test_identities_may_be_in_upper_case_and_names_in_the_form_of_macos(tmp_path):
    (one,) = outcomes_of(tmp_path, f"{A.upper()},{PICTURE.upper()},wrong,cafe\u0301,{TIME},")
    assert (one.transaction, one.image_id, one.value) == (A, PICTURE, "caf\u00e9")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{A[:-1]},{PICTURE},right,,{TIME},", "ana.csv, line 2: expected a transaction such as 01a21c44-.*got '01a2"),
        (f"{PICTURE},{PICTURE},right,,{TIME},", "ana.csv, line 2: expected a transaction such as 01a21c44-"),
        (f"{A},abc,right,,{TIME},", "ana.csv, line 2: expected an image_id of 32 hex digits, got 'abc'"),
        (f"{A},{PICTURE},wright,,{TIME},", "line 2: expected one of right, wrong, bad_picture, .*undo, got 'wright'"),
        (f"{A},{PICTURE},wrong,,{TIME},", "line 2: wrong needs the class that it is as its value. Add it"),
        (f"{A},{PICTURE},bad_picture, ,{TIME},", "line 2: bad_picture needs the fault as its value"),
        (f"{A},{PICTURE},candidate,,{TIME},", "line 2: candidate needs the name of what it shows as its value"),
        (f"{A},{PICTURE},should_have_answered,,{TIME},", "line 2: should_have_answered needs the class that it is"),
        (f"{A},{PICTURE},right,,yesterday,", f"line 2: expected a time in UTC such as {TIME}, got 'yesterday'"),
        (f"{A},{PICTURE},right,,2026-11-27T09:15:00.000+02:00,", "line 2: expected a time in UTC"),
        (f"{A},{PICTURE},right,,2026-13-27T09:15:00.000Z,", "line 2: expected a time in UTC"),
        (f"{A},{PICTURE},right,,{TIME}", rf"line 2: expected 6 fields \({HEADER}\), got 5"),
        (f'{A},{PICTURE},right,,{TIME},"open', "line 2: no CSV: .* Correct the line"),
    ],
)
def test_a_wrong_line_is_named_with_the_way_out(tmp_path, line, message):
    with pytest.raises(InstructionError, match=message):
        outcomes_of(tmp_path, line)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("bob.csv", b"image_id,decision,value,on,why\n", f"bob.csv, line 1: expected {HEADER}, got image_id,decision"),
        ("bob.csv", b"\xff\xfe", "bob.csv is not UTF-8: .* Save it as UTF-8"),
        ("bob.txt", b"", r"bob.txt is not read: .* <person>\.csv"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InstructionError, match=message):
        read_outcomes(tmp_path)


def test_a_pipe_is_refused_unread(tmp_path):
    os.mkfifo(tmp_path / "ana.csv")
    with pytest.raises(InstructionError, match="ana.csv"):
        read_outcomes(tmp_path)


def test_what_spreadsheets_merges_and_people_add_counts_for_nothing(tmp_path):
    line = f"{A},{PICTURE},right,,{TIME},dark,,"
    text = f"\ufeff{HEADER},,\r\n{line}\r\n,,,,,,,\r\n# a note\r\n\r\n{HEADER}\r\n"
    (tmp_path / "ana.csv").write_bytes(text.encode())
    (tmp_path / ".gitkeep").touch()
    (one,) = read_outcomes(tmp_path)
    assert (one.line, one.why) == (2, "dark")


def said(day, person, transaction, outcome, value=""):
    on = datetime(2026, 11, 1, tzinfo=UTC) + timedelta(days=day)
    return Outcome(on, person, day, transaction, PICTURE, outcome, value, "")


def test_of_one_person_and_across_people_the_latest_counts():
    first, then = said(1, "ana", A, "right"), said(2, "ana", A, "wrong", "hat")
    assert settle([first, then]).counting == {A: then}
    other = said(3, "ben", A, "prank")
    assert settle([first, then, other, said(1, "ben", B, "right")]).counting[A] == other


def test_undo_withdraws_what_this_person_said_of_this_transaction_alone():
    before = [said(1, "ben", A, "right"), said(2, "ana", A, "wrong", "hat"), said(3, "ana", B, "prank")]
    settled = settle([*before, said(4, "ana", A, "undo")])
    assert settled.counting == {A: before[0], B: before[2]}
    assert settle([*before, said(4, "ana", A, "undo"), said(5, "ben", A, "undo")]).counting == {B: before[2]}


def test_two_who_differ_are_listed_the_one_that_counts_last_and_those_who_agree_are_not():
    differ = [said(1, "ana", A, "wrong", "hat"), said(2, "ben", A, "wrong", "cap")]
    agree = [said(1, "ana", B, "right"), said(2, "ben", B, "right", "a value that means nothing here")]
    assert settle([*differ, *agree]).disputes == (tuple(differ),)
    assert settle([*differ, said(3, "ana", A, "wrong", "cap")]).disputes == ()
    assert settle([*differ, said(3, "ana", A, "undo")]).disputes == ()


OUTCOME = st.builds(
    said,
    st.integers(1, 20),
    st.sampled_from(["ana", "ben"]),
    st.sampled_from([A, B]),
    st.sampled_from(OUTCOMES),
    st.sampled_from(["hat", "cap"]),
)


@given(
    st.floats(0, 1, exclude_min=True),
    st.integers(1, 10**6),
    st.sampled_from(["lost, 2026-W01", "shown, far, 2026-W48"]),
)
def test_how_an_answer_was_drawn_is_read_exactly_as_it_was_written(probability, num, cell):
    drawing = Drawing(probability, cell, num)
    said = why("production", "said hat 97.5", drawing.note, "2 of 3", action="0123456789ab")
    assert drawing_of(said) == drawing == drawing_of(drawing.note)


@pytest.mark.parametrize(
    "said",
    [
        "", "not a cup", "production; version 7; said hat 97.5; act:0123456789ab", "he has drawn 3, one of 4: hats",
        "drawn 0, one of 4: shown, 2026-W48", "drawn 1.5, one of 4: shown", "drawn nan, one of 4: shown",
        "drawn inf, one of 4: shown", "drawn well, one of 4: shown", "drawn 0.5, one of 0: shown", "drawn 0.5, one of",
    ],
)  # fmt: skip
def test_what_does_not_say_how_an_answer_was_drawn_says_nothing_of_it(said):
    assert drawing_of(said) is None


@given(st.lists(OUTCOME), st.lists(OUTCOME))
def test_settling_is_the_same_for_repeats_and_any_split_into_files(some, more):
    assert settle(sorted([*some, *more])) == settle(sorted([*more, *some, *some]))


@given(st.lists(OUTCOME))
def test_what_counts_is_the_latest_that_stands_of_a_person_and_is_never_an_undo(some):
    for transaction, counts in settle(sorted(some)).counting.items():
        own = [each for each in sorted(some) if (each.transaction, each.person) == (transaction, counts.person)]
        assert counts == own[-1]
        assert counts.outcome != "undo"


def test_branches_on_which_one_person_judged_merge_without_a_conflict(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    path = Path(outcomes.FOLDER, "ana.csv")

    def judged(numbers):
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{A[:-4]}{number:04x},{PICTURE},right,,{TIME},\n" for number in numbers)

    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        Path(".gitattributes").write_bytes((ROOT / ".gitattributes").read_bytes())
        path.parent.mkdir(parents=True)
        path.write_text(HEADER + "\n")
        judged(range(20))
        commit("Outcomes of before")
        for branch, numbers in (("monday", range(20, 70)), ("tuesday", range(60, 110))):
            subprocess.run(["git", "switch", "--quiet", "--create", branch, "main"], check=True)
            judged(numbers)
            commit(f"Outcomes of {branch}")
        subprocess.run(["git", "merge", "--quiet", "--no-edit", "monday"], check=True)
        assert len(settle(read_outcomes()).counting) == 110


def test_a_text_names_its_person_by_its_path():
    (one,) = parse_outcomes(f"{HEADER}\n{A},{PICTURE},prank,,{TIME},\n", "data/outcomes/ana.csv")
    assert one.person == "ana"
