"""The one writer of outcomes has the guarantees of that of decisions, and takes back what one person found alone."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from repositories import commit, surroundings

from curation.actions import OutcomeRow, Row, why
from curation.outcome_file import OutcomeFile
from curation.parting import Parting
from curation.state import Desk
from runtime.errors import InstructionError, RepositoryError
from serving.outcomes import read_outcomes

A, B = "01a21c44-f07f-7e89-87a7-fd10adc1e8a9", "01a21c44-f07f-7e89-87a7-fd10adc1e8aa"
PICTURE = f"{1:032x}"
NOW = datetime(2026, 11, 27, 9, 15, tzinfo=UTC)
HEADER = "transaction,image_id,outcome,value,on,why\n"


def row(transaction=A, outcome="right", value="", action="0123456789ab", note="version 7, of autumn"):
    return OutcomeRow(transaction, PICTURE, outcome, value, why("production", note, action=action))


def opened(folder) -> OutcomeFile:
    file = OutcomeFile("ana", folder / "outcomes", folder / "locks")
    file.refresh()
    return file


def desk(folder) -> Desk:
    return Desk(folder / "decisions", folder / "locks")


def found(folder="data/outcomes") -> list[tuple[str, str, str]]:
    return [(each.transaction, each.outcome, each.value) for each in read_outcomes(folder)]


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        yield folder


def test_a_row_is_flushed_to_the_disk_before_it_is_acknowledged(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    file = opened(tmp_path)
    file.append([row(outcome="candidate", value='a "red" panda, asleep')], NOW)
    assert synced == [str(file.path), str(file.path.parent)]
    assert file.path.read_text() == (
        f'{HEADER}{A},{PICTURE},candidate,"a ""red"" panda, asleep",2026-11-27T09:15:00.000Z,'
        '"production; version 7, of autumn; act:0123456789ab"\n'
    )


def test_an_action_whose_answer_was_lost_is_not_written_twice_and_two_desks_lose_nothing(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path)
    first.append([row(), row(B)])
    assert second.append([row(), row(B)]) == []
    second.append([row(outcome="prank", action="ba9876543210")])
    assert [each.outcome for each in opened(tmp_path).said] == ["right", "right", "prank"]
    assert "was changed elsewhere" in second.notices[0]


@given(cut=st.integers(1, 200), value=st.sampled_from(("hat", "a, b")))
def test_a_row_that_the_power_cut_off_is_taken_out_and_said(tmp_path_factory, cut, value):
    folder = tmp_path_factory.mktemp("torn")
    file = opened(folder)
    file.append([row()])
    before = file.path.read_bytes()
    second = row(B, "wrong", value, action="ba9876543210")
    file.append([second])
    whole = file.path.read_bytes()
    left = max(len(whole) - cut, len(before))
    assume(not whole[:left].endswith(b"Z,"))  # as a person writes a row that has no reason
    file.path.write_bytes(whole[:left])
    again = opened(folder)
    assert again.path.read_bytes() == (whole[:-1] if cut == 1 else before)
    assert len(again.notices) == (len(before) < left < len(whole) - 1)
    again.append([second])
    assert found(folder / "outcomes") == [(A, "right", ""), (B, "wrong", value)]


def test_a_broken_line_is_answered_by_a_message_and_not_written_over(tmp_path):
    state = desk(tmp_path)
    state.judge("ana", [row()])
    path = tmp_path / "outcomes/ana.csv"
    path.write_text(broken := path.read_text() + "nonsense\n")
    with pytest.raises(InstructionError, match="ana.csv, line 3: expected 6 fields"):
        state.judge("ana", [row(B, action="ba9876543210")])
    assert path.read_text() == broken


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    state = desk(tmp_path)
    state.judge("ana", [row()])
    before = (tmp_path / "outcomes/ana.csv").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RepositoryError, match="No space left on device. Nothing was decided"):
        state.judge("ana", [row(B, action="ba9876543210")])
    assert (tmp_path / "outcomes/ana.csv").read_bytes() == before
    assert state.ledger.found(B, PICTURE) == {}


def test_what_no_commit_holds_is_taken_off_and_what_one_holds_is_answered_by_undo(clone):
    state = Desk()
    state.judge("ana", [row(), row(B)])
    commit("Outcomes")
    state.judge("ana", [row(outcome="wrong", value="hat", action="000000000002")])
    assert state.uncommitted_outcomes("ana") == 1
    assert [each.value for each in state.undo("ana", "000000000003")] == ["hat"]
    assert found() == [(A, "right", ""), (B, "right", "")]
    assert state.uncommitted_outcomes("ana") == 0
    assert len(state.undo("ana", "000000000004")) == 2
    assert found()[2:] == [(A, "undo", ""), (B, "undo", "")]
    assert state.ledger.found(A, PICTURE) == state.ledger.found(B, PICTURE) == {}
    assert state.undo("ana", "000000000005") == []


def test_after_an_undo_counts_what_this_person_had_said_before_and_what_others_say_stays(clone):
    state = Desk()
    state.judge("ben", [row(outcome="prank", action="00000000000a")])
    state.judge("ana", [row(outcome="wrong", value="hat", action="000000000001")])
    state.judge("ana", [row(outcome="wrong", value="cap", action="000000000002")])
    commit("Outcomes")
    state.undo("ana", "000000000003", of="000000000002")
    says = state.ledger.found(A, PICTURE)
    assert {person: each.answer for person, each in says.items()} == {"ana": ("wrong", "hat"), "ben": ("prank", "")}
    state.undo("ana", "000000000004")
    assert {person: each.answer for person, each in state.ledger.found(A, PICTURE).items()} == {"ben": ("prank", "")}
    assert [each.answer for each in Desk().ledger.found(A, PICTURE).values()] == [("prank", "")]


def test_one_undo_takes_back_what_was_said_last_be_it_a_decision_or_an_outcome(tmp_path):
    state = desk(tmp_path)
    decided = Row(PICTURE, "remove", "", why("label", action="000000000001"))
    state.say("ana", [decided], NOW)
    state.judge("ana", [row(action="000000000002")], NOW.replace(minute=16))
    state.say("ana", [decided._replace(why=why("label", action="000000000003"))], NOW.replace(minute=17))
    assert [rows[0].on.minute for rows in state.latest("ana")] == [17, 16, 15]
    assert [state.undo("ana", f"{number:012x}")[0].on.minute for number in range(10, 13)] == [17, 16, 15]
    assert not state.undo("ana", f"{13:012x}")


def test_two_who_decide_about_one_picture_do_not_see_what_the_other_found(tmp_path):
    parting = Parting(("ana", "ben"), 1.0)
    state = Desk(tmp_path / "decisions", tmp_path / "locks", parting)
    state.judge("ana", [row()])
    assert parting.view(state.ledger, "ben").found(A, PICTURE) == {}
    assert set(parting.view(state.ledger, "ana").found(A, PICTURE)) == {"ana"}
    state.judge("ben", [row(outcome="prank")])
    assert [[each.person for each in said] for said in state.ledger.outcome_disputes()] == [["ana", "ben"]]


def test_an_action_that_is_an_outcome_and_a_decision_is_one_and_taken_back_whole(clone):
    state = Desk()
    decided = Row(PICTURE, "relabel", "hat", row().why)
    assert len(state.write("ana", [decided, row()])) == 2
    assert [len(rows) for rows in state.latest("ana")] == [2]
    assert {type(each).__name__ for each in state.undo("ana", "000000000001")} == {"Decision", "Outcome"}
    assert state.file("ana").said == state.outcomes("ana").said == []
    state.write("ana", [decided, row()])
    commit("One of each")
    state.undo("ana", "000000000002")
    assert [each.decision for each in state.file("ana").said] == ["relabel", "undo"]
    assert [each.outcome for each in state.outcomes("ana").said] == ["right", "undo"]
    assert list(state.latest("ana")) == [] and state.undo("ana", "000000000003") == []
