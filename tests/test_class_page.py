"""The grid of a class in a real browser, by keys alone; the file is compared row for row."""

import urllib.parse
import urllib.request

import pytest
from desks import Server, asked, begin_again, go, prepared, press, require_readable, said, settled, shown, watched, whys

from curation import snapshot as snapshots
from curation.ledger import Ledger
from curation.pages.classes import Classes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("class"), num_pictures=20) as world:
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


def order(name) -> list[str]:
    return list(Classes().keys(snapshots.read_snapshot(), Ledger(), {"name": [name]}))


def test_a_class_is_split_by_keys_alone(world, tab, server):
    hats = order("hat")
    go(tab, server, "/class/hat")
    assert tab.get_attribute("body", "data-page") == "class"
    assert shown(tab) == hats
    press(tab, "x", "ArrowRight", "ArrowRight", "x", "t")
    tab.keyboard.type("fez")
    press(tab, "Enter")
    assert asked(tab) == [
        "2 pictures will be labelled fez (a new sub-class).",
        "The new sub-class is made when somebody runs `make intake`.",
    ]
    press(tab, "Enter")
    settled(tab, 2)
    assert said() == [(hats[0], "relabel", "fez"), (hats[2], "relabel", "fez")]
    assert whys()[0] == "class; model 1; said shirt 98.0; 1 of 2"
    tab.wait_for_selector("#left:text-is('18')")
    assert hats[0] not in shown(tab)
    press(tab, "k")
    settled(tab, 3)
    assert said()[2] == (hats[3], "relabel", "hat")
    go(tab, server, "/class/fez")
    assert set(shown(tab)) == {hats[0], hats[2]}
    press(tab, "Backspace", "Backspace")
    settled(tab, 0)
    go(tab, server, "/class/hat")
    assert shown(tab) == hats


def test_two_classes_stand_side_by_side_and_pictures_go_across(world, tab, server):
    hats, shirts = order("hat"), order("shirt")
    go(tab, server, "/class/hat")
    press(tab, "w")
    tab.keyboard.type("shirt")
    press(tab, "Enter")
    tab.wait_for_url("**beside=shirt**")
    tab.wait_for_selector("html[data-ready] .cell.framed")
    assert shown(tab) == [*hats, *shirts]
    press(tab, "o", "ArrowRight", "Shift+ArrowRight", "t")
    tab.keyboard.type("hat")
    press(tab, "Enter")
    assert asked(tab) == ["2 pictures will be labelled hat."]
    press(tab, "Enter")
    settled(tab, 2)
    assert said() == [(shirts[1], "relabel", "hat"), (shirts[2], "relabel", "hat")]
    tab.wait_for_selector(f"[aria-label='hat'] [data-image-id='{shirts[1]}']")
    assert tab.get_attribute(".acted .framed", "data-image-id") == shirts[3]
    press(tab, "o", "d", "4")
    settled(tab, 3)
    assert said()[2] == (hats[0], "remove", "")
    with Server() as again:
        go(tab, again, "/class/hat?beside=shirt")
        assert set(shown(tab)) == {*hats[1:], *shirts}
        press(tab, "Backspace", "Backspace")
        settled(tab, 0)
        tab.goto("about:blank")


def test_what_comes_back_elsewhere_is_not_marked_here(world, tab, server):
    go(tab, server, "/class/hat")
    press(tab, "Shift+ArrowRight", "d", "1")
    asked(tab)
    press(tab, "Enter")
    settled(tab, 2)
    go(tab, server, "/class/shirt")
    first = shown(tab)[0]
    press(tab, "Backspace", "k")
    settled(tab, 1)
    assert said() == [(first, "relabel", "shirt")]
    assert tab.inner_text("#marked") == "0"


