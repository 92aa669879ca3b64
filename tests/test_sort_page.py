"""Sorting in a real browser, by keys alone; the file is compared row for row."""

import urllib.parse
from pathlib import Path

import numpy as np
import pytest
from desks import Server, asked, begin_again, go, prepared, press, require_readable, said, settled, shown, watched, whys

from stages.tables.identified import IDENTIFIED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("sort"), num_unlabelled=130) as world:
        table = IDENTIFIED.read().set_index("image_id").loc[world.unlabelled]
        table["class_1"] = np.array(["hat", "shirt"])[np.arange(130) % 2]
        table["low"] = np.arange(130) >= 125
        IDENTIFIED.write(table.reset_index().sort_values("path"))
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    return shared


@pytest.fixture
def server(world):
    with Server() as server:
        yield server


@pytest.fixture
def tab(browser, server):
    with watched(browser) as page:
        yield page


def framed(tab) -> str:
    return tab.get_attribute(".acted .cell.framed", "data-image-id")


def test_a_range_is_accepted_as_the_model_suggests_after_it_was_said_what_that_means(world, tab, server):
    go(tab, server, "/sort")
    ids = world.unlabelled
    assert tab.get_attribute("body", "data-page") == "sort"
    assert shown(tab) == ids[:60]
    press(tab, "ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowRight", "Shift+ArrowLeft")
    assert tab.inner_text("#marked") == "3"
    press(tab, "y")
    assert asked(tab) == ["3 pictures will be labelled: 2 shirt, 1 hat."]
    assert said() == []
    press(tab, "Enter")
    settled(tab, 3)
    assert said() == [(ids[1], "relabel", "shirt"), (ids[2], "relabel", "hat"), (ids[3], "relabel", "shirt")]
    assert whys()[1] == "sort; accepted on the model's suggestion; model 1; said hat 98.2; 2 of 3"
    text = Path("data/decisions/ana.csv").read_text()
    assert text.count("; bulk:") == 3
    assert len({line.rpartition("bulk:")[2] for line in text.splitlines()[1:]}) == 1
    tab.wait_for_selector(f"[data-image-id='{ids[62]}']")
    assert shown(tab) == [ids[0], *ids[4:63]]
    assert framed(tab) == ids[4]
    assert tab.inner_text("#left") == "127"
    press(tab, "Backspace")
    settled(tab, 0)
    tab.wait_for_selector(f"[data-image-id='{ids[1]}']")
    assert shown(tab) == ids[:60]
    assert tab.inner_text("#marked") == "3", "what comes back can be decided anew"


def test_marked_pictures_are_removed_for_a_reason_and_one_is_decided_at_once(world, tab, server):
    go(tab, server, "/sort")
    ids = world.unlabelled
    press(tab, "x", "ArrowDown", "ArrowRight", "x", "d", "2")
    columns = tab.evaluate("getComputedStyle(document.querySelector('.cells')).gridTemplateColumns.split(' ').length")
    assert asked(tab) == ["2 pictures will be removed: dark."]
    press(tab, "Escape", "d", "1")
    assert asked(tab) == ["2 pictures will be removed: blurred."]
    press(tab, "Enter")
    settled(tab, 2)
    press(tab, "Home", "y")
    settled(tab, 3)
    assert said() == [(ids[0], "remove", ""), (ids[columns + 1], "remove", ""), (ids[1], "relabel", "shirt")]
    assert whys()[0] == "sort; blurred; model 1; said hat 99.0; 1 of 2"
    press(tab, "n", "d", "9")
    settled(tab, 4)
    assert said()[3] == (ids[3], "remove", ""), "the one before it was left for later"
    press(tab, "t")
    tab.keyboard.type("walrus")
    press(tab, "Enter")
    settled(tab, 5)
    assert said()[4] == (ids[4], "relabel", "walrus")


def test_no_key_is_lost_while_the_desk_counts(world, tab, server):
    go(tab, server, "/sort?class=hat")
    hats = world.unlabelled[::2]
    press(tab, "x", "ArrowRight", "x", "y", "Enter", "d", "3", "y", "Backspace")
    settled(tab, 3)
    assert said() == [(hats[0], "relabel", "hat"), (hats[1], "relabel", "hat"), (hats[2], "remove", "")]
    press(tab, "Backspace", "Backspace")
    settled(tab, 0)


def test_buttons_go_to_the_first_and_the_last_of_the_grid(world, tab, server):
    go(tab, server, "/sort")
    ids = shown(tab)
    for key, place in (("End", -1), ("Home", 0), ("ArrowRight", 1)):
        tab.click(f"button[data-key={key}]")
        tab.wait_for_selector(f".framed[data-image-id='{ids[place]}']")


def test_ranges_and_marks_go_on_in_the_next_part_of_the_grid(world, tab, server):
    go(tab, server, "/sort")
    ids = world.unlabelled
    press(tab, "End", "Shift+ArrowRight", "Shift+ArrowRight")
    tab.wait_for_selector("#marked:text-is('3')")
    press(tab, "PageDown", "x", "d", "1")
    assert asked(tab) == ["4 pictures will be removed: blurred."]
    press(tab, "Enter")
    settled(tab, 4)
    assert [row[0] for row in said()] == [*ids[59:62], ids[120]]


