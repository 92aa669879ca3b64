"""The page Production without a browser: in which order answers come, and what each key finds."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from desks import prepared
from harvests import answered, transaction, write_harvest
from repositories import ROOT

from curation import web
from curation.actions import OutcomeRow, action_id
from curation.ledger import Ledger
from curation.pages.page import REASONS, Pressed
from curation.pages.production import Production
from curation.snapshot import Tables
from curation.state import Desk
from runtime.errors import InputError
from serving.outcomes import read_outcomes

PAGE = Production()


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("production")) as world:
        shutil.copy(ROOT / "data/advice.yaml", "data/advice.yaml")
        yield world


@pytest.fixture
def clean(world):
    yield world
    for name in ("build/harvest", "data/outcomes"):
        shutil.rmtree(name, ignore_errors=True)


def snapshot():
    return Tables().current()


def queue(ledger=None) -> list[str]:
    return list(PAGE.keys(snapshot(), ledger or Ledger(), {}))


def pressed(row, key, name="", transactions=None):
    return Pressed(key, [row["image_id"]], name, "0123456789ab", transactions or [row["transaction_id"]])


def finds(row, key, name=""):
    (found,) = PAGE.rows(snapshot(), Ledger(), pressed(row, key, name))
    return found.outcome, found.value


def test_shown_answers_come_before_others_and_complaints_before_those_that_nobody_spoke_of(clean):
    rows = [
        answered(1, "hat", shown=False),
        answered(2, "hat", shown=False, feedback="wrong"),
        answered(3, "hat"),
        answered(4, "hat", feedback="right"),
        answered(5, "hat", feedback="wrong"),
    ]
    write_harvest(*rows)
    assert queue() == [rows[number]["image_id"] for number in (4, 2, 3, 1, 0)]


@pytest.mark.parametrize(
    ("key", "name", "found"),
    [
        ("k", "", ("right", "")),
        ("is:hat", "", ("right", "")),
        ("is:boots", "", ("wrong", "boots")),
        ("t", " shirt ", ("wrong", "shirt")),
        ("t", "boots_tall", ("wrong", "boots")),
        ("t", "hat", ("right", "")),
        ("is:of an older model", "", ("wrong", "of an older model")),
        *((f"d:{reason}", "", ("bad_picture", reason)) for reason in REASONS),
        ("c", "  red\tpanda ", ("candidate", "red panda")),
        ("c", "cafe\u0301", ("candidate", "caf\u00e9")),
        ("o", "", ("out_of_scope", "")),
        ("x", "", ("prank", "")),
    ],
)
def test_what_a_key_finds_of_an_answer_that_was_shown(clean, key, name, found):
    write_harvest(row := answered(1, "hat", "boots", "of an older model"))
    assert finds(row, key, name) == found


@pytest.mark.parametrize(
    ("key", "name", "found"),
    [
        ("k", "", ("right", "")),
        ("is:hat", "", ("should_have_answered", "hat")),
        ("t", "boots_tall", ("should_have_answered", "boots")),
        ("d:dark", "", ("bad_picture", "dark")),
        ("c", "red panda", ("candidate", "red panda")),
        ("o", "", ("out_of_scope", "")),
    ],
)
def test_what_a_key_finds_where_no_answer_was_given(clean, key, name, found):
    write_harvest(row := answered(1, "hat", "boots", shown=False))
    assert finds(row, key, name) == found


@pytest.mark.parametrize(
    ("key", "name", "message"),
    [
        ("t", "lamp", "there is no class 'lamp'. Choose one of the list; what is new is a candidate: c"),
        ("is:lamp", "", "there is no class 'lamp'"),
        ("c", " ", "'' is no name of a candidate. Type it in 1 to 100 letters"),
        ("c", "x" * 101, "is no name of a candidate"),
        ("c", "gnp\N{RIGHT-TO-LEFT OVERRIDE}", "is no name of a candidate"),
        ("d:ugly", "", "the key 'd:ugly' means nothing on this page"),
        ("z", "", "the key 'z' means nothing on this page"),
    ],
)
def test_what_means_nothing_is_refused_in_words(clean, key, name, message):
    write_harvest(row := answered(1, "hat", "boots"))
    with pytest.raises(InputError, match=message):
        finds(row, key, name)


def test_a_row_says_what_the_model_said_and_nothing_of_the_user(clean):
    write_harvest(row := answered(1, "hat", feedback="wrong", comment="I am Ben, at Station Road 5"))
    (found,) = PAGE.rows(snapshot(), Ledger(), pressed(row, "k"))
    assert found == (
        row["transaction_id"],
        row["image_id"],
        "right",
        "",
        "production; version 7; said hat 97.5; drawn 1.0, one of 1: shown, called wrong, 2026-W47; act:0123456789ab",
    )


def test_a_picture_that_was_sent_twice_is_judged_once_and_again_where_users_were_told_something_else(clean):
    rows = [
        answered(1, "hat"),
        answered(2, "hat", of=1),
        answered(3, "boots", of=1),
        answered(4, "hat", shown=False, of=1),
    ]
    write_harvest(*rows)
    desk, told = Desk(), []
    while keys := queue(desk.ledger):
        (key,) = keys
        item = PAGE.item(snapshot(), desk.ledger, key)
        told.append((item["told"], list(item["transactions"])))
        desk.write(
            "ana",
            PAGE.rows(snapshot(), desk.ledger, Pressed("o", [key], "", f"{len(told):012x}", item["transactions"])),
        )
    assert told == [
        ("hat", [transaction(1), transaction(2)]),
        ("boots", [transaction(3)]),
        (None, [transaction(4)]),
    ]
    assert {each.transaction for each in read_outcomes()} == {transaction(number) for number in range(1, 5)}


@pytest.mark.parametrize("transactions", [[], [transaction(9)], [transaction(1), transaction(2)], [transaction(2)]])
def test_an_answer_that_is_not_what_was_shown_or_was_forgotten_is_not_judged(clean, transactions):
    write_harvest(row := answered(1, "hat"), answered(2, "hat"))
    with pytest.raises(InputError, match="Nothing was written; reload the page"):
        PAGE.rows(snapshot(), Ledger(), Pressed("k", [row["image_id"]], "", "0123456789ab", transactions))


def test_one_reads_what_the_user_read_in_place_of_an_answer_or_beside_it(clean):
    rows = [answered(1, "hat", shown=False, faults="dark, blurred"), answered(2, "hat", shown=False, in_scope=False)]
    write_harvest(*rows, answered(3, "hat"))
    dark, far, shown = (
        PAGE.item(snapshot(), Ledger(), key)["words"] for key in (rows[0]["image_id"], rows[1]["image_id"], queue()[0])
    )
    assert [text.split(".")[0] for text in dark] == ["The picture is too dark", "The picture is blurred"]
    assert far == ["This looks like nothing that we know yet. Is it one of ours? Then try from another side."]
    assert shown == []


def test_rules_of_advice_that_cannot_be_read_keep_nobody_from_judging(clean):
    write_harvest(row := answered(1, "hat", shown=False))
    text = Path("data/advice.yaml").read_text()
    Path("data/advice.yaml").write_text("nonsense: [")
    try:
        (words,) = PAGE.item(snapshot(), Ledger(), row["image_id"])["words"]
    finally:
        Path("data/advice.yaml").write_text(text)
    assert words.startswith("data/advice.yaml is not YAML")


def test_a_picture_says_that_it_is_there_because_it_is_far_from_everything(clean):
    write_harvest(answered(1, "hat", of=1), far := answered(2, "hat", of=1, is_far=True), near := answered(3, "hat"))
    found = {key: PAGE.item(snapshot(), Ledger(), key)["notes"] for key in (far["image_id"], near["image_id"])}
    assert found[far["image_id"]][-1] == "far from everything known"
    assert "far from everything known" not in found[near["image_id"]]


def test_what_was_forgotten_leaves_the_queue_and_a_damaged_list_is_said(clean):
    tables = Tables()
    assert tables.current().harvested.answers == ()
    write_harvest(first := answered(1, "hat"), answered(2, "hat"))
    tables._checked = -10.0
    assert len(tables.current().harvested.answers) == 2
    write_harvest(first)
    tables._checked = -10.0
    assert [each.image_id for each in tables.current().harvested.answers] == [first["image_id"]]
    Path("build/harvest/transactions.parquet").write_bytes(b"PAR1")
    tables._checked = -10.0
    assert tables.current().harvested.answers == ()
    assert "transactions.parquet is damaged" in tables.harvest_notice
    shutil.rmtree("build/harvest")
    tables._checked = -10.0
    assert tables.current().harvested.answers == () and tables.harvest_notice is None


@pytest.mark.parametrize(
    ("best", "key", "name", "sub_class"),
    [
        ("hat", "k", "", "hat"),
        ("hat", "is:shirt", "", "shirt"),
        ("hat", "t", "boots_tall", "boots_tall"),
        ("hat", "t", "shirt", "shirt"),
    ],
)
def test_a_picture_that_is_good_enough_goes_to_the_folder_of_its_class(clean, best, key, name, sub_class):
    write_harvest(row := answered(1, best, "shirt"))
    decided, found = PAGE.rows(snapshot(), Ledger(), replace(pressed(row, key, name), to_library=True))
    assert decided[:3] == (row["image_id"], "relabel", sub_class)
    assert isinstance(found, OutcomeRow) and action_id(decided.why) == action_id(found.why)


@pytest.mark.parametrize(
    ("shown", "key", "name", "message"),
    [
        (True, "is:boots", "", "boots has several folders: boots, boots_tall. Type the right one: t"),
        (True, "is:of an older model", "", "the library has no real pictures of of an older model"),
        (True, "d:dark", "", "only a picture whose class you say goes to the library. l takes the mark off"),
        (True, "c", "red panda", "only a picture whose class you say goes to the library"),
        (False, "k", "", "only a picture whose class you say goes to the library"),
    ],
)
def test_a_picture_whose_folder_is_not_known_does_not_go_to_the_library(clean, shown, key, name, message):
    write_harvest(row := answered(1, "hat", "boots", "of an older model", shown=shown))
    with pytest.raises(InputError, match=message):
        PAGE.rows(snapshot(), Ledger(), replace(pressed(row, key, name), to_library=True))


@pytest.mark.parametrize("is_form", [False, True])
def test_an_action_that_ended_between_its_decision_and_its_outcome_is_completed_when_it_is_sent_again(
    clean, tmp_path, is_form
):
    write_harvest(row := answered(1, "hat"))
    desk = Desk(tmp_path / "decisions", tmp_path / "locks")
    sent = replace(pressed(row, "k"), to_library=True)
    decided, _ = PAGE.rows(snapshot(), Ledger(), sent)
    desk.say("ana", [decided])  # the desk was killed here, and the page sends the key again
    for _ in range(2):
        web.press(desk, "ana", PAGE, sent, is_form)
    assert [each.decision for each in desk.file("ana").said] == ["relabel"]
    assert [each.outcome for each in desk.outcomes("ana").said] == ["right"]
