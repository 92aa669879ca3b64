"""What is left, where a person is asked some pictures again: nothing on the page tells which those are."""

from datetime import UTC, datetime, timedelta

import pytest
from desks import Server, begin_again, go, prepared, press, settled, shown, watched

from curation.actions import Row, why
from curation.decision_file import DecisionFile
from curation.ledger import Ledger
from curation.repeats import AGAIN, APART, due, is_repeat, num_to_come
from stages.labels.decisions import Decision

BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)
IDS = [f"{number:032x}" for number in range(300)]


def decision(number, image_id, is_again, person="ana") -> Decision:
    text = why("label", AGAIN if is_again else "", action=f"{number:012x}")
    return Decision(BEGIN + timedelta(seconds=number), person, number, image_id, "remove", "", text)


@pytest.mark.parametrize("share", [0.02, 0.1, 0.25, 0.3, 1.0])
def test_each_answer_lowers_what_is_left_by_one_until_nothing_is(share):
    rows, ledger, fresh, left = [], Ledger(), list(IDS), []
    while True:
        left.append(len(fresh) + num_to_come(rows, "label", share, ledger, len(fresh)))
        again = next(due(rows, "label", share, ledger), None)
        if again is None and not fresh:
            break
        rows.append(decision(len(rows), again or fresh.pop(0), bool(again)))
        ledger.add(rows[-1:])
    assert any(map(is_repeat, rows))
    assert left == list(range(len(rows), -1, -1))


def test_nothing_is_to_come_where_nobody_can_be_asked_again():
    rows = [decision(number, IDS[number], False) for number in range(100)]
    others = [decision(200 + number, IDS[number], False, "ben") for number in range(100)]
    ledger = Ledger([*rows, *others])
    assert num_to_come(rows, "label", 0.1, ledger, 0) == 0
    assert num_to_come(rows, "label", 0.0, Ledger(rows), 50) == 0
    assert num_to_come(rows, "double-check", 0.1, Ledger(rows), APART // 2) == 0


@pytest.mark.slow
def test_a_page_that_is_loaded_again_after_a_repeat_counts_it_as_any_other_picture(tmp_path, browser):
    with prepared(tmp_path, num_pictures=14, num_unlabelled=2) as world:
        begin_again()
        file = DecisionFile("ana")
        for number, image_id in enumerate(world.review[:40]):
            rows = [Row(image_id, "relabel", world.label_of(image_id), why("double-check", action=f"{number:012x}"))]
            file.append(rows, BEGIN + timedelta(seconds=4 * number))
        expected = next(due(file.said, "double-check", 0.05, Ledger(file.said)))
        with Server("--repeats=0.05") as server, watched(browser) as tab:
            seen = []
            for number in range(41, 44):
                go(tab, server, "/double-check")
                seen.append((tab.inner_text("#left"), tab.inner_text("nav [aria-current] span")))
                assert (shown(tab) == [expected]) == (number == 41)
                press(tab, "k")
                settled(tab, number)
            left = int(seen[0][0])
            assert seen == [(f"{left - number}",) * 2 for number in range(3)]
            tab.goto("about:blank")
