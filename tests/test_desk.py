"""The desk in a real browser, by keys alone; the file is compared row for row."""

import json
import subprocess
import urllib.request
from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from desks import (
    Server,
    begin_again,
    close_help,
    go,
    prepared,
    require_readable,
    said,
    settled,
    shown,
    watched,
    whys,
    writing,
)
from desks import press_on_items as press
from repositories import run, write

from stages.tables import predictions
from stages.tables.duplicates import DUPLICATES
from stages.tables.identified import IDENTIFIED
from stages.tables.review import REVIEW
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("desk")) as world:
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    return shared


@pytest.fixture
def fresh(world):
    """A desk that was just started: nothing was left for later."""
    with Server() as server:
        yield server


@pytest.fixture
def tab(browser):
    with watched(browser) as page:
        yield page


def test_double_check_by_keys_alone(world, fresh, tab):
    go(tab, fresh, "/double-check")
    assert tab.get_attribute("body", "data-page") == "double-check"
    ids = world.review
    assert shown(tab) == ids[:1]
    press(tab, "k", "p", "d", "2", "3", " ")
    settled(tab, 4)
    assert shown(tab) == ids[5:6]
    press(tab, "t")
    tab.keyboard.type("shi")
    tab.keyboard.press("Enter")
    settled(tab, 5)
    assert said() == [
        (ids[0], "relabel", "boots"),
        (ids[1], "relabel", "hat"),
        (ids[2], "remove", ""),
        (ids[3], "relabel", "shirt"),
        (ids[5], "relabel", "shirt"),
    ]
    assert whys()[2] == "double-check; dark; model 1; said shirt 98.0"
    assert whys()[0] == "double-check; model 1; said hat 98.0"


def test_undo_takes_back_the_last_actions_and_shows_their_pictures_again(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "k", "k", "k")
    settled(tab, 3)
    press(tab, "Backspace", "Backspace")
    settled(tab, 1)
    assert shown(tab) == world.review[1:2]
    press(tab, "d", "1")
    settled(tab, 2)
    assert said()[1] == (world.review[1], "remove", "")
    go(tab, server, "/double-check")
    press(tab, "Backspace")
    settled(tab, 1)
    tab.wait_for_selector(f"[data-image-id='{world.review[1]}']")


def test_undo_goes_back_further_than_the_page_holds_pictures(tmp_path, browser):
    with prepared(tmp_path, num_pictures=14) as world, Server() as server, watched(browser) as tab:
        go(tab, server, "/double-check")
        decided = world.review[:30]
        for _ in decided:
            press(tab, "k")
        settled(tab, 30)
        for number, image_id in reversed(list(enumerate(decided))):
            press(tab, "Backspace")
            tab.wait_for_selector(f".subject[data-image-id='{image_id}']")
            settled(tab, number)
        press(tab, "d", "1")
        settled(tab, 1)
        assert said() == [(decided[0], "remove", "")]
        tab.wait_for_selector(f".subject[data-image-id='{decided[1]}']")


def test_two_quick_undos_after_a_reload_take_back_two_and_show_both_again(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "k", "k", "k")
    settled(tab, 3)
    go(tab, server, "/double-check")
    tab.route("**/undo", lambda route: (tab.wait_for_timeout(200), route.continue_()))
    press(tab, "Backspace", "Backspace", "p", "d", "1")  # the last three are about what comes back
    tab.wait_for_selector("#last:has-text('removed: blurred')")
    assert said() == [(each, *what) for each, what in zip(
        world.review, [("relabel", "boots"), ("relabel", "hat"), ("remove", "")], strict=False
    )]  # fmt: skip
    tab.wait_for_selector(f"[data-image-id='{world.review[3]}']")


def test_the_undo_of_an_action_about_a_group_shows_it_again_after_a_reload(world, tab, server):
    for keys in (["s"], ["a"], ["1"]):
        go(tab, server, "/duplicates")
        press(tab, *keys)
        tab.wait_for_selector("#decided:text-is('1')")
        go(tab, server, "/duplicates")
        assert shown(tab) == sorted(world.pairs)[1]
        press(tab, "Backspace")
        tab.wait_for_selector(f"[data-image-id='{sorted(world.pairs)[0][0]}']")
        assert (shown(tab), said()) == (sorted(world.pairs)[0], [])


