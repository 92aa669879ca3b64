"""The page Production in a real browser, by keys alone; the file of outcomes is compared row for row."""

import shutil
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from desks import Server, begin_again, go, prepared, require_readable, said, served, shown, watched
from desks import press_on_items as press
from harvests import answered, transaction, write_harvest
from hostile_names import NAMES, as_shown, require_text
from repositories import ROOT, commit, run

from serving.outcomes import read_outcomes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("production")) as world:
        shutil.copy(ROOT / "data/advice.yaml", "data/advice.yaml")
        run("git", "add", "--force", "data/advice.yaml")
        commit("Advice")
        run("git", "tag", "begin")
        yield world


@pytest.fixture
def world(shared):
    for name in ("build/harvest", "data/outcomes", ".dvc/tmp"):
        shutil.rmtree(name, ignore_errors=True)
    begin_again("begin")
    return shared


@pytest.fixture
def tab(world, browser):
    with watched(browser) as page:
        yield page


def found(person: str = "ana") -> list[tuple[str, str, str]]:
    return [(each.transaction, each.outcome, each.value) for each in read_outcomes() if each.person == person]


def settled(tab, *wanted: tuple[int, str, str]) -> None:
    """Wait until these outcomes are on the disk, each by the number of its transaction."""
    rows = [(transaction(number), *rest) for number, *rest in wanted]
    for _ in range(1200):
        if found() == rows:
            return
        tab.wait_for_timeout(25)
    assert found() == rows


def test_each_key_writes_its_outcome_and_what_was_judged_does_not_come_back(tab):
    rows = [answered(number, "hat", "boots", "shirt") for number in range(1, 9)]
    sad = [answered(number, "hat", "boots", "shirt", shown=False) for number in range(9, 13)]
    write_harvest(*rows, *sad)
    with served(tab) as server:
        go(tab, server, "/")
        assert tab.inner_text("a[href='/production'].button .number") == "12"
        go(tab, server, "/production")
        assert tab.get_attribute("body", "data-page") == "production"
        assert shown(tab) == [rows[0]["image_id"]]
        press(tab, "k", "2", "t", *"shi", "Enter")
        press(tab, "d", "2", "c", *"red panda", "Enter", "o", "x", " ")
        press(tab, "1", "3", "t", *"boots", "Enter", "k")
        expected = [
            (1, "right", ""), (2, "wrong", "boots"), (3, "wrong", "shirt"), (4, "bad_picture", "dark"),
            (5, "candidate", "red panda"), (6, "out_of_scope", ""), (7, "prank", ""),
            (9, "should_have_answered", "hat"), (10, "should_have_answered", "shirt"),
            (11, "should_have_answered", "boots"), (12, "right", ""),
        ]  # fmt: skip
        settled(tab, *expected)
        tab.wait_for_selector(later := f"[data-image-id='{rows[7]['image_id']}']")
    with served(tab) as server:
        go(tab, server, "/production")
        assert shown(tab) == [rows[7]["image_id"]]
        press(tab, "c", *"red", "Enter")  # the name that was given before is offered
        settled(tab, *expected, (8, "candidate", "red panda"))
        tab.wait_for_selector(".empty")
        assert "make harvest" in tab.inner_text(".empty")
        tab.keyboard.press("Backspace")
        settled(tab, *expected)
        tab.wait_for_selector(later)
        go(tab, server, "/")
        tab.click("footer button")
        tab.wait_for_selector("#uncommitted:text-is('0')", state="attached")
        assert run("git", "log", "-1", "--format=%an: %s") == "Ana: ana: 11 outcomes at the desk\n"
        assert run("git", "show", "--name-only", "--format=").split() == ["data/outcomes/ana.csv"]
        go(tab, server, "/production")
        press(tab, "Backspace")
        settled(tab, *expected, (12, "undo", ""))
        tab.wait_for_selector(f"[data-image-id='{sad[3]['image_id']}']")
        press(tab, "o")
        settled(tab, *expected, (12, "undo", ""), (12, "out_of_scope", ""))


def test_one_sees_what_the_user_was_told_and_said_and_hostile_comments_stay_text(tab):
    first = answered(1, "hat", "boots", "shirt", feedback="wrong", comment="\n".join(NAMES))
    write_harvest(first, answered(2, "hat", shown=False, faults="dark"))
    with served(tab) as server:
        go(tab, server, "/production")
        told = as_shown(tab.text_content(".told"))
        assert "hat 97.5" in told and as_shown("\n".join(NAMES)) in told
        require_text(tab)
        assert tab.inner_text(".complaint .warn") == "wrong"
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in tab.text_content(".told")
        wide = tab.eval_on_selector(".subject img", "image => image.decode().then(() => image.naturalWidth)")
        assert wide > 0
        for width in (1400, 320):
            tab.set_viewport_size({"width": width, "height": 850})
            require_readable(tab)
        press(tab, "k")
        tab.wait_for_selector(".answer:text-is('no answer')")
        assert "The picture is too dark" in tab.inner_text(".told")
        require_readable(tab)
        tab.keyboard.press("?")
        assert {"rightly no answer", "a bad one …", "type a class", "candidate: its name", "a prank"} <= set(
            tab.eval_on_selector_all("#key-table td:last-child", "nodes => nodes.map(each => each.textContent)")
        )


