"""From Production to a benchmark in a real browser, by the keys of two people; the files are compared row for row."""

import re
import shutil

import pytest
from desks import Server, begin_again, go, prepared, require_readable, said, served, shown, watched
from desks import press_on_items as press
from harvests import answered, transaction, write_harvest
from repositories import ROOT, commit, run

from intake.nominations import read_nominations
from serving.outcomes import read_outcomes

pytestmark = pytest.mark.slow
SECONDS = 180  # that a busy machine may take for a page


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("second"), num_pictures=3, num_unlabelled=1) as world:
        shutil.copy(ROOT / "data/advice.yaml", "data/advice.yaml")
        run("git", "add", "--force", "data/advice.yaml")
        commit("Advice")
        run("git", "tag", "begin")
        yield world


@pytest.fixture
def world(shared):
    for name in ("build/harvest", "data/outcomes", "data/nominations", ".dvc/tmp"):
        shutil.rmtree(name, ignore_errors=True)
    begin_again("begin")
    return shared


@pytest.fixture
def tab(world, browser):
    with watched(browser) as page:
        page.set_default_timeout(SECONDS * 1000)
        yield page


def nominated(person: str) -> list[tuple[str, str, str, str]]:
    return [
        (each.image_id, each.said, each.benchmark, each.value) for each in read_nominations() if each.person == person
    ]


def settled(tab, read, wanted) -> None:
    """Wait until rows are on the disk."""
    for _ in range(40 * SECONDS):
        if read() == wanted:
            return
        tab.wait_for_timeout(25)
    assert read() == wanted


def outcomes() -> list[tuple[str, str, str]]:
    return [(each.transaction, each.outcome, each.value) for each in read_outcomes() if each.person == "ana"]


def test_one_nominates_another_names_without_knowing_and_the_first_page_says_what_follows(tab):
    rows = [answered(number, "shirt", "boots", "hat") for number in range(1, 6)]
    write_harvest(*rows)
    ids = [row["image_id"] for row in rows]
    with served(tab, "--person=ana") as server:
        go(tab, server, "/production")
        press(tab, "h", "1", "k")  # difficult
        press(tab, "h", "2", "o")  # out_of_scope
        press(tab, "h", "3", "2")  # most_common, as boots
        press(tab, "k")  # nowhere
        wanted = [
            (ids[0], "nominated", "difficult", "shirt"),
            (ids[1], "nominated", "out_of_scope", ""),
            (ids[2], "nominated", "most_common", "boots"),
        ]
        settled(tab, lambda: nominated("ana"), wanted)
        settled(tab, lambda: len(outcomes()), 4)
        tab.wait_for_selector(f"[data-image-id='{ids[4]}']")
        go(tab, server, "/")
        assert "3 of your nominations wait for the second look of somebody else" in tab.inner_text("main")
        tab.keyboard.press("0")
        tab.wait_for_selector("[data-page='second-look'] .empty")
        assert "What you nominated or judged yourself is for somebody else" in tab.inner_text(".empty")
        require_readable(tab)
    with served(tab, "--person=ben") as server:
        go(tab, server, "/second-look")
        answers = {ids[0]: ("t", *"shi", "Enter"), ids[1]: ("o",), ids[2]: ("Space",)}
        expected = []
        said_of = {ids[0]: ("named", "", "shirt"), ids[1]: ("no_class", "", ""), ids[2]: ("cannot_tell", "", "")}
        while tab.wait_for_selector("[data-image-id], .empty").get_attribute("data-image-id"):
            (image_id,) = shown(tab)
            require_knows_nothing(tab, image_id)
            for key in answers.get(image_id, ("o",)):
                tab.keyboard.press(key)
            expected.append((image_id, *said_of.get(image_id, ("no_class", "", ""))))
            settled(tab, lambda: nominated("ben"), expected)
            tab.wait_for_selector(f".empty, [data-image-id]:not([data-image-id='{image_id}'])")
        assert set(ids[:3]) <= {each[0] for each in expected} <= set(ids)
        tab.keyboard.press("Backspace")
        settled(tab, lambda: nominated("ben"), expected[:-1])
        tab.wait_for_selector(f"[data-image-id='{expected[-1][0]}']")
        for key in answers.get(expected[-1][0], ("o",)):
            tab.keyboard.press(key)
        settled(tab, lambda: nominated("ben"), expected)
        go(tab, server, "/")
        assert "For benchmarks: 2 of the pictures that users sent" in tab.inner_text("main")
        assert "ana: for most_common, as boots · ben: cannot tell" in tab.inner_text("main")
        require_readable(tab)
        tab.click("footer button")
        tab.wait_for_selector("#uncommitted:text-is('0')", state="attached")
        number = f"{len(expected)} nominations and second looks"
        assert run("git", "log", "-1", "--format=%an: %s") == f"ben: ben: {number} at the desk\n"
        assert run("git", "show", "--name-only", "--format=").split() == ["data/nominations/ben.csv"]
    with served(tab, "--person=ana") as server:
        go(tab, server, "/")
        tab.click("text=take mine back")
        settled(tab, lambda: nominated("ana"), wanted[:2])
        tab.wait_for_selector("section:has-text('Where people differ'):has-text('Nowhere.')")
        go(tab, server, "/production")
        assert shown(tab) == [ids[2]]  # to be judged again