def test_what_is_counted_are_actions_and_not_rows(world, tab, server):
    go(tab, server, "/duplicates")
    press(tab, "1", "s", "a")
    settled(tab, 5)
    go(tab, server, "/double-check")
    press(tab, "k", "k", "k", "Backspace")
    tab.wait_for_selector("#status:has-text('taken back')")
    go(tab, server, "/double-check")
    assert tab.inner_text("#decided") == "5"
    assert tab.locator("#last li").count() == 5


def test_a_commit_after_git_brought_another_file_back_is_about_that_file(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "k")
    settled(tab, 1)
    go(tab, server, "/")
    run("git", "add", "data/decisions")
    run("git", "commit", "--quiet", "--message", "One decision")
    go(tab, server, "/double-check")
    press(tab, "k")
    settled(tab, 2)
    go(tab, server, "/")
    run("git", "checkout", "HEAD", "--", "data/decisions")
    Path("data/decisions/ana.csv").write_text(
        f"{Path('data/decisions/ana.csv').read_text()}{world.review[5]},keep,,2026-01-01T00:00:00.000Z,by hand\n"
    )
    tab.click("text=commit as ana")
    tab.wait_for_load_state()
    assert tab.get_attribute("body", "data-page") == "home"
    assert run("git", "log", "-1", "--format=%s") == "ana: 1 decision at the desk\n"
    assert not run("git", "status", "--porcelain", "data/decisions")


def test_what_is_decided_does_not_come_back_and_a_restart_loses_nothing(world, fresh, tab):
    go(tab, fresh, "/double-check")
    press(tab, "k", "k")
    settled(tab, 2)
    fresh.kill()
    tab.keyboard.press("k")  # decided while the desk is down
    tab.wait_for_selector("#status:has-text('does not answer')")
    with Server(port=fresh.port):
        settled(tab, 3)
        go(tab, fresh, "/double-check")
        assert shown(tab) == world.review[3:4]
    assert [row[0] for row in said()] == world.review[:3]
    tab.problems[:] = [each for each in tab.problems if "Failed to load resource" not in each]


def test_no_key_is_lost_at_ten_presses_a_second(world, tab, server):
    go(tab, server, "/double-check")
    for _ in range(len(world.review)):
        tab.keyboard.press("k")
        tab.wait_for_timeout(100)
    settled(tab, len(world.review))
    assert [row[0] for row in said()] == world.review
    assert said()[-1] == (world.out_of_scope, "keep", "")
    tab.wait_for_selector(".empty")


def test_other_examples_are_shown_by_a_key_one_after_the_other_and_the_first_again(world, tab, server):
    go(tab, server, "/double-check")
    nearest = tab.eval_on_selector_all(
        "figure[data-others]", "nodes => nodes.map(each => each.dataset.others.split(' '))"
    )
    assert [len(each) for each in nearest] == [5, 5]
    typical = "figure.example:not([data-others]) img"
    before = tab.eval_on_selector_all(typical, "nodes => nodes.map(each => each.src)")
    for turn in (1, 2, 3, 4, 0):
        press(tab, "e")
        for image, ids in zip(tab.locator("figure[data-others] img").all(), nearest, strict=True):
            assert image.get_attribute("src") == f"/picture/1024/{ids[turn]}"
            assert image.get_attribute("srcset") == f"/picture/256/{ids[turn]} 256w, /picture/1024/{ids[turn]} 1024w"
            assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    assert tab.eval_on_selector_all(typical, "nodes => nodes.map(each => each.src)") == before
    assert said() == []


def test_the_class_of_the_label_can_be_queued_whole(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "T")
    tab.wait_for_url("**/double-check?class=boots")
    tab.wait_for_selector("#left:text-is('12')")
    whole = [*world.library["boots"], *world.library["boots_tall"]]
    assert shown(tab) == [next(each for each in world.review if each in whole)]


def test_a_class_can_be_queued_whole(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "P")
    tab.wait_for_url("**/double-check?class=hat")
    tab.wait_for_selector("[data-image-id]")
    seen = []
    for _ in range(len(world.library["hat"])):
        tab.wait_for_selector("[data-image-id]")  # the next may still be on its way
        seen += shown(tab)
        press(tab, "k")
        settled(tab, len(seen))
    assert sorted(seen) == sorted(world.library["hat"])