def test_pictures_of_the_harvest_alone_are_served_to_who_may_come_in_and_kept_nowhere(tab):
    row = answered(1, "hat")
    write_harvest(row)
    Path("build/harvest/pictures/notes").write_text("no picture")
    with served(tab) as server:
        for image_id, status in ((row["image_id"], 200), (f"{9:032x}", 404), ("notes", 404), ("..%2Fnotes", 404)):
            assert fetched(f"{server.address}/production/picture/256/{image_id}")[0] == status
        assert fetched(f"{server.address}/production/picture/512/{row['image_id']}")[0] == 404
        assert fetched(f"{server.address}/production/picture/256/{row['image_id']}")[1] == "no-store"
        assert fetched(f"{server.address}/picture/256/{row['image_id']}")[0] == 404
        assert fetched(f"{server.address}/production/picture/256/{row['image_id']}", Host="evil.example")[0] == 403
        assert not list(Path(".dvc/tmp").rglob(f"{row['image_id']}*"))
        write_harvest()
        tab.wait_for_timeout(1100)  # the desk looks once a second
        assert fetched(f"{server.address}/production/picture/256/{row['image_id']}")[0] == 404
        go(tab, server, "/")
        assert tab.inner_text("a[href='/production'].button small") == "make harvest fetches answers"
        assert tab.inner_text("a[href='/production'].button .number") == "0"
        require_readable(tab)


def fetched(address: str, **headers: str) -> tuple[int, str | None]:
    request = urllib.request.Request(address, headers=headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return answer.status, answer.headers["cache-control"]
    except urllib.error.HTTPError as error:
        error.close()
        return error.code, None


def test_what_people_differ_about_is_on_the_first_page_and_leads_back(tab):
    row = answered(1, "hat", "boots")
    write_harvest(row)
    with served(tab, "--person=ben") as server:
        go(tab, server, "/production")
        press(tab, "k")
        for _ in range(1200):
            if found("ben"):
                break
            tab.wait_for_timeout(25)
    with served(tab) as server:
        go(tab, server, f"/production?first={row['image_id']}")
        press(tab, "2")
        settled(tab, (1, "wrong", "boots"))
        go(tab, server, "/")
        words = tab.inner_text("section:has-text('Where people differ') li")
        assert "ben: right" in words and "ana: wrong → boots" in words
        require_readable(tab)
        tab.click("section:has-text('Where people differ') li a")
        assert shown(tab) == [row["image_id"]]


def test_it_works_without_a_script(world, browser):
    first, second = answered(1, "hat", "boots"), answered(2, "hat", "boots", shown=False)
    write_harvest(first, second)
    with Server() as server:
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{server.address}/production")
        page.fill(".typed input[list=candidates]", "red panda")
        page.press(".typed input[list=candidates]", "Enter")
        page.click("button[data-key='2']")
        assert found() == [
            (transaction(1), "candidate", "red panda"),
            (transaction(2), "should_have_answered", "boots"),
        ]
        assert page.query_selector(".empty") is not None
        page.context.close()


def test_a_picture_that_is_marked_goes_to_the_library_too_and_one_undo_takes_back_both(tab):
    rows = [answered(number, "hat", "shirt", "boots") for number in range(1, 5)]
    write_harvest(*rows)
    ids = [row["image_id"] for row in rows]
    with served(tab) as server:
        go(tab, server, "/production")
        press(tab, "l", "k", "l", "t", *"boots_t", "Enter", "k")
        settled(tab, (1, "right", ""), (2, "wrong", "boots"), (3, "right", ""))
        assert said() == [(ids[0], "relabel", "hat"), (ids[1], "relabel", "boots_tall")]
        press(tab, "l", "3")
        tab.wait_for_selector("#notices:has-text('boots has several folders: boots, boots_tall')")
        tab.wait_for_selector(f"[data-image-id='{ids[3]}']")
        tab.problems.clear()  # the browser's own word about a refusal
        require_readable(tab)
        press(tab, "Backspace", "Backspace")
        settled(tab, (1, "right", ""))
        tab.wait_for_selector("#status:has-text('taken back: wrong \N{RIGHTWARDS ARROW} boots')")
        assert said() == [(ids[0], "relabel", "hat")]
        go(tab, server, "/")
        assert "For the library: 1 of the pictures that users sent" in tab.inner_text("main")
        tab.click("footer button")
        tab.wait_for_selector("#uncommitted:text-is('0')", state="attached")
        assert run("git", "log", "-1", "--format=%s") == "ana: 1 decision and 1 outcome at the desk\n"
