"""Rules for duplicates in a real browser: what they would do, what speaks for them, one batch and one undo."""

import re
from pathlib import Path

import pandas as pd
import pytest
from desks import begin_again, go, prepared, press, require_readable, said, settled, watched

from curation.actions import Row, why
from curation.decision_file import DecisionFile
from curation.group_rules import FEWEST
from stages.tables.duplicates import DUPLICATES

pytestmark = pytest.mark.slow
NUM_OPEN, NUM_IDENTICAL = 12, 70  # of the groups, each a pair: those that nobody answered, and those of the same pixels


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("rules"), ["boots", "hat"], num_pictures=90, side=24) as world:
        ids = [each for ids in world.library.values() for each in ids]
        world.groups = [sorted(pair) for pair in zip(ids[::2], ids[1::2], strict=True)]
        rows = [
            {"image_a": a, "image_b": b, "kind": "identical" if number < NUM_IDENTICAL else "near", "distance": 3,
             "similarity": 0.9, "turn": "none", "keep": b, "label_conflict": number == 5}
            for number, (a, b) in enumerate(world.groups)
        ]  # fmt: skip
        DUPLICATES.write(pd.DataFrame(rows, columns=DUPLICATES.schema.names))
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    return shared


@pytest.fixture
def tab(browser):
    with watched(browser) as page:
        yield page


def answer(world, number) -> None:
    """Answer groups from the thirteenth on, as the desk would: all as suggested but the fourth."""
    file = DecisionFile("ana")
    for at, (a, b) in enumerate(world.groups[NUM_OPEN:][:number]):
        kept, gone = (a, b) if at == 3 else (b, a)
        text = why("duplicates", "model 1", f"suggested {b}", action=f"{at:012x}")
        file.append([Row(kept, "keep", "", text), Row(gone, "remove", "", text)])


def cells(tab, row) -> list[str]:
    return tab.locator(f"tbody tr:nth-child({row}) td").all_inner_texts()


def test_before_fifty_answers_no_rule_is_offered(world, tab, server):
    answer(world, FEWEST - 1)
    go(tab, server, "/duplicates")
    press(tab, "R")
    tab.wait_for_url("**/duplicates/rules")
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert "You have given 49" in tab.inner_text("main")
    press(tab, "1")
    assert tab.locator("tbody button:enabled").count() == 0
    assert len(said()) == 2 * (FEWEST - 1)


def test_a_rule_is_previewed_written_as_one_batch_and_taken_back_by_one_undo(world, tab, server):
    answer(world, FEWEST)
    before = said()
    go(tab, server, "/duplicates/rules")
    assert cells(tab, 1)[:4] == ["19", "19", "50", "49"]  # of 20 identical ones that are open, one is in two classes
    press(tab, "1")
    tab.wait_for_selector("li")
    assert tab.locator("li").all_inner_texts()[:3] == [
        "19 groups: the same pixels.",
        "In each the suggested picture is kept; 19 pictures will be removed.",
        "Of your own 50 answers to such groups, 49 were the suggestion.",
    ]
    assert said() == before
    tab.wait_for_selector("html[data-ready]", state="attached")
    press(tab, "Enter")
    tab.wait_for_url("**/duplicates")
    settled(tab, len(before) + 38)
    batch = set(said()[len(before) :])
    expected = [pair for number, pair in enumerate(world.groups[:NUM_OPEN] + world.groups[62:70]) if number != 5]
    assert batch == {(b, "keep", "") for _, b in expected} | {(a, "remove", "") for a, _ in expected}
    texts = Path("data/decisions/ana.csv").read_text().splitlines()[-38:]
    assert len({re.search(r"bulk:([0-9a-f]{12})", each)[1] for each in texts}) == 1
    assert all('"duplicates; same pixels; model 1; suggested ' in each for each in texts)
    tab.wait_for_selector("html[data-ready]", state="attached")
    press(tab, "Backspace")
    settled(tab, len(before))
    assert said() == before


def test_what_changed_since_it_was_read_is_asked_anew(world, tab, server):
    answer(world, FEWEST)
    go(tab, server, "/duplicates/rules")
    press(tab, "1")
    tab.wait_for_selector("html[data-ready] li")
    a, b = world.groups[0]
    DecisionFile("ben").append([Row(a, "distinct", b, "act:0123456789ab")])
    press(tab, "Enter")
    tab.wait_for_selector("text=Nothing was written")
    assert tab.locator("li").all_inner_texts()[1] == "18 groups: the same pixels."
    assert len(said()) == 2 * FEWEST


@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page(world, browser, server, width):
    answer(world, FEWEST)
    page = browser.new_page(viewport={"width": width, "height": 850})
    go(page, server, "/duplicates/rules")
    require_readable(page)
    page.screenshot(path=f"{Path.cwd().parent}/rules_{width}.png", full_page=True)
    press(page, "1")
    page.wait_for_selector("li")
    require_readable(page)
    page.close()
