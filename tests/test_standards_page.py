"""Examples of good and bad pictures, shown from any page by a key, in a real browser; the files are compared."""

import re
from pathlib import Path

import pytest
from desks import Server, begin_again, go, prepared, require_readable, said, settled, shown, watched
from desks import press_on_items as press
from repositories import run

from curation.standards import PATH, Standards, parse, standing

pytestmark = pytest.mark.slow
RULES = "# Our rules\n\nOne *subject*, <b>sharp</b>.\n\n## Good examples\n\n## Bad examples\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("standards")) as world:
        Path(PATH).write_text(RULES)
        run("git", "add", PATH)
        run("git", "commit", "--quiet", "--message", "Rules")
        run("git", "tag", "begin")
        yield world


@pytest.fixture
def world(shared):
    begin_again("begin")
    return shared


@pytest.fixture
def server(world):
    with Server() as server:
        yield server


@pytest.fixture
def tab(browser, server):
    with watched(browser) as page:
        yield page


def examples() -> dict[str, str]:
    return {image_id: each.kind for image_id, each in standing(parse(Path(PATH).read_text())).items()}


def wait_for(tab, wanted: dict[str, str]):
    for _ in range(200):
        if examples() == wanted:
            return
        tab.wait_for_timeout(25)
    assert examples() == wanted


def test_a_key_sends_the_picture_and_backspace_takes_back_what_was_last_example_or_decision(world, tab, server):
    ids = world.review
    go(tab, server, "/double-check")
    press(tab, "g", "k", "b", "k")
    settled(tab, 2)
    wait_for(tab, {ids[0]: "good", ids[1]: "bad"})
    assert shown(tab) == ids[2:3]
    assert tab.inner_text("#uncommitted") == "4"
    press(tab, "Backspace")
    settled(tab, 1)
    assert shown(tab) == ids[1:2] and examples() == {ids[0]: "good", ids[1]: "bad"}
    go(tab, server, "/double-check")
    press(tab, "Backspace", "Backspace")
    wait_for(tab, {ids[0]: "good"})
    settled(tab, 0)
    tab.wait_for_selector(f"[data-image-id='{ids[0]}']")
    press(tab, "g")
    tab.wait_for_selector("#notices:has-text('this picture is a good example already')")
    tab.problems.clear()  # the browser's own word about a refusal
    press(tab, "Backspace")
    wait_for(tab, {})
    assert Path(PATH).read_text().split() == RULES.split()


def test_on_other_pages_the_picture_that_keys_act_on_is_sent(world, tab, server):
    go(tab, server, "/label")
    press(tab, "b")
    wait_for(tab, {world.unlabelled[0]: "bad"})
    go(tab, server, "/duplicates")
    _, suggested = sorted(world.pairs)[0]
    press(tab, "b", "b", "B")  # the small letter blinks here
    wait_for(tab, {world.unlabelled[0]: "bad", suggested: "bad"})
    press(tab, "g")
    wait_for(tab, {world.unlabelled[0]: "bad", suggested: "good"})
    assert said() == []
    go(tab, server, "/sort")
    press(tab, "ArrowRight", "g")
    wait_for(tab, {world.unlabelled[0]: "bad", world.unlabelled[1]: "good", suggested: "good"})
    press(tab, "Backspace", "Backspace")
    wait_for(tab, {world.unlabelled[0]: "bad", suggested: "bad"})