def test_duplicates_by_keys_alone(world, tab, server):
    go(tab, server, "/duplicates")
    assert tab.get_attribute("body", "data-page") == "duplicates"
    pairs = sorted(world.pairs)
    assert shown(tab) == pairs[0]
    press(tab, "b", "b", "+", "-", "1")
    settled(tab, 2)
    press(tab, "a")
    settled(tab, 3)
    press(tab, "s")
    settled(tab, 5)
    press(tab, "Enter")
    settled(tab, 7)
    (a, b), (c, d), (e, f), (g, h) = pairs
    assert said() == [
        (a, "keep", ""), (b, "remove", ""), (c, "distinct", d), (f, "keep", ""), (f, "duplicate", e),
        (h, "keep", ""), (g, "remove", ""),
    ]  # fmt: skip
    tab.wait_for_selector(".empty")
    tab.keyboard.press("Backspace")
    settled(tab, 5)
    tab.wait_for_selector(f"[data-image-id='{g}']")
    assert shown(tab) == [g, h]


def test_a_whole_group_is_relabelled_by_keys(world, tab, server):
    go(tab, server, "/duplicates")
    pair = sorted(world.pairs)[0]
    wanted = "shirt" if world.label_of(pair[0]) != "shirt" else "hat"
    press(tab, "r")
    tab.keyboard.type(wanted)
    tab.keyboard.press("Enter")
    settled(tab, 2)
    assert said() == [(image_id, "relabel", wanted) for image_id in pair]
    tab.wait_for_selector(f"[data-image-id='{sorted(world.pairs)[1][0]}']")


def test_zooming_and_panning_move_all_pictures_of_a_group_in_step(three, fresh, tab):
    def boxes():
        return tab.eval_on_selector_all("svg.frame", "nodes => nodes.map(each => each.getAttribute('viewBox'))")

    def box():
        assert len(boxes()) == 3 and len(set(boxes())) == 1, boxes()
        return [float(each) for each in boxes()[0].split()]

    go(tab, fresh, "/duplicates")
    assert box() == [0, 0, 48, 48]
    press(tab, "+")
    assert box() == pytest.approx([4.8, 4.8, 38.4, 38.4])
    press(tab, "-")
    assert box() == pytest.approx([0, 0, 48, 48], abs=1e-4)
    press(tab, "+", "ArrowRight", "ArrowRight", "ArrowDown")
    assert box() == pytest.approx([4.8 + 2 * 7.68, 4.8 + 7.68, 38.4, 38.4], abs=1e-4)
    press(tab, "ArrowLeft", "ArrowUp")
    assert box() == pytest.approx([4.8 + 7.68, 4.8, 38.4, 38.4], abs=1e-4)
    press(tab, "0")
    assert box() == [0, 0, 48, 48]
    view = tab.locator("svg.frame >> nth=1").bounding_box()
    place = view["x"] + view["width"] / 4, view["y"] + view["height"] / 2
    tab.mouse.move(*place)
    tab.mouse.wheel(0, -100)
    tab.wait_for_function("document.querySelector('svg.frame').viewBox.baseVal.width < 48")
    side = 48 * 0.85
    assert box() == pytest.approx([(48 - side) / 4, (48 - side) / 2, side, side], abs=0.1)
    tab.mouse.down()
    tab.mouse.move(place[0] + 20, place[1] - 10)
    tab.mouse.up()
    moved = side / view["width"]
    assert box() == pytest.approx([(48 - side) / 4 - 20 * moved, (48 - side) / 2 + 10 * moved, side, side], abs=0.1)


@pytest.fixture
def three(world):
    """A group of three pictures, A, B and C, the first one of the queue; and how ben removes one of them."""
    before, table = Path(DUPLICATES.path).read_bytes(), DUPLICATES.read()
    a, b, c = ids = sorted(world.library["hat"][:3])
    others = table[~table["image_a"].isin(ids)].assign(kind="near")
    pair = {"kind": "identical", "distance": 0, "similarity": 1.0, "turn": "none", "label_conflict": True}
    pairs = [pair | {"image_a": one, "image_b": other, "keep": a} for one, other in ((a, b), (a, c), (b, c))]
    DUPLICATES.write(pd.concat([pd.DataFrame(pairs), others])[table.columns].sort_values(["image_a", "image_b"]))

    def remove(image_id):
        Path("data/decisions/ben.csv").write_text(
            f"image_id,decision,value,on,why\n{image_id},remove,,2026-01-01T00:00:00.000Z,by hand\n"
        )

    yield ids, remove
    Path("data/decisions/ben.csv").unlink(missing_ok=True)
    Path(DUPLICATES.path).write_bytes(before)