def test_who_leaves_while_decisions_wait_for_a_slow_desk_is_asked_first(world, tab, server):
    hats, questions, held, answered = order("hat"), [], [], []
    tab.on("requestfinished", lambda request: answered.append(request) if request.method == "POST" else None)
    tab.on("dialog", lambda dialog: (questions.append(dialog.type), dialog.dismiss()))
    go(tab, server, "/class/hat")
    tab.route("**/class", lambda route: route.continue_() if questions else held.append(route))
    press(tab, "k", "k", "k", "T")
    while not questions:
        tab.wait_for_timeout(25)
    for route in held:
        route.continue_()
    while len(answered) < 3:
        tab.wait_for_timeout(25)
    assert questions == ["beforeunload"]
    assert {row[0] for row in said()} == set(hats[:3])
    press(tab, "T")
    tab.wait_for_url("**/double-check?class=hat")
    assert questions == ["beforeunload"]


def test_the_first_page_leads_to_the_classes_by_keys(world, tab, server):
    go(tab, server, "/")
    press(tab, "5")
    tab.wait_for_url("**/class")
    assert tab.inner_text("tr:first-child th") == "boots"
    tab.wait_for_selector("html[data-ready]", state="attached")
    press(tab, "f")
    tab.keyboard.type("boots_tall")
    press(tab, "Enter")
    tab.wait_for_url("**/class?name=boots_tall")
    assert set(shown(tab)) == set(world.library["boots_tall"])
    go(tab, server, "/class/boots?only=boots")
    assert set(shown(tab)) == set(world.library["boots"])


def test_it_works_without_a_script(world, browser, server):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    hats = order("hat")
    tab.goto(f"{server.address}/class/hat")
    for image_id in hats[:2]:
        tab.check(f"[value='{image_id}']")
    tab.fill("#act ~ * [name=name], .typed [name=name]", "shirt")
    tab.press(".typed [name=name]", "Enter")
    assert "2 pictures will be labelled shirt." in tab.inner_text("main")
    tab.click("text=write it")
    assert said() == [(hats[0], "relabel", "shirt"), (hats[1], "relabel", "shirt")]
    assert urllib.parse.urlsplit(tab.url).path == "/class/hat"
    context.close()


def test_without_a_script_a_page_of_before_decides_anew_and_a_form_sent_twice_once(world, server):
    def sent(path, **values):
        body = urllib.parse.urlencode({**values, "action": "0123456789ab"}).encode()
        urllib.request.urlopen(f"{server.address}/{path}", body).close()  # noqa: S310

    hats, first = order("hat"), world.review[0]
    for number in (0, 1):
        sent("class", key="k", image_id=hats[number])
    assert said() == [(hats[0], "relabel", "hat"), (hats[1], "relabel", "hat")]
    begin_again()
    for key in ("k", "k", "is:hat"):
        sent("double-check", key=key, image_id=first)
    assert said() == [(first, "relabel", "boots"), (first, "relabel", "hat")]


def test_without_a_script_the_next_part_of_a_class_keeps_the_one_beside_it(tmp_path, browser):
    with prepared(tmp_path, ["hat", "shirt"], num_pictures=62, num_unlabelled=1, side=24), Server() as server:
        context = browser.new_context(java_script_enabled=False)
        tab = context.new_page()
        tab.goto(f"{server.address}/class/hat?beside=shirt")
        tab.click("[aria-label='hat'] >> text=next")
        assert tab.url.endswith("/class/hat?beside=shirt&part=2")
        assert tab.locator("[aria-label='hat'] .cell").count() == 2
        assert tab.locator("[aria-label='shirt'] .cell").count() == 60
        context.close()


@pytest.mark.parametrize("path", ["/class", "/class/hat?beside=boots"])
@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page(world, browser, server, path, width):
    page = browser.new_page(viewport={"width": width, "height": 850})
    go(page, server, path)
    require_readable(page)
    page.close()


def test_the_list_of_classes_says_how_many_there_are(world, tab, server):
    go(tab, server, "/class")
    assert tab.inner_text(".pace").endswith(" · 3 classes")
    go(tab, server, "/class/hat")
    assert tab.inner_text(".pace").endswith(" · 20 pictures")