def test_all_pictures_of_a_filter_are_one_batch_and_do_not_come_back(world, tab, server):
    go(tab, server, "/sort")
    press(tab, "f", "s", *["Tab"] * 10)
    assert tab.evaluate("document.activeElement.textContent") == "show"
    press(tab, "Enter")
    tab.wait_for_url("**class=shirt**")
    tab.wait_for_selector("html[data-ready] .cell.framed")
    press(tab, "a", "y")
    assert asked(tab) == ["65 pictures will be labelled shirt.", "1 class reaches 40: shirt."]
    press(tab, "Enter")
    settled(tab, 65)
    assert [row[0] for row in said()] == world.unlabelled[1::2]
    tab.wait_for_selector(".none")
    with Server() as again:
        go(tab, again, "/sort")
        assert shown(tab) == world.unlabelled[:120:2]
        press(tab, "Backspace")
        settled(tab, 0)
        go(tab, server, "/sort?low=1")
    assert shown(tab) == world.unlabelled[125:]


def test_a_filter_changes_the_grid_and_the_browsers_way_back_leads_back(world, tab, server):
    go(tab, server, "/sort")
    press(tab, "ArrowRight", "x")
    tab.evaluate("window.isTheSame = true")
    tab.select_option("[name=class]", "shirt")
    tab.click("text=show")
    tab.wait_for_url("**class=shirt**")
    assert shown(tab) == world.unlabelled[1:121:2]
    assert tab.evaluate("window.isTheSame")
    assert (tab.inner_text("#left"), tab.inner_text("#marked")) == ("65", "0")
    assert framed(tab) == world.unlabelled[1]
    press(tab, "PageDown")
    tab.wait_for_selector(f"[data-image-id='{world.unlabelled[121]}']")
    assert shown(tab) == world.unlabelled[121::2]
    press(tab, "d", "1")
    settled(tab, 1)
    tab.wait_for_selector("#left:text-is('64')")
    tab.go_back()
    tab.wait_for_selector("html[data-ready] .cell.framed")
    tab.wait_for_selector("#left:text-is('129')")
    assert tab.input_value("[name=class]") == ""


def test_a_filter_that_makes_no_sense_leaves_the_grid_as_it_was(world, tab, server):
    go(tab, server, "/sort?class=hat")
    tab.evaluate("document.querySelector('[name=least]').type = 'text'")
    tab.fill("[name=least]", "some")
    tab.click("text=show")
    tab.wait_for_selector("#notices:has-text(\"'some' is no number\")")
    tab.problems.clear()  # the browser's own word about a refusal
    press(tab, "PageDown")
    tab.wait_for_selector(f"[data-image-id='{world.unlabelled[120]}']")
    assert shown(tab) == world.unlabelled[120::2]


def test_two_thousand_marked_pictures_are_written(tmp_path, browser):
    many = prepared(tmp_path, num_pictures=3, num_unlabelled=2000, side=8)
    with many as world, Server() as server, watched(browser) as tab:
        go(tab, server, "/sort")
        press(tab, "a", "y")
        assert asked(tab)[0].startswith("2,000 pictures will be labelled")
        press(tab, "Enter")
        tab.wait_for_selector(".none", timeout=60_000)
        assert [row[0] for row in said()] == world.unlabelled


def test_more_like_this_and_a_closer_look_by_keys(world, tab, server):
    go(tab, server, "/sort")
    press(tab, "ArrowRight", "l")
    tab.wait_for_selector("#closer[open] img")
    assert world.unlabelled[1] in tab.get_attribute("#closer img", "src")
    press(tab, "ArrowRight")
    assert world.unlabelled[2] in tab.get_attribute("#closer img", "src")
    press(tab, "l", "m")
    tab.wait_for_url(f"**like={world.unlabelled[2]}")
    tab.wait_for_selector("html[data-ready] .cell.framed")
    assert framed(tab) == world.unlabelled[2]
    assert set(shown(tab)) != set(world.unlabelled[:60])


def test_an_answer_that_comes_late_brings_nothing_back(world, tab, server):
    late = []

    def answer_late(route):
        answer = route.fetch()
        late.append(route.request.url)
        tab.wait_for_timeout(1500 if len(late) == 1 else 0)
        route.fulfill(response=answer)

    go(tab, server, "/sort")
    tab.route("**/cells/sort?*", answer_late)
    press(tab, "y")
    while not late:
        tab.wait_for_timeout(25)
    press(tab, "y")
    settled(tab, 2)
    tab.wait_for_timeout(2000)
    assert len(late) == 2
    assert shown(tab) == world.unlabelled[2:62]