@pytest.mark.parametrize("key", ["2", "Enter", "s", "a"])
@pytest.mark.parametrize("gone", [0, 1])
def test_a_group_that_another_person_changed_is_shown_anew_and_nothing_is_written(three, browser, fresh, key, gone):
    ids, remove = three
    tab = browser.new_page()
    go(tab, fresh, "/duplicates")
    assert shown(tab) == ids
    remove(ids[gone])
    press(tab, key)
    tab.wait_for_selector("#notices:has-text('this group is another now than when it was shown')")
    assert said() == []
    press(tab, " ")
    left = [each for each in ids if each != ids[gone]]
    tab.wait_for_selector(f"[data-image-id='{left[0]}']")
    assert shown(tab) == left
    press(tab, "2")
    settled(tab, 2)
    assert said() == [(left[1], "keep", ""), (left[0], "remove", "")]
    tab.close()


@pytest.fixture
def twelve(world):
    """One group of twelve pictures, each nearly the same as each other."""
    before, table = Path(DUPLICATES.path).read_bytes(), DUPLICATES.read()
    ids = sorted(each for ids in world.library.values() for each in ids[:3])
    pair = table.iloc[0].to_dict()
    pairs = [pair | {"image_a": a, "image_b": b, "keep": a} for a, b in combinations(ids, 2)]
    DUPLICATES.write(pd.DataFrame(pairs)[table.columns])
    yield ids
    Path(DUPLICATES.path).write_bytes(before)


def test_a_large_group_is_shown_in_parts_and_counted_until_it_ends(twelve, browser, fresh):
    tab = browser.new_page()
    go(tab, fresh, "/duplicates")
    assert "9 of 12 pictures." in tab.inner_text("aside")

    def press_and_count(key, num_rows, left):
        tab.keyboard.press(key)
        settled(tab, num_rows)
        tab.wait_for_selector(f"#left:text-is('{left}')")

    press_and_count("a", 36, 1)
    press_and_count("Backspace", 0, 1)
    press_and_count("Enter", 9, 1)
    tab.wait_for_selector(f"[data-image-id='{twelve[11]}']")
    assert shown(tab) == [twelve[0], *twelve[9:]]
    press_and_count("Enter", 13, 0)
    press_and_count("Backspace", 9, 1)
    assert [row for row in said() if row[1] == "keep"] == [(twelve[0], "keep", "")]
    tab.close()


@pytest.mark.parametrize("key", ["1", "2", "p"])
def test_a_button_writes_the_name_that_it_showed_also_after_another_run(world, browser, fresh, key):
    page, ids = ("double-check", world.review) if key == "p" else ("label", world.unlabelled)
    tab = browser.new_page()
    go(tab, fresh, f"/{page}")
    press(tab, " ", " ")
    tab.wait_for_selector(f"[data-image-id='{ids[2]}']")
    button = tab.locator(f"main [data-key='{key}']").inner_text()
    before = {path: Path(path).read_bytes() for path in (IDENTIFIED.path, predictions.CLASSES)}
    IDENTIFIED.write(IDENTIFIED.read().assign(class_1="shirt", class_2="shirt"))
    write(predictions.CLASSES, json.dumps(json.loads(before[predictions.CLASSES].decode())[::-1]))
    try:
        tab.wait_for_timeout(1200)  # the desk looks for new tables once a second
        press(tab, key)
        settled(tab, 1)
    finally:
        for path, content in before.items():
            Path(path).write_bytes(content)
    ((image_id, _, value),) = said()
    assert image_id == ids[2]
    assert value in button
    tab.close()


def test_label_by_keys_alone(world, fresh, tab):
    go(tab, fresh, "/label")
    ids = world.unlabelled
    assert shown(tab) == ids[:1]
    press(tab, "2", "d", "u", " ", "t")
    tab.keyboard.type("walrus_statue")
    tab.keyboard.press("Enter")
    settled(tab, 4)
    assert said() == [
        (ids[0], "relabel", "hat"), (ids[1], "remove", ""), (ids[2], "relabel", "unknown"),
        (ids[4], "relabel", "walrus_statue"),
    ]  # fmt: skip
    press(tab, "3")
    settled(tab, 5)
    tab.wait_for_selector(f"[data-image-id='{ids[3]}']")  # what was left for later comes last
    go(tab, fresh, "/")
    assert "5 pictures wait for make intake" in tab.inner_text("main")


