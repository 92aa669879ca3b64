"""Hidden repeats: who is asked again, when, and what becomes of the answer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from desks import Server, begin_again, go, prepared, press, require_readable, said, settled, shown, watched, whys
from hypothesis import given
from hypothesis import strategies as st

from curation import repeats
from curation.actions import Row, why
from curation.agreement import with_oneself
from curation.decision_file import DecisionFile
from curation.ledger import Ledger
from curation.repeats import APART, due
from review.wilson import interval
from stages.labels.decisions import Decision

BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)
IDS = [f"{number:032x}" for number in range(400)]


def decision(number, image_id, what="remove", value="", page="label", person="ana", note="") -> Decision:
    text = why(page, note, action=f"{number:012x}")
    return Decision(BEGIN + timedelta(seconds=number), person, number, image_id, what, value, text)


def answered(share, num_pictures) -> list[Decision]:
    """What somebody says who answers whatever is due, and else the next picture."""
    rows, ledger, fresh = [], Ledger(), iter(IDS[:num_pictures])
    while True:
        again = next(due(rows, "label", share, ledger), None)
        image_id = again or next(fresh, None)
        if image_id is None:
            return rows
        rows.append(decision(len(rows), image_id, note=repeats.AGAIN if again else ""))
        ledger.add(rows[-1:])


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25])
def test_the_share_is_asked_again_each_once_and_long_after(share):
    rows = answered(share, 300)
    asked = [number for number, each in enumerate(rows) if repeats.is_repeat(each)]
    assert len(asked) == pytest.approx(share * 300, abs=APART * share + 3)
    again = [rows[number].image_id for number in asked]
    assert len(set(again)) == len(again)
    for number in asked:
        first = next(at for at, each in enumerate(rows) if each.image_id == rows[number].image_id)
        assert number - first >= APART


def test_without_a_share_nobody_is_asked_again():
    assert not any(map(repeats.is_repeat, answered(0.0, 100)))


@given(st.integers(0, 9))
def test_what_is_due_stays_due_while_a_page_holds_it_ready(ahead):
    rows = [decision(number, IDS[number]) for number in range(100 + ahead)]
    ledger = Ledger(rows)
    assert next(due(rows, "label", 0.1, ledger)) == next(due(rows[:100], "label", 0.1, ledger))


def test_nobody_is_asked_again_of_what_another_said_too_nor_of_what_was_withdrawn_or_one_of_a_batch():
    rows = [decision(number, IDS[number]) for number in range(100)]
    others = [decision(200 + number, IDS[number], "relabel", "hat", person="ben") for number in range(40)]
    gone = [decision(300 + number, IDS[number], "undo") for number in range(40, 60)]
    found = set(due(rows, "label", 0.1, Ledger([*rows, *others, *gone])))
    assert found == set(IDS[60:70])
    batch = [replace(each, why=each.why.replace("act:", "bulk:")) for each in rows]
    assert list(due(batch, "label", 0.1, Ledger(batch))) == []
    assert list(due(rows, "double-check", 0.1, Ledger(rows))) == []


def test_a_repeat_is_compared_with_the_answer_before_it():
    rows = [
        decision(0, IDS[0], "relabel", "hat"),
        decision(1, IDS[1], "relabel", "hat"),
        decision(2, IDS[2]),
        decision(3, IDS[0], "relabel", "hat", note=repeats.AGAIN),
        decision(4, IDS[1], "relabel", "cap", note=repeats.AGAIN),
        decision(5, IDS[3], "relabel", "cap", note=repeats.AGAIN),  # of which nothing was said before
    ]
    assert with_oneself(rows) == (2, 1, *interval(1, 2))
    assert with_oneself(rows[:3]) is None


# ---- in the browser


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("repeats"), num_pictures=14, num_unlabelled=2) as world:
        yield world


@pytest.mark.slow
def test_a_picture_comes_again_as_any_other_and_the_page_of_people_tells_how_often_the_answer_was_the_same(
    world, browser
):
    begin_again()
    decided = world.review[:40]
    file = DecisionFile("ana")
    for number, image_id in enumerate(decided):
        rows = [Row(image_id, "relabel", world.label_of(image_id), why("double-check", action=f"{number:012x}"))]
        file.append(rows, BEGIN + timedelta(seconds=4 * number))
    expected = next(due(file.said, "double-check", 0.05, Ledger(file.said)))
    with Server("--repeats=0.05") as server, watched(browser) as tab:
        go(tab, server, "/double-check")
        assert shown(tab) == [expected]
        press(tab, "d", "1")
        settled(tab, 41)
        tab.wait_for_selector(f"[data-image-id='{world.review[40]}']")
        press(tab, "k")
        settled(tab, 42)
        assert said()[40:] == [
            (expected, "remove", ""),
            (world.review[40], "relabel", world.label_of(world.review[40])),
        ]
        assert whys()[40].endswith("; asked again")
        assert "asked again" not in whys()[41]
        tab.wait_for_selector("#last li:nth-child(2):text-is('removed: blurred')")
        go(tab, server, "/people")
        cells = "[aria-label='How often each agrees with themselves'] tbody tr > *"
        assert tab.locator(cells).all_inner_texts() == ["ana", "1", "0", "0 %", "0 to 79 %"]
        require_readable(tab)
        with tab.expect_navigation():  # the page reads itself again
            press(tab, "Backspace")
        settled(tab, 41)
        tab.goto("about:blank")


@pytest.mark.slow
def test_a_share_that_is_none_is_refused_in_words(world):
    with pytest.raises(RuntimeError, match=r"REPEATS=2 is no share: give a number from 0 to 1"):
        Server("--repeats=2")