def require_knows_nothing(tab, image_id: str) -> None:
    """Nothing on the page or in what it was sent tells what the picture is, or who wants it in a benchmark."""
    tab.wait_for_function("document.querySelector('.subject img').complete")
    answer = tab.request.get(tab.url + f"/items?most=8&first={image_id}").text()
    told = ("ana", "difficult", "out_of_scope", "most_common", "boots", "97", "version")
    for text in (tab.inner_html("main"), tab.inner_text("footer"), tab.inner_text("header"), answer):
        assert not re.search(rf"\b({'|'.join(told)})\b", text)
    assert "shirt" not in tab.inner_html("main") + answer  # the footer has what ben himself said before
    assert tab.eval_on_selector(".subject img", "image => image.naturalWidth") > 0
    require_readable(tab)


def mark(tab) -> str:
    """What stands at h: the benchmark that was chosen, if one was."""
    return tab.inner_text("[data-key=h] .name")


def test_the_mark_can_be_seen_changed_and_taken_off_and_goes_with_that_for_the_library_never_together(tab):
    rows = [answered(number, "hat", "boots", "shirt") for number in range(1, 5)]
    write_harvest(*rows)
    ids = [row["image_id"] for row in rows]
    marks = "nodes => nodes.filter(each => each.checked).map(each => each.value)"

    def marked():
        return tab.eval_on_selector_all("input[data-sent]", marks)

    with served(tab, "--person=ana") as server:
        go(tab, server, "/production")
        assert mark(tab) == "for a benchmark …"
        press(tab, "h")
        tab.wait_for_selector("details.benchmarks[open]")
        require_readable(tab)
        press(tab, "1")
        assert marked() == ["difficult"] and mark(tab) == "for difficult"
        require_readable(tab)
        press(tab, "h")
        assert marked() == [] and mark(tab) == "for a benchmark …"
        press(tab, "h", "3", "l")
        assert marked() == ["yes"] and mark(tab) == "for a benchmark …"
        press(tab, "h", "4")
        assert marked() == ["least_common"]
        press(tab, "h", "l", "l", "h", "Escape", "k")
        settled(tab, outcomes, [(transaction(1), "right", "")])
        assert nominated("ana") == [] and said() == []
        press(tab, "h", "1", "d", "2")  # a bad picture of no class
        tab.wait_for_selector("#notices:has-text('only a picture whose class you say goes to difficult')")
        tab.wait_for_selector(f"[data-image-id='{ids[2]}']")
        tab.problems.clear()  # the browser's own word about a refusal
        press(tab, "h", "1", "t", *"boots_t", "Enter")
        settled(tab, lambda: nominated("ana"), [(ids[2], "nominated", "difficult", "boots")])
        settled(tab, outcomes, [(transaction(1), "right", ""), (transaction(3), "wrong", "boots")])
        press(tab, "Backspace")
        settled(tab, outcomes, [(transaction(1), "right", "")])
        settled(tab, lambda: nominated("ana"), [])
        for width in (1400, 320):
            tab.set_viewport_size({"width": width, "height": 850})
            require_readable(tab)


def test_it_works_without_a_script(world, browser):
    row = answered(1, "hat", "boots")
    write_harvest(row)
    page = browser.new_context(java_script_enabled=False).new_page()
    page.set_default_timeout(SECONDS * 1000)
    with Server("--person=ana") as server:
        page.goto(f"{server.address}/production")
        page.click("[data-key=h]")
        page.click(".benchmarks label:has-text('out_of_scope')")
        page.click("[data-key=o]")
        assert nominated("ana") == [(row["image_id"], "nominated", "out_of_scope", "")]
    with Server("--person=ben") as server:
        page.goto(f"{server.address}/second-look")
        page.fill(".typed input[list]", "hat")
        page.press(".typed input[list]", "Enter")
        page.wait_for_selector(".empty")
        assert nominated("ben") == [(row["image_id"], "named", "", "hat")]
    page.context.close()