def test_a_key_that_comes_before_an_empty_queue_has_answered_acts_and_so_does_the_next(world, tab, server):
    go(tab, server, "/label")
    press(tab, *"uuuuuu")
    settled(tab, 6)
    tab.wait_for_selector(".empty")
    held = []
    tab.route("**/label/items?*", lambda route: held.append(route), times=1)
    with tab.expect_request("**/label/items?*"):
        go(tab, server, "/label")
    for key in ("Backspace", "d"):
        tab.keyboard.press(key)
    held[0].continue_()
    tab.wait_for_selector("#last li:has-text('removed')")
    tab.wait_for_selector(".empty")
    assert [decision for _, decision, _ in said()] == ["relabel"] * 5 + ["remove"]


def test_the_first_page_leads_by_digits_and_commits_this_persons_file_alone(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "k")
    settled(tab, 1)
    Path("other.txt").write_text("another change")
    run("git", "add", "other.txt")
    go(tab, server, "/")
    assert tab.get_attribute("body", "data-page") == "home"
    tab.click("text=commit as ana")
    tab.wait_for_load_state()
    assert run("git", "show", "--name-only", "--format=%an <%ae>", "HEAD").split("\n\n") == [
        "Ana <ana@example.org>", "data/decisions/ana.csv\n",
    ]  # fmt: skip
    assert run("git", "diff", "--cached", "--name-only") == "other.txt\n"
    tab.keyboard.press("2")
    tab.wait_for_url("**/duplicates")


def test_the_first_page_says_which_classes_lack_pictures_and_where_people_differ(world, tab, server):
    before = Path(CLASS_COUNTS).read_text()
    counts = {"boots": 59, "hat": 60, "shirt": 7, "cap": 7, "shoe": 0}  # sixty are wanted
    rows = pd.DataFrame({"class_name": list(counts), "included": True, "real": list(counts.values())})
    write(CLASS_COUNTS, rows.reindex(columns=COUNT_COLUMNS, fill_value=0).to_csv(index=False))
    a, b = world.review[:2]
    lines = {"ana": f"{a},relabel,hat,2026-01-01T00:00:00.000Z,\n{b},keep,,2026-01-01T00:00:00.000Z,\n",
             "ben": f"{a},remove,,2026-01-02T00:00:00.000Z,\n{b},keep,,2026-01-02T00:00:00.000Z,\n"}  # fmt: skip
    for person, said_by in lines.items():
        write(f"data/decisions/{person}.csv", f"image_id,decision,value,on,why\n{said_by}")
    go(tab, server, "/")
    write(CLASS_COUNTS, before)
    lacking = tab.locator("section:has-text('Classes that lack pictures') tr").all_inner_texts()
    assert [each.split() for each in lacking] == [
        ["shoe", "0", "of", "60"], ["cap", "7", "of", "60"], ["shirt", "7", "of", "60"], ["boots", "59", "of", "60"],
    ]  # fmt: skip
    differ = tab.locator("section:has-text('Where people differ')")
    assert differ.locator("li").all_inner_texts() == ["ana: boots → hat · ben: removed (the last one counts)"]
    assert differ.locator("img").get_attribute("src") == f"/picture/256/{a}"


def test_the_pages_work_without_a_script(world, browser, server):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{server.address}/double-check")
    tab.click("text=label is right")
    tab.click("summary")
    tab.click("text=obscured")
    tab.fill("input[name=name]", "hat")
    tab.press("input[name=name]", "Enter")
    tab.wait_for_load_state()
    assert said() == [
        (world.review[0], "relabel", "boots"), (world.review[1], "remove", ""), (world.review[2], "relabel", "hat"),
    ]  # fmt: skip
    tab.click("text=undo")
    tab.wait_for_load_state()
    assert len(said()) == 2
    context.close()


def test_a_file_that_is_changed_under_the_desk_is_obeyed(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "k")
    settled(tab, 1)
    tab.wait_for_load_state("networkidle")  # else the page that is left is told
    with Path("data/decisions/ana.csv").open("a") as file:
        file.write(f"{world.review[1]},remove,,2026-11-02T09:15:00.000Z,by hand\n")
    go(tab, server, "/double-check")
    assert shown(tab) == world.review[2:3]
    assert "was changed elsewhere and has been read again" in tab.inner_text("#notices")
    subprocess.run(["git", "clean", "-fdq", "data/decisions"], check=True)
    go(tab, server, "/double-check")
    assert shown(tab) == world.review[:1]


