"""data/blind/<person>.csv: what it may hold, what counts, and the guarantees of its one writer."""

import subprocess
from datetime import UTC, datetime

import pytest
from repositories import commit, surroundings

from curation.actions import BlindRow, why
from curation.blind_file import BlindFile
from curation.state import Desk
from review.blind_answers import CANNOT_TELL, NAMED, parse_blind, read_blind, standing
from runtime.errors import InstructionError

A, B = f"{1:032x}", f"{2:032x}"
NOW = datetime(2026, 11, 27, 9, 15, tzinfo=UTC)
HEADER = "round,turn,image_id,answer,value,seconds,on,why\n"
TIME = "2026-11-27T09:15:00.000Z"


def row(turn=1, image_id=A, value="hat", seconds=3.85, action="0123456789ab") -> BlindRow:
    answer = NAMED if value else CANNOT_TELL
    return BlindRow(1, turn, image_id, answer, value, seconds, why("blind", "model 7", action=action))


def test_an_answer_is_written_as_one_line_and_read_as_it_was(tmp_path):
    file = BlindFile("ana", tmp_path / "blind", tmp_path / "locks")
    file.append([row(value='a "red" cap, felt')], NOW)
    file.append([row(2, B, "", None, "ba9876543210")], NOW)
    assert file.path.read_text() == (
        f'{HEADER}1,1,{A},named,"a ""red"" cap, felt",3.85,{TIME},"blind; model 7; act:0123456789ab"\n'
        f'1,2,{B},cannot_tell,,,2026-11-27T09:15:00.001Z,"blind; model 7; act:ba9876543210"\n'
    )
    assert read_blind(tmp_path / "blind") == file.said
    assert [each.version for each in file.said] == [7, 7]
    assert file.append([row(value='a "red" cap, felt')]) == []  # the answer to the same request was lost
    cut = file.path.read_bytes()[:-30]
    file.path.write_bytes(cut)
    again = BlindFile("ana", tmp_path / "blind", tmp_path / "locks")
    again.refresh()
    assert [each.turn for each in again.said] == [1]
    assert "has been taken out" in again.notices[0]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"1,1,{A},named,hat,3,{TIME}", "line 2: expected 8 fields"),
        (f"0,1,{A},named,hat,3,{TIME},", "line 2: expected a round from 1 on, got '0'"),
        (f"1,x,{A},named,hat,3,{TIME},", "line 2: expected a turn from 1 on, got 'x'"),
        (f"1,1,{A[1:]},named,hat,3,{TIME},", "line 2: expected an image_id of 32 hex digits"),
        (f"1,1,{A},right,hat,3,{TIME},", "line 2: expected one of named, cannot_tell, undo, got 'right'"),
        (f"1,1,{A},named,,3,{TIME},", "line 2: named needs the class as its value"),
        (f"1,1,{A},cannot_tell,hat,3,{TIME},", "line 2: named needs the class as its value, and no other"),
        (f"1,1,{A},named,hat,-3,{TIME},", "line 2: expected seconds such as 4.25, or nothing, got '-3'"),
        (f"1,1,{A},named,hat,nan,{TIME},", "line 2: expected seconds such as 4.25, or nothing, got 'nan'"),
        (f"1,1,{A},named,hat,3,yesterday,", "line 2: expected a time in UTC"),
        ("", ""),
    ],
)
def test_a_line_that_cannot_be_read_is_named_with_the_remedy(line, words):
    if not line:
        assert parse_blind(HEADER + "\n# a comment\n", "data/blind/ana.csv") == []
        return
    with pytest.raises(InstructionError, match=rf"data/blind/ana.csv, {words}"):
        parse_blind(f"{HEADER}{line}\n", "data/blind/ana.csv")


def test_what_was_withdrawn_does_not_count_and_of_one_turn_the_latest_line_does():
    lines = (
        f"1,1,{A},named,hat,,{TIME},\n1,2,{B},named,hat,,{TIME},\n1,1,{A},undo,,,{TIME},\n1,1,{A},named,boots,,{TIME},\n"
        f"1,2,{B},named,shirt,,{TIME},\n1,9,{A},named,hat,,{TIME},\n"
    )
    counting = standing(parse_blind(HEADER + lines, "ana.csv"))
    assert [(each.turn, each.value) for each in counting] == [(1, "boots"), (2, "shirt"), (9, "hat")]


def test_one_undo_takes_back_what_was_said_last_and_decisions_stay(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        desk = Desk()
        desk.answer_blind("ana", [row()])
        assert desk.uncommitted_blind("ana") == 1
        commit("One")
        assert desk.uncommitted_blind("ana") == 0
        desk.answer_blind("ana", [row(2, B, action="000000000002")])
        assert [each.image_id for each in desk.undo("ana", "000000000003")] == [B]
        assert [each.image_id for each in desk.undo("ana", "000000000004")] == [A]
        assert [each.answer for each in read_blind()] == [NAMED, "undo"]
        assert standing(read_blind()) == []
        assert desk.undo("ana", "000000000005") == []
        assert list(desk.ledger.image_ids()) == []
