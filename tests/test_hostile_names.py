"""Hostile names of classes, people and files stay text on every page in a real browser, and are written as they are."""

from pathlib import Path

import pytest
from desks import Server, asked, begin_again, go, prepared, press, require_readable, said, shown, watched
from hostile_names import FOLDERS, NAMES, PEOPLE, address, as_shown, require_text

from curation.standards import PATH, parse
from stages.labels.names import composed
from stages.tables.identified import IDENTIFIED

pytestmark = pytest.mark.slow
PERSON = PEOPLE[1]
SORTED = sorted(FOLDERS)
PAGES = ("", "double-check", "duplicates", "duplicates/rules", "label", "sort", "class", "standards", "people", "blind",
         "blind/result", "production", "second-look")  # fmt: skip


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A library of a class of each name, whose unlabelled files have the names too, each taken for the next class."""
    with prepared(tmp_path_factory.mktemp("hostile"), FOLDERS, 3, unlabelled=FOLDERS) as world:
        guesses = dict(zip(world.unlabelled, FOLDERS[1:] + FOLDERS[:1], strict=True))
        table = IDENTIFIED.read()
        IDENTIFIED.write(table.assign(class_1=table["image_id"].map(guesses), class_2=FOLDERS[2], class_3=FOLDERS[3]))
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    return shared


@pytest.fixture(scope="module")
def running(shared):
    with Server("--person", PERSON) as server:
        yield server


@pytest.fixture
def tab(browser, server):
    with watched(browser) as page:
        yield page


def text_of(tab, selector) -> str:
    return as_shown(tab.text_content(selector))


def after(tab, number) -> None:
    """Wait until so many decisions are on the disk, and the next item is there."""
    tab.wait_for_selector(f"#decided:text-is('{number}')", state="attached")
    tab.wait_for_selector("[data-image-id], .empty")


def test_there_are_fifty_different_ones_and_nearly_all_can_be_folders_and_people():
    assert len({composed(name) for name in NAMES}) == 50
    assert tuple(map(composed, FOLDERS)) == FOLDERS
    assert len(FOLDERS) >= 47 and len(PEOPLE) >= 46


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_them_as_text_and_has_room_for_them(world, tab, server, path):
    go(tab, server, f"/{path}")
    require_text(tab)
    assert as_shown(PERSON) in text_of(tab, "header")
    if path in ("", "class"):
        names = [as_shown(each) for each in tab.locator("th").all_text_contents()]
        assert names == [as_shown(each) for each in SORTED][: len(names)] and len(names) >= 12
    if path == "sort":
        options = tab.eval_on_selector_all("[name=class] option", "nodes => nodes.map(each => each.value)")
        assert options[1:] == SORTED
    tab.set_viewport_size({"width": 320, "height": 850})
    require_readable(tab)


def test_double_check_and_standards(world, tab, server):
    go(tab, server, "/double-check")
    for number, image_id in enumerate(world.review[:-1], 1):
        label, guess = world.label_of(image_id), SORTED[(SORTED.index(world.label_of(image_id)) + 1) % len(SORTED)]
        assert text_of(tab, ".subject figcaption p") == as_shown(
            f"labelled {label} \N{EM DASH} the model says {guess}, 54"
        )
        require_text(tab)
        press(tab, "g", "k")
        after(tab, number)
    assert said(PERSON) == [(each, "relabel", world.label_of(each)) for each in world.review[:-1]]
    go(tab, server, "/standards")
    require_text(tab)
    assert tab.locator("main img").count() == len(shown(tab)) == len(FOLDERS)
    text = text_of(tab, "main")
    assert [name for name in FOLDERS if as_shown(name)[:100] not in text] == []
    assert {each.person for each in parse(Path(PATH).read_text())} == {PERSON}


def test_duplicates(world, tab, server):
    go(tab, server, "/duplicates")
    for number, pair in enumerate(sorted(world.pairs), 1):
        label = world.label_of(pair[0])
        assert text_of(tab, "figcaption >> nth=0").startswith(as_shown(f"1 {label}"))
        assert as_shown(f"data/library/{label}/") in text_of(tab, "figcaption >> nth=0")
        require_text(tab)
        press(tab, "1")
        after(tab, number)
    assert [row[:2] for row in said(PERSON)[::2]] == [(pair[0], "keep") for pair in sorted(world.pairs)]


def test_label_by_typing(world, tab, server):
    go(tab, server, "/label")
    for number, (image_id, name) in enumerate(zip(world.unlabelled, FOLDERS, strict=True), 1):
        assert shown(tab) == [image_id]
        assert text_of(tab, ".path") == as_shown(f"data/unlabelled/{name}.png")
        press(tab, "t")
        tab.fill(".typed input[name=name]", name)
        assert name in tab.eval_on_selector_all(".matches li", "nodes => nodes.map(each => each.dataset.name)")
        require_text(tab)
        press(tab, "Enter")
        after(tab, number)
    assert [row[2] for row in said(PERSON)] == list(FOLDERS)


def test_class_and_frame(world, tab, server):
    go(tab, server, "/class")
    links = tab.eval_on_selector_all("th a", "nodes => nodes.map(each => each.getAttribute('href'))")
    for number, (name, link) in enumerate(zip(SORTED, links, strict=True), 1):
        go(tab, server, f"{link}?beside={address(FOLDERS[0])}")
        require_text(tab)
        assert as_shown(tab.locator(".grid").first.get_attribute("aria-label")) == as_shown(name)
        assert set(shown(tab)[:3]) == set(world.library[name])
        press(tab, "k")
        after(tab, number)
        assert said(PERSON)[-1][2] == name
        here = tab.evaluate("location.pathname + location.search")
        press(tab, "F")
        tab.wait_for_url("**/frame/*")
        require_text(tab)
        assert text_of(tab, "figcaption b") == as_shown(name)
        assert tab.get_attribute("[data-key=q]", "href") == here


def test_sort(world, tab, server):
    for name in NAMES:
        go(tab, server, f"/sort?class={address(name)}&like={address(name)}")
        require_text(tab)
        if name in FOLDERS:
            assert tab.input_value("[name=class]") == name
            assert tab.locator(".cell").count() == 1
    go(tab, server, "/sort")
    press(tab, "a", "y")
    tab.wait_for_selector("#ask[open]")
    (words,) = asked(tab)
    require_text(tab)
    press(tab, "Enter")
    tab.wait_for_selector("#left:text-is('0')", state="attached")
    assert sorted(row[2] for row in said(PERSON)) == SORTED
    assert words.startswith(f"{len(FOLDERS)} pictures will be labelled")


@pytest.mark.parametrize("path", ["class/{}", "class?beside={}", "class?name={}", "double-check?class={}"])
def test_addresses_of_what_is_no_class(world, tab, server, path):
    for name in sorted({*NAMES} - {*FOLDERS}):
        tab.goto(f"{server.address}/{path.format(address(name))}")
        require_text(tab)
    tab.problems[:] = [each for each in tab.problems if "Failed to load resource" not in each]
