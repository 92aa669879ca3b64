"""The one writer of decisions: nothing acknowledged is lost, nothing written twice, nobody's edit is written over."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from repositories import commit, surroundings

from curation.actions import NominationRow, OutcomeRow, Row, action_id, in_effect, why
from curation.decision_file import DecisionFile
from curation.state import Desk, person_of
from runtime import repository
from runtime.errors import InstructionError, RepositoryError
from stages.labels import decisions
from stages.labels.person_files import read_lines

IDS = [f"{number:032x}" for number in range(4)]
NOW = datetime(2026, 11, 2, 9, 15, tzinfo=UTC)
HEADER = "image_id,decision,value,on,why\n"


def row(image_id=IDS[0], decision="remove", value="", action="0123456789ab", note="a note, with a comma"):
    return Row(image_id, decision, value, why("label", note, action=action))


def opened(folder, person="ana") -> DecisionFile:
    file = DecisionFile(person, folder / "decisions", folder / "locks")
    file.refresh()
    return file


def desk(folder) -> Desk:
    return Desk(folder / "decisions", folder / "locks")


def lines(folder, person="ana") -> list[str]:
    return (folder / "decisions" / f"{person}.csv").read_text().splitlines()


def test_a_row_is_on_the_disk_as_the_format_has_it(tmp_path):
    opened(tmp_path).append([row(decision="relabel", value='a "b", c')], NOW)
    text = f'{IDS[0]},relabel,"a ""b"", c",2026-11-02T09:15:00.000Z,"label; a note, with a comma; act:0123456789ab"'
    assert lines(tmp_path) == [HEADER.strip(), text]


def test_a_row_is_flushed_to_the_disk_before_it_is_acknowledged(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    )
    opened(tmp_path).append([row()])
    assert synced == [str(tmp_path / "decisions/ana.csv"), str(tmp_path / "decisions")]


def test_two_actions_never_share_an_instant_even_if_the_clock_stands_or_goes_back(tmp_path):
    file = opened(tmp_path)
    for number, now in enumerate((NOW, NOW, NOW - timedelta(seconds=5))):
        file.append([row(action=f"{number:012x}"), row(IDS[1], action=f"{number:012x}")], now)
    times = [decision.on - NOW for decision in file.said]
    assert [time.total_seconds() for time in times] == [0, 0, 0.001, 0.001, 0.002, 0.002]


def test_a_time_of_next_year_that_somebody_typed_is_not_followed(tmp_path):
    file = opened(tmp_path)
    file.append([row()], NOW + timedelta(days=365))
    assert file.append([row(IDS[1], action="ba9876543210")], NOW)[0].on == NOW


def test_an_action_whose_answer_was_lost_is_not_written_twice(tmp_path):
    batch = [row(image_id) for image_id in IDS]
    opened(tmp_path).append(batch[:2])
    assert [decision.image_id for decision in opened(tmp_path).append(batch)] == IDS[2:]
    assert opened(tmp_path).append(batch) == []
    assert len(lines(tmp_path)) == 5


@given(cut=st.integers(1, 120), hand=st.booleans(), note=st.sampled_from(("a, b", "plain")))
def test_a_row_that_the_power_cut_off_is_taken_out_and_said(tmp_path_factory, cut, hand, note):
    tmp_path = tmp_path_factory.mktemp("torn")
    second = row(IDS[1], action="ba9876543210", note=note)
    file = opened(tmp_path)
    file.append([row()])
    before = file.path.read_bytes()
    if hand:
        file.path.write_bytes(before := b"# a note\n" + before)
    file = opened(tmp_path)
    file.append([second])
    whole = file.path.read_bytes()
    left = max(len(whole) - cut, len(before))
    assume(not whole[:left].endswith(b"Z,"))  # as a person writes a row that has no reason
    file.path.write_bytes(whole[:left])
    again = opened(tmp_path)
    assert again.path.read_bytes() == (whole[:-1] if cut == 1 else before)
    assert len(again.notices) == (len(before) < left < len(whole) - 1)
    again.append([second])
    assert len(again.path.read_text().splitlines()) == len(whole.decode().splitlines())


@given(cut=st.integers(0, 400), committed=st.booleans())
def test_an_action_of_several_rows_that_the_power_cut_off_is_taken_out_whole_and_said(tmp_path_factory, cut, committed):
    tmp_path = tmp_path_factory.mktemp("half")
    file = opened(tmp_path)
    if committed:
        file.append([row(IDS[3]), row(IDS[2])])
    before = file.path.read_bytes() if committed else HEADER.encode()
    action = [row(IDS[0], "keep", action="ba9876543210"), *(row(each, action="ba9876543210") for each in IDS[1:3])]
    file.append(action)
    whole = file.path.read_bytes()
    left = max(len(whole) - cut, len(before))
    assume(whole[len(before) : left].count(b"\n") or not whole[:left].endswith(b"Z,"))  # as a person writes a row
    file.path.write_bytes(whole[:left])
    again = opened(tmp_path)
    kept = whole[:-1] if cut == 1 else before if left < len(whole) else whole
    assert again.path.read_bytes() == kept
    assert len(again.notices) == (len(before) < left < len(whole) - 1)
    assert not again.notices or "cut off, as by a power cut" in again.notices[0]
    again.append(action)
    assert [line.split(",")[:2] for line in lines(tmp_path)[-3:]] == [
        [IDS[0], "keep"],
        *([i, "remove"] for i in IDS[1:3]),
    ]
    assert len(lines(tmp_path)) == len(whole.splitlines())


def test_rows_that_one_key_writes_say_how_many_they_are(tmp_path):
    state = desk(tmp_path)
    state.say("ana", [row(IDS[0]), row(IDS[1])])
    assert [each.why for each in state.file("ana").said] == [
        f"label; a note, with a comma; {number} of 2; act:0123456789ab" for number in (1, 2)
    ]
    assert len(state.undo("ana", "ba9876543210")) == 2


def test_a_file_of_empty_lines_and_comments_gets_its_header(tmp_path):
    for text in ("\n", "# nothing yet", "\n\n# ana's\n"):
        file = opened(tmp_path)
        file.path.parent.mkdir(exist_ok=True)
        file.path.write_text(text)
        state = desk(tmp_path)
        state.say("ana", [row()])
        state.say("ana", [row(IDS[1], action="ba9876543210")])
        assert [each.line for each in state.file("ana").said] == [each.line for each in opened(tmp_path).said]
        assert len(decisions.read_decisions(tmp_path / "decisions", None)) == 2
        assert state.undo("ana", "00000000000a")[0].image_id == IDS[1]
        assert file.path.read_text().startswith(text)


def test_what_git_put_there_between_two_looks_is_counted_committed_and_undone(tmp_path, monkeypatch):
    """The file is another one by the time that its fields are asked for."""
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet"], check=True)
        state = Desk()
        for number in range(3):
            state.say("ana", [row(IDS[number], action=f"00000000000{number}")])
        commit("Decisions")
        path = Path("data/decisions/ana.csv")
        fewer = "".join(path.read_text().splitlines(keepends=True)[:2])
        monkeypatch.setattr(Desk, "refresh", lambda self: None)
        path.write_text(fewer)
        assert state.uncommitted("ana") == 0
        assert state.ledger.answer(IDS[0], "fate") and not state.ledger.answer(IDS[2], "fate")
        path.write_text(f"{fewer}{IDS[3]},keep,,2026-01-03T00:00:00.000Z,by hand\n")
        assert state.undo("ana", "00000000000a")[0].image_id == IDS[0]
        assert state.ledger.answer(IDS[3], "fate").decision == "keep"


def test_what_changed_between_a_look_and_a_decision_is_in_the_ledger(tmp_path, monkeypatch):
    state = desk(tmp_path)
    state.say("ana", [row()])
    monkeypatch.setattr(Desk, "refresh", lambda self: None)
    path = tmp_path / "decisions/ana.csv"
    path.write_text(f"{HEADER}{IDS[1]},keep,,2026-01-03T00:00:00.000Z,by hand\n")
    state.say("ana", [row(IDS[2], action="ba9876543210")])
    answers = [said and said.decision for each in IDS[:3] for said in [state.ledger.answer(each, "fate")]]
    assert answers == [None, "keep", "remove"]


def test_a_last_line_that_an_editor_left_without_an_end_stays(tmp_path):
    file = opened(tmp_path)
    file.path.parent.mkdir()
    file.path.write_text(f"{HEADER}{IDS[0]},remove,,2026-11-02T09:15:00.000Z,illegible")
    file = opened(tmp_path)
    file.append([row(IDS[1])])
    assert [line.split(",")[0] for line in lines(tmp_path)] == ["image_id", *IDS[:2]]
    assert not file.notices


def test_a_file_that_changed_under_the_desk_is_read_again_and_said(tmp_path):
    file = opened(tmp_path)
    file.append([row()])
    file.path.write_text(file.path.read_text() + f"{IDS[1]},keep,,2026-11-02T09:15:00.000Z,by hand\n")
    file.append([row(IDS[2], action="ba9876543210")])
    assert {decision.image_id for decision in file.said} == set(IDS[:3])
    assert "was changed elsewhere and has been read again" in file.notices[0]
    assert {decision.line for decision in file.said} == {2, 3, 4}


def test_two_desks_of_one_person_lose_none_of_each_other(tmp_path):
    first, second = opened(tmp_path), opened(tmp_path)
    for number in range(6):
        (first, second)[number % 2].append([row(action=f"{number:012x}")])
    assert len(lines(tmp_path)) == 7
    assert second.notices


def test_a_line_that_cannot_be_read_is_answered_by_a_message_and_not_written_over(tmp_path):
    file = opened(tmp_path)
    file.append([row()])
    file.path.write_text(broken := file.path.read_text() + "nonsense\n")
    with pytest.raises(InstructionError, match="line 3: expected 5 fields"):
        file.append([row(IDS[1], action="ba9876543210")])
    assert file.path.read_text() == broken


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    file = opened(tmp_path)
    file.append([row()])
    before = file.path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RepositoryError, match="No space left on device. Nothing was decided"):
        file.append([row(IDS[1], action="ba9876543210")])
    assert file.path.read_bytes() == before


def test_rows_that_no_commit_holds_are_taken_off_and_every_other_byte_stays(tmp_path):
    file = opened(tmp_path)
    file.path.parent.mkdir()
    file.path.write_bytes(begin := f"\ufeff# by ana\r\n{HEADER}".encode())
    state = desk(tmp_path)
    state.say("ana", [row(IDS[0]), row(IDS[1])])
    file.path.write_bytes(file.path.read_bytes() + (end := b"\n# the end"))
    assert len(state.undo("ana", "ba9876543210")) == 2
    assert file.path.read_bytes() == begin + end
    assert state.undo("ana", "ba9876543211") == []


def test_rows_that_a_commit_holds_are_answered_by_rows_that_bring_back_what_was_said(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet"], check=True)
        state = Desk()
        state.say("ana", [row(decision="relabel", value="boots", action="000000000001")])
        state.say("ana", [row(decision="remove", action="000000000002")])
        commit("Decisions")
        state.say("ana", [row(IDS[1], action="000000000003")])
        assert state.uncommitted("ana") == 1
        for number in range(3):
            state.undo("ana", f"00000000001{number}")
        rows = [(each.image_id, each.decision, each.value) for each in decisions.read_decisions("data/decisions", None)]
    assert rows == [
        (IDS[0], "relabel", "boots"),
        (IDS[0], "remove", ""),
        (IDS[0], "relabel", "boots"),
        (IDS[0], "undo", ""),
    ]


def test_what_another_s_undo_said_again_goes_when_its_own_person_takes_it_back(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet"], check=True)
        state = Desk()
        state.say("ana", [row(action="000000000001")])
        commit("Decisions")
        state.say("ben", [row(decision="relabel", value="boots", action="000000000002")])
        state.undo("ana", "000000000003")
        assert state.ledger.answer(IDS[0], "label").value == "boots"
        state.undo("ben", "000000000004")
        assert state.ledger.standing(IDS[0]) == {}
        assert Desk().ledger.standing(IDS[0]) == {}


def test_what_was_typed_after_an_action_stands_when_that_is_taken_back(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet"], check=True)
        state = Desk()
        for number in (1, 2):
            said = row(decision="relabel", value="boots", action=f"00000000000{number}")
            state.say("ana", [said], datetime(2026, 1, number, tzinfo=UTC))
        commit("Decisions")
        with Path("data/decisions/ana.csv").open("a") as file:
            file.write(f"{IDS[0]},keep,,2026-01-03T00:00:00.000Z,by hand\n")
        state.refresh()
        state.undo("ana", "00000000000a", of="000000000002")
        verdicts = decisions.settle(decisions.read_decisions("data/decisions", None))
    assert (verdicts.kept, verdicts.relabelled) == ({IDS[0]}, {IDS[0]: "boots"})


def test_the_last_action_is_taken_back_without_reading_the_file_again(tmp_path):
    state = desk(tmp_path)
    assert state.undo("ana", "0" * 12) == []  # all her files are known now
    state.say("ana", [row(IDS[0], action="a" * 12)])
    state.say("ana", [row(IDS[1], action="b" * 12), row(IDS[2], action="b" * 12)])
    num_reads, known = state.file("ana").num_reads, state.ledger
    state.undo("ana", "c" * 12)
    assert (state.file("ana").num_reads, state.ledger is known) == (num_reads, True)
    assert state.ledger.image_ids() == IDS[:1]
    state.say("ana", [row(IDS[3], action="d" * 12)])
    state.undo("ana", "e" * 12, "a" * 12)
    assert state.file("ana").num_reads == num_reads + 1, "the rows behind it have other places now"
    assert [(each.image_id, each.line) for each in state.file("ana").said] == [(IDS[3], 2)]


def test_what_is_taken_back_of_other_files_is_forgotten_too(tmp_path):
    state = desk(tmp_path)
    for number in range(2):
        said = why("production", action=f"{number:012x}")
        state.judge("ana", [OutcomeRow("a" * 32, IDS[number], "right", "", said)])
        state.nominate("ana", [NominationRow(IDS[number], "nominated", "difficult", "hat", said)])
    assert len(state.undo("ana", "f" * 12)) == 2
    assert [state.ledger.has_judged("ana", each) for each in IDS[:2]] == [True, False]
    assert list(state.ledger.nominated()) == IDS[:1]
    assert state.ledger.found("a" * 32, IDS[0])["ana"].image_id == IDS[0]


def test_git_is_asked_of_the_files_that_hold_the_action_and_for_rows_that_are_new(tmp_path, monkeypatch):
    folder, asked = tmp_path / "clone", []
    folder.mkdir()
    monkeypatch.setattr(repository, "git", lambda *words, ask=repository.git: (asked.append(words[0]), ask(*words))[1])
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet"], check=True)
        state = Desk()
        state.say("ana", [row()])
        commit("A decision")
        for number in range(3):
            state.say("ana", [row(IDS[1], action=f"{number:012x}")])
            state.undo("ana", f"a{number:011x}")
        assert asked == ["rev-parse", "cat-file", "rev-parse", "rev-parse"]
        assert state.uncommitted("ana") == 0
        state.say("ana", [row(IDS[2], action="b" * 12)])
        commit("Another")
        assert state.uncommitted("ana") == 0


class Unread(list):
    """A list through which nobody may go."""

    def __iter__(self):
        raise AssertionError("every earlier row is read")


def test_a_key_reads_none_of_the_earlier_rows(tmp_path):
    state = desk(tmp_path)
    state.say("ana", [row()])
    file = state.file("ana")
    file.said = Unread(file.said)
    state.say("ana", [row(IDS[1], action="b" * 12)])
    assert [each.image_id for each in state.of_action("ana", "b" * 12)] == [IDS[1]]


def test_taking_back_the_same_action_twice_takes_back_one(tmp_path):
    state = desk(tmp_path)
    state.say("ana", [row(action="000000000001")])
    state.say("ana", [row(IDS[1], action="000000000002")])
    assert state.undo("ana", "00000000000a", of="000000000002")
    assert not state.undo("ana", "00000000000a", of="000000000002")
    assert len(lines(tmp_path)) == 2


@pytest.mark.parametrize("name", ["", "a/b", ".ana", "a\nb", "x" * 201, 67 * "\N{HIRAGANA LETTER A}", "~$ana"])
def test_a_name_that_cannot_be_a_file_is_refused(name, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InstructionError, RepositoryError), match="make desk PERSON=ana"):
        person_of(name)


SAID = st.tuples(st.sampled_from(IDS), st.sampled_from(("keep", "remove", "relabel", "distinct", "duplicate")))


class Life(RuleBasedStateMachine):
    """A desk's life: decisions, undos, kills, commits, edits by hand, a colleague; against a list that forgets none."""

    @initialize()
    def begin(self):
        import tempfile

        self.folder = Path(tempfile.mkdtemp())
        self.committed: set[tuple[str, ...]] = set()
        self.number = 0
        self.acknowledged: list[str] = []  # actions, the last one last
        self.open()

    def open(self):
        life = self

        class File(DecisionFile):
            def committed(self):
                return life.committed if self.person == "ana" else set()

        self.desk = desk(self.folder)
        self.desk._decided.files.clear()
        self.desk._decided._make = File
        self.desk.refresh()

    def fields(self) -> list[tuple[str, ...]]:
        path = self.folder / "decisions/ana.csv"
        text = path.read_text() if path.exists() else ""
        return [tuple(fields) for _, fields in read_lines(text, "ana", decisions.COLUMNS)][1:]

    def everything(self):
        folder = self.folder / "decisions"
        return decisions.read_decisions(folder, None) if folder.exists() else []

    @rule(said=st.lists(SAID, min_size=1, max_size=3, unique_by=lambda each: each[0]), value=st.sampled_from("xyz"))
    def decide(self, said, value):
        self.number += 1
        action = f"{self.number:012x}"
        others = {image_id: IDS[(IDS.index(image_id) + 1) % len(IDS)] for image_id, _ in said}
        rows = [
            row(
                image_id,
                what,
                value if what == "relabel" else others[image_id] if what in decisions.OF_TWO else "",
                action,
            )
            for image_id, what in said
        ]
        before = self.fields()
        self.desk.say("ana", rows)
        self.desk.say("ana", rows)  # the answer was lost
        assert [each[:3] for each in self.fields()] == [each[:3] for each in before] + [each[:3] for each in rows]
        self.acknowledged.append(action)

    @rule(said=SAID)
    def colleague(self, said):
        image_id, what = said
        other = IDS[(IDS.index(image_id) + 2) % len(IDS)]
        value = "z" if what == "relabel" else other if what in decisions.OF_TWO else ""
        self.number += 1
        desk(self.folder).say("ben", [row(image_id, what, value, f"{self.number:012x}")])

    @rule()
    def undo(self):
        self.number += 1
        wanted = self.acknowledged.pop() if self.acknowledged else None
        said = in_effect(self.everything())
        expected = decisions.settle(each for each in said if wanted is None or action_id(each.why) != wanted)
        done = self.desk.undo("ana", f"{self.number:012x}")
        assert {action_id(each.why) for each in done} == ({wanted} if wanted else set())
        now = decisions.settle(self.everything())
        assert [getattr(now, name) for name in VERDICTS] == [getattr(expected, name) for name in VERDICTS]

    @rule()
    def colleague_undoes(self):
        colleague = desk(self.folder)
        wanted = next((action_id(each.why) for each in reversed(in_effect(colleague.file("ben").said))), None)
        expected = decisions.settle(each for each in in_effect(self.everything()) if action_id(each.why) != wanted)
        self.number += 1
        colleague.undo("ben", f"{self.number:012x}")
        now = decisions.settle(self.everything())
        if wanted:
            assert [getattr(now, name) for name in VERDICTS] == [getattr(expected, name) for name in VERDICTS]

    @rule()
    def commit(self):
        self.committed = set(self.fields())

    @rule(torn=st.integers(0, 120))
    def kill(self, torn):
        path = self.folder / "decisions/ana.csv"
        if path.exists():
            with path.open("ab") as file:
                begun = f'{IDS[0]},remove,,2026-11-02T09:15:00.000Z,"label; a note; act:{2**40:012x}'
                file.write(begun.encode()[: 0 if begun[:torn].endswith("Z,") else torn])
        self.open()

    @rule(decision=st.sampled_from(("keep", "remove")), image_id=st.sampled_from(IDS))
    def by_hand(self, decision, image_id):
        path = self.folder / "decisions/ana.csv"
        if path.exists():
            self.number += 1
            on = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            path.write_text(f"{path.read_text()}{image_id},{decision},,{on},by hand {self.number}\n")

    @invariant()
    def acknowledged_rows_are_there_once(self):
        if not hasattr(self, "desk"):
            return
        ids = [action_id(each[4]) for each in self.fields() if not each[4].startswith("undo of")]
        assert set(self.acknowledged) <= set(ids)
        rows = [(*each[:3], action_id(each[4])) for each in self.fields() if action_id(each[4])]
        assert len(rows) == len(set(rows))
        self.desk.refresh()
        for image_id in IDS:
            ours = {key: list(said.values())[-1].answer for key, said in self.desk.ledger.standing(image_id).items()}
            theirs = {
                key: list(said.values())[-1].answer
                for key, said in decisions.standing(self.everything()).items()
                if image_id in key[0]
            }
            assert ours == theirs

    @invariant()
    def the_desk_knows_what_one_that_is_just_started_knows(self):
        if not hasattr(self, "desk"):
            return
        self.desk.refresh()
        known, anew = self.desk.file("ana"), desk(self.folder)
        assert known.said == anew.file("ana").said
        actions = {action_id(each.why) for each in known.said} - {None}
        assert [known.rows_of(each) for each in actions] == [anew.file("ana").rows_of(each) for each in actions]
        assert known.num_uncommitted() == sum(each not in self.committed for each in self.fields())
        assert self.desk.ledger.image_ids() == anew.ledger.image_ids()
        assert self.desk.ledger.disputes() == anew.ledger.disputes()
        answers = self.desk.ledger.answers()
        assert {each: answers[each] for each in anew.ledger.image_ids()} == anew.ledger.answers()
        assert set(answers.values()) <= {*anew.ledger.answers().values(), (None, None)}