def test_the_page_shows_rules_and_examples_and_takes_one_out_by_keys(world, tab, server):
    ids = world.review
    go(tab, server, "/double-check")
    press(tab, "g", "k", "g", "k", "b")
    wait_for(tab, {ids[0]: "good", ids[1]: "good", ids[2]: "bad"})
    tab.click("nav >> text=Standards")
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.get_attribute("body", "data-page") == "standards"
    assert shown(tab) == ids[:3]
    assert tab.inner_text("main em") == "subject"
    assert "<b>sharp</b>" in tab.inner_text("main")
    assert "3 of your examples are not committed" in tab.inner_text("main")
    tab.focus(f"[data-image-id='{ids[1]}'] button")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(f"[data-image-id='{ids[1]}']", state="detached")
    assert examples() == {ids[0]: "good", ids[2]: "bad"}
    tab.wait_for_selector("html[data-ready]", state="attached")
    tab.keyboard.press("Backspace")
    tab.wait_for_selector(f"[data-image-id='{ids[1]}']")
    assert examples() == {ids[0]: "good", ids[1]: "good", ids[2]: "bad"}
    tab.keyboard.press("?")
    assert "undo" in tab.inner_text("#help")


def test_a_commit_takes_a_persons_decisions_and_examples_and_no_other_change(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "g", "k")
    settled(tab, 1)
    go(tab, server, "/")
    assert re.search(r"1 of your decisions are not committed, nor 1 of your examples", tab.inner_text("main"))
    tab.click("text=commit as ana")
    tab.wait_for_load_state()
    assert run("git", "log", "-1", "--format=%an: %s") == "Ana: ana: 1 decision and 1 example at the desk\n"
    assert run("git", "show", "--name-only", "--format=", "HEAD").split() == ["data/decisions/ana.csv", PATH]
    assert not run("git", "status", "--porcelain")

    go(tab, server, "/double-check")
    press(tab, "g")
    Standards().show("ben", "bad", world.review[5], None, "00000000000b")
    wait_for(tab, {world.review[0]: "good", world.review[1]: "good", world.review[5]: "bad"})
    go(tab, server, "/standards")
    assert "The commit takes along those of ben" in tab.inner_text("main")
    tab.click("text=commit as ana")
    tab.wait_for_load_state()
    assert run("git", "log", "-1", "--format=%B").strip() == "ana: 1 example at the desk\n\nWith examples of ben."
    assert not run("git", "status", "--porcelain")

    go(tab, server, "/double-check")
    press(tab, "b", "k")
    settled(tab, 2)
    Path(PATH).write_text(Path(PATH).read_text().replace("One", "A single"))
    go(tab, server, "/standards")
    assert "The file has other changes too, so a commit in a terminal takes them" in tab.inner_text("main")
    tab.click("text=commit as ana")
    tab.wait_for_load_state()
    assert run("git", "show", "--name-only", "--format=", "HEAD").split() == ["data/decisions/ana.csv"]
    assert run("git", "status", "--porcelain") == f" M {PATH}\n"


def test_an_example_that_a_commit_holds_is_taken_back_too(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "g")
    wait_for(tab, {world.review[0]: "good"})
    run("git", "commit", "--quiet", "--all", "--message", "An example")
    go(tab, server, "/")
    go(tab, server, "/standards")
    tab.keyboard.press("Backspace")
    wait_for(tab, {})
    tab.wait_for_selector("text=1 of your examples is not committed")


def test_examples_work_without_a_script(world, browser, server):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{server.address}/double-check")
    tab.click("text=bad example")
    tab.wait_for_load_state()
    assert examples() == {world.review[0]: "bad"}
    tab.goto(f"{server.address}/standards")
    tab.click("text=take out")
    tab.wait_for_load_state()
    assert examples() == {}
    tab.click("text=undo")
    tab.wait_for_load_state()
    assert examples() == {world.review[0]: "bad"}
    context.close()


@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page(world, browser, server, width):
    shown = "".join(f"- {kind}: `{each}`\n" for each, kind in zip(world.review, ("good", "bad", "good"), strict=False))
    Path(PATH).write_text(f"{RULES}\n{shown}\n| a | b |\n| --- | --- |\n| 1 | {'long' * 40} |\n\n1. one\n")
    page = browser.new_page(viewport={"width": width, "height": 850})
    page.goto(f"{server.address}/standards")
    page.wait_for_selector("[data-image-id]")
    require_readable(page)
    page.close()
