"""Nominating a picture of production for a benchmark, and the blind second look at it, without a browser."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from desks import begin_again, prepared
from harvests import answered, transaction, write_harvest
from repositories import commit

from curation import home
from curation.pages.page import Pressed
from curation.pages.production import Production
from curation.pages.second_look import SecondLook
from curation.parting import Parting
from curation.state import Desk
from curation.upcoming import open_keys
from curation.web import press
from intake.nominations import read_nominations
from runtime.errors import InputError
from serving.outcomes import read_outcomes
from stages.labels.decisions import read_decisions

PRODUCTION, SECOND = Production(), SecondLook()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("nominating"), num_pictures=3, num_unlabelled=1) as world:
        yield world


@pytest.fixture
def world(shared):
    yield shared
    for name in ("build/harvest", "data/outcomes", "data/nominations", ".dvc/tmp"):
        shutil.rmtree(name, ignore_errors=True)
    begin_again()


@pytest.fixture
def rows(world):
    """Three answers that were shown, the second of another class, and one that was not."""
    rows = [answered(number, "hat", "boots", "shirt") for number in (1, 2, 3)]
    rows.append(answered(4, "hat", "boots", shown=False))
    write_harvest(*rows)
    return rows


class Key:
    """Presses keys at a desk, each an action of its own."""

    number = 0


def judge(desk, person, row, key, name="", benchmark="", to_library=False):
    Key.number += 1
    pressed = Pressed(
        key, [row["image_id"]], name, f"{Key.number:012x}", [row["transaction_id"]], to_library, benchmark=benchmark
    )
    press(desk, person, PRODUCTION, pressed, is_form=False)
    return pressed


def look(desk, person, row, key, name=""):
    Key.number += 1
    press(desk, person, SECOND, Pressed(key, [row["image_id"]], name, f"{Key.number:012x}"), is_form=False)


def asked(desk, person) -> list[str]:
    return list(open_keys(desk, person, SECOND, {}))


def nominated() -> list[tuple[str, str, str, str]]:
    return [(each.person, each.said, each.benchmark, each.value) for each in read_nominations()]


def library() -> list[tuple[str, str]]:
    return [(each.decision, each.value) for each in read_decisions("data/decisions", None)]


def state(desk, row) -> str:
    settled = desk.ledger.nominations(desk.snapshot.classes)
    found = [name for name in settled._fields if row["image_id"] in getattr(settled, name)]
    return found[0] if found else "nowhere"


@pytest.mark.parametrize(
    ("number", "key", "name", "benchmark", "value"),
    [
        (0, "k", "", "difficult", "hat"),
        (0, "is:boots", "", "most_common", "boots"),
        (0, "t", "boots_tall", "least_common", "boots"),
        (3, "t", "shirt", "difficult", "shirt"),
        (0, "o", "", "out_of_scope", ""),
        (0, "x", "", "out_of_scope", ""),
    ],
)
def test_a_key_with_the_mark_writes_outcome_and_nomination_with_the_class_that_it_says(
    rows, number, key, name, benchmark, value
):
    judge(Desk(), "ana", rows[number], key, name, benchmark)
    assert nominated() == [("ana", "nominated", benchmark, value)]
    assert len(read_outcomes()) == 1 and library() == []


@pytest.mark.parametrize(
    ("number", "key", "name", "benchmark", "message"),
    [
        (0, "k", "", "ours", "there is no benchmark 'ours'"),
        (0, "k", "", "out_of_scope", "out_of_scope is for pictures of which the model should know nothing: o or x"),
        (0, "c", "red panda", "out_of_scope", "out_of_scope is for pictures"),
        (0, "o", "", "difficult", "only a picture whose class you say goes to difficult"),
        (0, "d:dark", "", "difficult", "only a picture whose class you say goes to difficult"),
        (3, "k", "", "difficult", "only a picture whose class you say goes to difficult"),
    ],
)
def test_what_does_not_fit_the_benchmark_is_refused_and_nothing_is_written(rows, number, key, name, benchmark, message):
    with pytest.raises(InputError, match=message):
        judge(Desk(), "ana", rows[number], key, name, benchmark)
    assert nominated() == [] and read_outcomes() == []


def test_a_class_of_an_older_model_can_be_judged_and_not_nominated(world):
    write_harvest(row := answered(1, "of an older model"))
    with pytest.raises(InputError, match="there is no class 'of an older model' now"):
        judge(Desk(), "ana", row, "k", benchmark="difficult")
    judge(Desk(), "ana", row, "k")


def test_never_to_the_library_and_to_a_benchmark_both_whoever_comes_second(rows):
    desk = Desk()
    with pytest.raises(InputError, match="to the library or to a benchmark, never to both"):
        judge(desk, "ana", rows[0], "k", benchmark="difficult", to_library=True)
    judge(desk, "ana", rows[0], "k", benchmark="difficult")
    with pytest.raises(InputError, match="ana nominated this picture for a benchmark: .* library too"):
        judge(desk, "ben", rows[0], "k", to_library=True)
    judge(desk, "ana", rows[1], "k", to_library=True)
    with pytest.raises(InputError, match="ana gave this picture to the library: .* benchmark too"):
        judge(desk, "ben", rows[1], "k", benchmark="difficult")
    assert len(read_outcomes()) == 2


def test_who_changes_their_mind_withdraws_what_they_said_before_and_one_undo_brings_it_back(rows):
    desk, row = Desk(), rows[0]
    judge(desk, "ana", row, "k", benchmark="difficult")
    judge(desk, "ana", row, "k", to_library=True)
    assert state(desk, row) == "nowhere" and library() == [("relabel", "hat")]
    desk.undo("ana", "f" * 12)
    assert state(desk, row) == "waiting" and library() == []
    desk.undo("ana", "e" * 12)
    assert nominated() == [] and read_outcomes() == []
    judge(desk, "ana", row, "k", to_library=True)
    judge(desk, "ana", row, "k", benchmark="difficult")
    assert state(desk, row) == "waiting" and library() == [("relabel", "hat"), ("undo", "")]


@pytest.mark.parametrize("folder", ["library/hat", "benchmarks/difficult/hat"])
def test_a_picture_that_is_here_already_is_not_nominated_and_one_that_tests_does_not_train(rows, folder, monkeypatch):
    desk, row = Desk(), rows[0]
    snapshot = replace(desk.snapshot)
    snapshot.__dict__["paths"] = {row["image_id"]: [f"{folder}/1.png"]}.__getitem__
    monkeypatch.setattr(type(desk), "snapshot", snapshot)
    with pytest.raises(InputError, match=f"this picture is here already, as data/{folder}/1.png"):
        judge(desk, "ana", row, "k", benchmark="difficult")
    if folder.startswith("benchmarks"):
        with pytest.raises(InputError, match=f"this picture tests the model, as data/{folder}/1.png"):
            judge(desk, "ana", row, "k", to_library=True)


def test_a_nominated_picture_is_shown_to_everybody_who_knows_nothing_of_it_and_to_nobody_else(rows):
    desk, row = Desk(parting=Parting(("ana", "ben", "carl"), 0.1)), rows[0]
    judge(desk, "ana", row, "k", benchmark="difficult")
    assert asked(desk, "ana") == [] and row["image_id"] in asked(desk, "ben")
    assert SECOND.item(desk.snapshot, desk.ledger.seen_by("ben"), row["image_id"]) == {"image_id": row["image_id"]}
    judge(desk, "carl", row, "k")
    desk.undo("carl", "f" * 12)
    judge(desk, "carl", row, "o")
    commit("What carl said")
    desk.undo("carl", "e" * 12)  # it was seen all the same
    assert asked(desk, "carl") == []
    for person in ("ana", "carl"):
        with pytest.raises(InputError, match="this picture is not for your second look"):
            look(desk, person, row, "t", "hat")
    look(desk, "ben", row, "t", "hat")
    assert state(desk, row) == "agreed" and asked(desk, "ben") == []
    with pytest.raises(InputError, match="this picture is not for your second look"):
        look(desk, "ben", row, "t", "boots")


@pytest.mark.parametrize(
    ("key", "name", "said", "then"),
    [
        ("t", "hat", ("ben", "named", "", "hat"), "agreed"),
        ("t", "boots_tall", ("ben", "named", "", "boots"), "disputes"),
        ("o", "", ("ben", "no_class", "", ""), "disputes"),
        ("u", "", ("ben", "cannot_tell", "", ""), "disputes"),
    ],
)
def test_each_key_of_the_second_look_and_both_steps_are_taken_back_whether_committed_or_not(
    rows, key, name, said, then
):
    desk, row = Desk(), rows[0]
    judge(desk, "ana", row, "k", benchmark="difficult")
    for is_committed in (False, True):
        look(desk, "ben", row, key, name)
        assert nominated()[-1] == said and state(desk, row) == then
        if is_committed:
            commit("A look")
        (gone,) = desk.undo("ben", "f" * 12)
        assert gone.said == said[1] and state(desk, row) == "waiting" and row["image_id"] in asked(desk, "ben")
    assert nominated()[-1] == ("ben", "undo", "", "")
    assert len(desk.undo("ana", "e" * 12)) == 2
    assert state(desk, row) == "nowhere" and [each.outcome for each in read_outcomes()] == ["right", "undo"]
    assert asked(Desk(), "ben") == []


def test_a_key_that_means_nothing_and_a_class_that_is_none_are_refused(rows):
    desk, row = Desk(), rows[0]
    judge(desk, "ana", row, "k", benchmark="difficult")
    for key, name, message in (("k", "", "'k' means nothing"), ("t", "lamp", "no class 'lamp' now"), ("t", " ", "''")):
        with pytest.raises(InputError, match=message):
            look(desk, "ben", row, key, name)
    assert len(nominated()) == 1


def test_nominated_pictures_come_among_others_and_what_is_said_of_those_counts_if_they_are_nominated_later(world):
    rows = [answered(number, "hat", "boots") for number in range(1, 25)]
    write_harvest(*rows)
    desk = Desk()
    for row in rows[:8]:
        judge(desk, "ana", row, "k", benchmark="difficult")
    ids, nominated_ids = asked(desk, "ben"), {row["image_id"] for row in rows[:8]}
    between = set(ids) - nominated_ids
    assert nominated_ids < set(ids) and 0 < len(between) <= sum(int(each, 16) % 2 for each in nominated_ids)
    assert ids != sorted(ids) and ids != asked(desk, "carl")
    other = next(row for row in rows if row["image_id"] in between)
    look(desk, "ben", other, "t", "hat")
    assert set(asked(desk, "ben")) == set(ids) - {other["image_id"]}  # it brings no further one
    assert state(desk, other) == "nowhere"
    judge(desk, "ana", other, "k", benchmark="most_common")
    assert state(desk, other) == "agreed"


def test_what_was_forgotten_is_shown_to_nobody(rows):
    desk = Desk()
    judge(desk, "ana", rows[0], "k", benchmark="difficult")
    write_harvest(*rows[1:])
    assert asked(Desk(), "ben") == []
    with pytest.raises(InputError, match="not harvested any more"):
        look(Desk(), "ben", rows[0], "t", "hat")


def test_a_key_that_was_written_by_half_is_written_whole_when_it_is_sent_again(rows, monkeypatch):
    desk, row = Desk(), rows[0]

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Desk, "judge", killed)
    with pytest.raises(KeyboardInterrupt):
        judge(desk, "ana", row, "k", benchmark="difficult")
    monkeypatch.undo()
    assert len(nominated()) == 1 and read_outcomes() == []
    Key.number -= 1
    again = judge(Desk(), "ana", row, "k", benchmark="difficult")
    press(Desk(), "ana", PRODUCTION, again, is_form=False)
    assert len(nominated()) == 1 and [each.transaction for each in read_outcomes()] == [transaction(1)]


def test_the_first_page_says_what_waits_goes_on_and_is_disputed_and_tells_nobody_who_has_yet_to_look(rows):
    desk = Desk()
    for row in rows[:3]:
        judge(desk, "ana", row, "k", benchmark="difficult")
    look(desk, "ben", rows[0], "t", "hat")
    look(desk, "ben", rows[1], "o")
    found = home.contents(desk, "ana")
    assert (found["to_benchmarks"], found["unseen"], len(found["unsettled"])) == (1, 1, 1)
    (dispute,) = found["unsettled"]
    assert dispute["said"] == ["ana: for difficult, as hat", "ben: none of the classes"]
    assert home.contents(desk, "ben")["unsettled"][0]["own"] is None
    assert home.contents(desk, "ben")["unseen"] == 0
    desk.undo("ana", "f" * 12, of=dispute["own"])
    assert home.contents(desk, "ana")["unsettled"] == [] and len(read_outcomes()) == 2
    judge(desk, "dora", rows[2], "o")
    assert [each["image_id"] for each in home.contents(desk, "ana")["differing"]] == [rows[2]["image_id"]]
    assert home.contents(desk, "ben")["differing"] == []  # who would read there what it is


def test_what_two_branches_gave_to_both_is_listed_and_taken_back_by_whoever_said_it(rows):
    first, row = Desk(), rows[0]
    judge(first, "ana", row, "k", benchmark="difficult")
    before = Path("data/nominations/ana.csv").rename("data/ana.csv")
    judge(Desk(), "carl", row, "k", to_library=True)
    before.rename("data/nominations/ana.csv")
    desk = Desk()
    assert asked(desk, "ben") == []
    (both,) = home.contents(desk, "carl")["unsettled"]
    assert both["said"] == ["ana: for difficult, as hat", "carl: for the library"]
    assert home.contents(desk, "ben")["sent"] == home.contents(desk, "ben")["to_benchmarks"] == 0
    desk.undo("carl", "f" * 12, of=both["own"])
    assert library() == [] and row["image_id"] in asked(desk, "ben")