VERDICTS = ("removed", "kept", "relabelled", "distinct", "duplicate")
TestLife = Life.TestCase
TestLife.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


def test_two_branches_with_500_decisions_each_merge_without_a_conflict_and_list_their_disputes(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    pictures = [f"{number:032x}" for number in range(1080)]
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        for person, mine in (("ana", pictures[1000:1040]), ("ben", pictures[1040:])):
            decide(person, mine, "remove")
        commit("Decisions of before")
        for person, mine, decision in (("ana", pictures[:500], "remove"), ("ben", pictures[480:980], "keep")):
            subprocess.run(["git", "switch", "--quiet", "--create", person, "main"], check=True)
            decide(person, mine, decision)
            commit(f"Decisions of {person}")
        subprocess.run(["git", "merge", "--quiet", "--no-edit", "ana"], check=True)
        ledger = Desk().ledger
        assert sorted(said[0].image_id for said in ledger.disputes()) == pictures[480:500]
        assert all(ledger.answer(image_id, "fate").decision == "remove" for image_id in pictures[:480])
        assert all(ledger.answer(image_id, "fate").decision == "keep" for image_id in pictures[500:980])


def decide(person: str, image_ids: list[str], decision: str) -> None:
    """Decide about pictures, twenty an action."""
    file = DecisionFile(person)
    for start in range(0, len(image_ids), 20):
        file.append([row(each, decision, action=f"{start:012x}") for each in image_ids[start : start + 20]])


def test_rows_of_a_commit_stay_where_a_person_takes_out_the_others_of_their_action(tmp_path):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        subprocess.run(["git", "init", "--quiet", "--initial-branch=main"], check=True)
        decide("ana", IDS[:3], "remove")
        commit("Decisions")
        path = Path("data/decisions/ana.csv")
        left = path.read_text().splitlines(keepends=True)[:-1]
        path.write_text("".join(left))
        file = DecisionFile("ana")
        file.refresh()
        assert [each.image_id for each in file.said] == IDS[:2]
        assert path.read_text() == "".join(left)