def test_arrows_wait_while_a_question_is_open(world, tab, server):
    go(tab, server, "/sort")
    press(tab, "x", "ArrowRight", "x", "y")
    asked(tab)
    press(tab, "ArrowRight", "Shift+ArrowRight", "End", "Escape")
    assert framed(tab) == world.unlabelled[1]
    assert tab.inner_text("#marked") == "2"


def test_more_like_this_waits_for_what_was_decided_before(world, tab, server):
    go(tab, server, "/sort")
    tab.route("**/sort", lambda route: (tab.wait_for_timeout(300), route.continue_()))
    press(tab, "y", "y", "d", "1", "m")
    tab.wait_for_url(f"**like={world.unlabelled[3]}")
    assert [row[0] for row in said()] == world.unlabelled[:3]


def test_keys_after_more_like_this_act_on_what_it_leads_to(world, tab, server):
    go(tab, server, "/sort")
    tab.route("**/sort", lambda route: (tab.wait_for_timeout(500), route.continue_()))
    press(tab, "y", "m", "x", "n")
    tab.wait_for_url(f"**like={world.unlabelled[1]}")
    tab.wait_for_selector("html[data-ready]", state="attached")
    # The framed one was marked and left for later there, and nothing of the page before.
    tab.wait_for_selector(f".cell.framed:not([data-image-id='{world.unlabelled[1]}'])")
    tab.wait_for_load_state("networkidle")
    tab.unroute_all(behavior="wait")
    assert [row[0] for row in said()] == world.unlabelled[:1]


def test_what_changed_while_the_question_was_open_is_asked_anew(world, tab, server):
    go(tab, server, "/sort")
    ids = world.unlabelled
    press(tab, "x", "ArrowRight", "x", "ArrowRight", "x", "y")
    assert asked(tab) == ["3 pictures will be labelled: 2 hat, 1 shirt."]
    ben = Path("data/decisions/ben.csv")
    ben.write_text(f"image_id,decision,value,on,why\n{ids[1]},remove,,2026-01-01T00:00:00.000Z,by hand\n")
    try:
        press(tab, "Enter")
        tab.wait_for_selector("#ask[open] li:has-text('something else by now')")
        assert asked(tab)[1:] == ["2 pictures will be labelled hat.", "1 picture decided already: left out."]
        assert said() == []
        press(tab, "Enter")
        settled(tab, 2)
        assert said() == [(ids[0], "relabel", "hat"), (ids[2], "relabel", "hat")]
        press(tab, "Backspace")
        settled(tab, 0)
    finally:
        ben.unlink()


def test_it_works_without_a_script(world, browser, server):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{server.address}/sort?class=shirt")
    tab.click("text=next")
    shirts = world.unlabelled[1::2]
    assert shown(tab) == shirts[60:]
    tab.check(f"[value='{shirts[60]}']")
    tab.check(f"[value='{shirts[61]}']")
    tab.click("text=as the model says")
    assert "2 pictures will be labelled shirt." in tab.inner_text("main")
    assert said() == []
    tab.click("text=write it")
    assert said() == [(shirts[60], "relabel", "shirt"), (shirts[61], "relabel", "shirt")]
    assert urllib.parse.urlsplit(tab.url).query == "class=shirt&part=2"
    context.close()


@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page(world, browser, server, width):
    page = browser.new_page(viewport={"width": width, "height": 850})
    for open_ in ((), ("a", "y"), ("l",)):
        page.goto(f"{server.address}/sort?like={world.unlabelled[3]}")
        page.wait_for_selector("html[data-ready] .cell.framed")
        for key in open_:
            page.keyboard.press(key)
        if open_:
            page.wait_for_selector("dialog[open]")
        require_readable(page)
    page.close()


def test_the_menu_of_filters_counts_what_is_open(world, tab, server):
    def counted():
        go(tab, server, "/sort")
        return tab.eval_on_selector_all("select[name=class] option", "nodes => nodes.map(each => each.textContent)")

    assert counted() == ["any class", "hat (65)", "shirt (65)"]
    press(tab, "y", "y", "d", "1")  # hat, shirt, hat
    settled(tab, 3)
    assert counted() == ["any class", "hat (63)", "shirt (64)"]


def test_who_marks_more_than_a_key_decides_about_is_told(world, tab, server):
    go(tab, server, "/sort")
    tab.route("**/ids/sort?*", lambda route: route.fulfill(json={"ids": world.unlabelled[:70], "total": 130}))
    press(tab, "a")
    tab.wait_for_selector("#status:text-is('The first 70 of 130 are marked: a key decides about no more at once.')")
    assert tab.inner_text("#marked") == "70"


def test_a_screen_reader_is_told_the_verdict_and_which_picture_keys_act_on_next(world, tab, server):
    def heard(text):
        tab.wait_for_function("text => document.getElementById('status').textContent === text", arg=text)

    go(tab, server, "/sort")
    press(tab, "y")
    heard("no label \N{RIGHTWARDS ARROW} hat; next: shirt 99 · the model is sure")
    press(tab, "Backspace")
    heard("taken back: no label \N{RIGHTWARDS ARROW} hat; next: hat 99 · the model is sure")