def test_keep_says_which_duplicate_stays_and_leaves_the_label_open(world, tab, server):
    kept = (world.review[0], world.unlabelled[0])
    rows = "".join(f"{image_id},keep,,2026-01-01T00:00:00.000Z,by hand\n" for image_id in kept)
    Path("data/decisions/ben.csv").write_text(f"image_id,decision,value,on,why\n{rows}")
    for path, image_id in zip(("/double-check", "/label"), kept, strict=True):
        go(tab, server, path)
        assert shown(tab) == [image_id]


def test_keys_can_be_turned_off_and_given_to_other_letters(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "?")
    tab.uncheck("#single-keys")
    close_help(tab)
    press(tab, "k")
    tab.wait_for_timeout(200)
    assert said() == []
    tab.click("[data-key='?']")
    tab.check("#single-keys")
    tab.locator("#key-table input").first.press("j")
    close_help(tab)
    press(tab, "k")
    tab.wait_for_timeout(200)
    assert said() == []
    press(tab, "j")
    settled(tab, 1)


@pytest.mark.parametrize("path", ["/", "/double-check", "/duplicates", "/label", "/blind", "/blind/result"])
@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_pages(world, browser, server, path, width):
    page = browser.new_page(viewport={"width": width, "height": 850})
    page.goto(server.address + path)
    page.wait_for_selector("main *")
    require_readable(page)
    page.close()


def test_only_our_own_pages_are_answered(server):
    def status(*options):
        command = ["curl", "--silent", "--output", "/dev/null", "--write-out", "%{http_code}", *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    address = server.address
    assert status(f"{address}/") == "200"
    assert status("--header", "Host: evil.example", f"{address}/") == "403"
    for header in ("Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"):
        assert status("--header", header, "--data", "key=k", f"{address}/double-check") == "403", header
    assert status("--header", "Sec-Fetch-Site: cross-site", f"{address}/label") == "403"
    for path in ("../../etc/passwd", "x" * 32, "0" * 31, "0" * 33, "0" * 32):
        assert status("--path-as-is", f"{address}/picture/256/{path}") == "404", path
    assert said() == []


@pytest.mark.parametrize("path", ["double-check", "duplicates", "label"])
def test_an_address_that_makes_no_sense_is_answered_in_words(world, server, path):
    def answer(query):
        command = ["curl", "--silent", "--write-out", "\n%{http_code}", f"{server.address}/{path}{query}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rsplit("\n", 1)

    for most in ("x", "-1", "0", "1e3", "%C2%B2", "1.5", "%00"):
        text, status = answer(f"/items?most={most}")
        assert status == "409" and "a number from 1 to 8" in text, most
    for query in ("first=x", f"first={'0' * 32}", f"first={world.unlabelled[0]}&first={world.review[0]}", "skip=%FF,,",
                  "class=%00&class=", "class=no_such_class", "most=", "&&=&first", "most=3&most=x",
                  f"most={'9' * 5000}"):  # fmt: skip
        for page in ("", "/items"):
            assert answer(f"{page}?{query}")[1] == "200", query


def test_headers_let_a_browser_load_nothing_else(server):
    command = ["curl", "--silent", "--dump-header", "-", "--output", "/dev/null", f"{server.address}/"]
    headers = subprocess.run(command, capture_output=True, text=True, check=True).stdout.lower()
    assert "content-security-policy: default-src 'none'; script-src 'self'" in headers
    assert "unsafe" not in headers


def test_the_pace_appears_with_the_keys_and_what_is_left_is_told_in_minutes_by_it(world, tab, server):
    go(tab, server, "/double-check")
    assert not tab.is_visible("#pace")
    press(tab, *["k"] * 10)
    settled(tab, 10)
    tab.wait_for_selector("#pace:visible")
    assert int(tab.inner_text("#pace").replace(",", "")) > 60
    assert tab.inner_text(".pace").endswith(" left, about 1 minute")

    def slower(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"pace": 12})

    tab.route("**/double-check", lambda route: slower(route) if route.request.method == "POST" else route.continue_())
    press(tab, "k")
    tab.wait_for_selector("#pace:text-is('12')")
    left = int(tab.inner_text("#left"))
    assert tab.inner_text(".pace").endswith(f"{left} left, about {5 * left} minutes")


def test_a_group_that_blinked_comes_back_side_by_side(world, tab, server):
    go(tab, server, "/duplicates")
    press(tab, "b")
    tab.wait_for_selector(".group.blink")
    press(tab, "1")
    settled(tab, 2)
    press(tab, "Backspace")
    settled(tab, 0)
    tab.wait_for_selector(f"[data-image-id='{sorted(world.pairs)[0][0]}']")
    assert tab.locator(".group figure:visible").count() == 2
    press(tab, "b")
    tab.wait_for_selector(".group.blink")
    assert tab.locator(".group figure:visible").count() == 1


def test_what_is_not_committed_are_rows_at_each_key_as_on_the_first_page(world, tab, server):
    def uncommitted(number):
        tab.wait_for_selector(f"#uncommitted:text-is('{number}')")
        with urllib.request.urlopen(server.address) as answer:  # noqa: S310
            assert f'<span id="uncommitted">{number}</span>' in answer.read().decode()

    go(tab, server, "/duplicates")
    uncommitted(0)
    press(tab, "1")
    uncommitted(2)
    press(tab, "s", "g")
    uncommitted(5)
    press(tab, "Backspace", "Backspace")
    uncommitted(2)
    press(tab, "g")
    uncommitted(3)
    run("git", "add", "data")
    run("git", "commit", "--quiet", "--message", "Two decisions and an example")
    go(tab, server, "/duplicates")
    uncommitted(0)
    press(tab, "Backspace")  # the line of the example goes, and its commit has it
    uncommitted(1)
    press(tab, "Backspace")  # rows that a commit holds are answered
    tab.wait_for_selector("#status:has-text('taken back: kept')")
    uncommitted(1 + len(said()) - 2)


def test_a_letter_that_two_buttons_have_is_said(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "?")
    assert tab.inner_text("#doubled") == ""
    tab.locator("#key-table input").first.press("p")
    assert tab.inner_text("#doubled") == "p is on two buttons: “label is right” and “it is hat”. The first is pressed."
    tab.locator("#key-table input").first.press("j")
    assert tab.inner_text("#doubled") == ""


def heard(tab, text):
    """Wait until a screen reader is told this, in one sentence."""
    tab.wait_for_function("text => document.getElementById('status').textContent === text", arg=text)


def test_a_screen_reader_is_told_the_verdict_and_what_comes_next_at_each_key(world, tab, server):
    names = {each: world.label_of(each) for each in world.review}
    label, taken_for = [names[each] for each in world.review], {"boots": "hat", "boots_tall": "hat", "hat": "shirt"}
    nexts = [f"labelled {each} \N{EM DASH} the model says {taken_for.get(each, 'boots')}, 98" for each in label[:4]]
    go(tab, server, "/double-check")
    assert tab.locator("main[aria-live]").count() == 0
    assert tab.get_attribute("#status", "role") == "status"
    press(tab, "k")
    heard(tab, f"{label[0]} \N{CHECK MARK}; next: {nexts[1]}")
    press(tab, "d", "1")
    heard(tab, f"removed: blurred; next: {nexts[2]}")
    assert tab.locator("#status .unseen").count() == 1, "the list of the last ten shows it"
    press(tab, "Backspace")
    heard(tab, f"taken back: removed: blurred; next: {nexts[1]}")
    press(tab, " ")
    heard(tab, f"later; next: {nexts[2]}")
    go(tab, server, "/double-check")
    press(tab, "Backspace")
    heard(tab, f"taken back: {label[0]} \N{CHECK MARK}; next: {nexts[0]}")


def test_a_screen_reader_is_told_of_groups_of_pictures_to_label_and_of_the_end(world, tab, fresh):
    go(tab, fresh, "/duplicates")
    labels = [world.label_of(each[0]) for each in sorted(world.pairs)]
    press(tab, "1")
    heard(tab, f"kept, removed; next: 2 pictures, nearly the same: {labels[1]}, {labels[1]}; suggested: 2")
    press(tab, "a", "a", "a")
    heard(tab, "different; next: Every group of duplicates has its answer.")
    go(tab, fresh, "/label")
    press(tab, "u")
    heard(tab, "no label \N{RIGHTWARDS ARROW} unknown; next: the model says boots, 89")


def test_a_screen_reader_is_told_which_name_enter_chooses(world, tab, server):
    def chosen():
        return tab.evaluate(
            "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.textContent"
        )

    go(tab, server, "/label")
    press(tab, "t")
    field = tab.get_by_role("combobox", expanded=False)
    assert field.evaluate("each => each === document.activeElement")
    tab.keyboard.type("bo")
    tab.wait_for_selector(".matches:visible")
    assert tab.get_by_role("combobox", expanded=True).get_attribute("aria-controls") == tab.get_attribute(
        ".matches:visible", "id"
    )
    assert chosen() == "boots"
    press(tab, "ArrowDown")
    assert chosen() == "boots_tall"
    require_readable(tab)
    tab.keyboard.type("zz")
    tab.wait_for_selector("#status:text-is('Enter will make a new sub-class “bozz”.')")
    assert chosen() == "make a new sub-class “bozz”"
    tab.keyboard.type(" ")
    tab.keyboard.press("Escape")
    assert tab.get_by_role("combobox", expanded=True).count() == 0
    assert not tab.is_visible(".matches")


def test_what_happens_elsewhere_reaches_a_page_that_stays_open(world, tab, server):
    go(tab, server, "/")  # where it is told what the tests before took away
    go(tab, server, "/double-check")
    assert tab.locator("#notices p").count() == 0
    with Path("data/decisions/ana.csv").open("a") as file:
        file.write("image_id,decision,value,on,why\n")
    press(tab, "k")
    changed = "data/decisions/ana.csv was changed elsewhere and has been read again."
    tab.wait_for_selector(f"#notices p:text-is('{changed}')")
    review = Path(REVIEW.path)
    content = review.read_bytes()
    try:
        with writing(review):
            review.unlink()
            tab.wait_for_timeout(1100)  # the desk looks at its tables once a second
            press(tab, "k")
            tab.wait_for_selector("#notices p:has-text('A run is writing new tables')")
    finally:
        review.write_bytes(content)
    tab.wait_for_timeout(1100)
    press(tab, "k")
    tab.wait_for_selector("#notices p:has-text('There are new tables.')")
    assert tab.locator("#notices p:has-text('A run is writing')").count() == 0
    press(tab, "k")
    tab.wait_for_selector("#decided:text-is('4')")
    assert tab.locator("#notices p").count() == 2


@pytest.mark.parametrize("path", ["/", "/class"])
def test_undo_and_the_list_of_keys_are_on_pages_without_pictures_too(world, tab, server, path):
    go(tab, server, "/double-check")
    press(tab, "k")
    settled(tab, 1)
    go(tab, server, path)
    tab.keyboard.press("?")
    assert "undo" in tab.inner_text("#key-table")
    close_help(tab)
    with tab.expect_navigation():  # the page reads itself again
        tab.keyboard.press("Backspace")
    settled(tab, 0)
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.locator("#last li").count() == 0


def test_a_button_shows_the_letter_that_was_given_to_it_on_each_item_and_page(world, tab, server):
    def letter():
        return tab.inner_text("[data-key='k'] kbd")

    go(tab, server, "/double-check")
    press(tab, "?")
    tab.locator("#key-table input").first.press("j")
    close_help(tab)
    assert letter() == "j"
    press(tab, "j")
    settled(tab, 1)
    tab.wait_for_selector("[data-image-id]")
    assert letter() == "j"
    go(tab, server, "/class/hat")
    assert letter() == "j"
    tab.keyboard.press("?")
    tab.click("#reset-keys")
    assert letter() == "k"


def test_a_letter_that_was_given_to_a_button_of_another_page_stays_that_of_this_one(world, tab, server):
    go(tab, server, "/double-check")
    press(tab, "?")
    tab.locator("#key-table input").first.press("a")
    go(tab, server, "/duplicates")
    press(tab, "a")
    settled(tab, 1)
    assert said()[0][1] == "distinct"


@pytest.mark.parametrize("path", ["/", "/double-check", "/duplicates", "/label", "/sort", "/class", "/class/hat"])
@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_list_of_keys(world, browser, server, path, width):
    page = browser.new_page(viewport={"width": width, "height": 850})
    go(page, server, path)
    page.click("[data-key='?']")
    page.wait_for_selector("#help:popover-open")
    unseen = "all => all.filter(each => !each.value.trim() || each.scrollWidth > each.clientWidth).length"
    assert page.eval_on_selector_all("#key-table input", unseen) == 0
    require_readable(page)
    page.close()


@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_what_would_be_written_and_what_did_not_work(world, browser, server, width):
    page = browser.new_page(viewport={"width": width, "height": 850})
    page.route("**/static/grid.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    page.goto(f"{server.address}/class/hat")
    for box in page.locator(".cell input").all()[:2]:
        box.check()
    page.click("text=label is right")
    page.wait_for_selector("h1:text-is('This would be written')")
    require_readable(page)
    page.goto(f"{server.address}/double-check/items?most=many")
    page.wait_for_selector("h1:text-is('That did not work')")
    require_readable(page)
    page.close()
