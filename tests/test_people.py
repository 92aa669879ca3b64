"""Shared work: who decides what, how fast, and how often two people agree; each a pure function of the decisions."""

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from desks import Server, forget, go, prepared, require_readable, said, settled, shown, watched
from hostile_names import FOLDERS, PEOPLE, as_shown, require_text
from hypothesis import given
from hypothesis import strategies as st
from repositories import write

from curation.actions import why
from curation.agreement import agreements, first_answers, in_disputes, kappa, pace
from curation.decision_file import DecisionFile
from curation.ledger import Ledger
from curation.parting import Parting
from curation.state import Desk
from curation.upcoming import open_keys
from curation.web import QUEUES
from review.wilson import interval
from stages.labels.decisions import Decision
from stages.tables.duplicates import DUPLICATES

BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)
IDS = [f"{number:032x}" for number in range(40)]
TEAMS = st.lists(st.sampled_from(["ana", "ben", "carl", "dora", "é\u202e"]), min_size=1, max_size=5, unique=True)
HEADER = "image_id,decision,value,on,why\n"


def decision(person, image_id, what, value="", seconds=0.0, action="", line=2) -> Decision:
    reason = why("label", action=f"{action:0>12}") if action else "by hand"
    return Decision(BEGIN + timedelta(seconds=seconds), person, line, image_id, what, value, reason)


# ---- parting


@given(team=TEAMS, share=st.sampled_from([0.0, 0.3, 1.0]))
def test_each_picture_is_one_persons_or_twos_whatever_the_order_of_the_names(team, share):
    parting, turned = Parting(tuple(team), share), Parting(tuple(reversed(team)), share)
    for image_id in IDS:
        people = [person for person in team if parting.is_for(person, image_id)]
        assert people == [person for person in team if turned.is_for(person, image_id)]
        wanted = {1} if share == 0 or len(team) == 1 else {2} if share == 1 else {1, 2}
        assert len(people) in wanted
    assert all(Parting().is_for("anybody", image_id) for image_id in IDS)


def test_the_parts_are_of_one_size_and_the_share_is_as_asked_for():
    ids = [f"{number:032x}" for number in range(6000)]
    parting = Parting(("ana", "ben", "carl"), 0.2)
    owners = Counter(person for image_id in ids for person in parting.people(image_id))
    assert sum(owners.values()) / len(ids) == pytest.approx(1.2, abs=0.03)
    assert all(number == pytest.approx(2400, rel=0.08) for number in owners.values())


@given(team=TEAMS, joins=st.sampled_from(["zoe", "abe"]))
def test_who_joins_takes_over_and_nothing_else_moves(team, joins):
    before, after = Parting(tuple(team)), Parting((*team, joins))
    for image_id in IDS:
        assert after.people(image_id) in (before.people(image_id), (joins,))


def test_a_person_of_two_does_not_see_what_the_other_said_and_everybody_else_does():
    parting = Parting(("ana", "ben", "carl"), 0.5)
    two = next(image_id for image_id in IDS if set(parting.people(image_id)) == {"ana", "ben"})
    one = next(image_id for image_id in IDS if parting.people(image_id) == ("ben",))
    ledger = Ledger([decision("ana", two, "remove"), decision("ana", one, "remove")])
    seen = {person: parting.view(ledger, person) for person in ("ana", "ben", "carl")}
    assert {person: view.is_decided(two) for person, view in seen.items()} == {"ana": True, "ben": False, "carl": True}
    assert all(view.is_decided(one) for view in seen.values())
    ledger.add([decision("ben", two, "relabel", "boots")])
    assert seen["ben"].answer(two, "fate").value == "boots"


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("people"), num_pictures=8, num_unlabelled=12) as world:
        yield world


@pytest.fixture
def clean(world):
    forget()
    return world


def test_queues_of_a_team_are_parts_of_the_whole_in_its_order_whenever_it_was_decided(clean):
    team = ("ana", "ben", "carl")
    for page in (each for each in QUEUES if each.name != "class"):  # which is looked at as a whole
        whole = list(open_keys(Desk(), "ana", page, {}))
        parts = {person: list(open_keys(Desk(parting=Parting(team)), person, page, {})) for person in team}
        assert sorted(each for part in parts.values() for each in part) == sorted(whole)
        assert all(part == [key for key in whole if key in part] for part in parts.values())
    ids = clean.review[:3]
    queues = []
    for order in ((0, 1, 2), (2, 0, 1)):
        rows = [f"{ids[n]},remove,,2026-01-0{day}T00:00:00.000Z,\n" for day, n in enumerate(order, 1)]
        write("data/decisions/dora.csv", HEADER + "".join(sorted(rows, key=lambda row: row.split(",")[3])))
        queues.append([list(open_keys(Desk(parting=Parting(team, 0.5)), "ana", page, {})) for page in QUEUES])
    assert queues[0] == queues[1]


# ---- how fast


def test_pauses_batches_and_what_was_taken_back_do_not_change_the_pace():
    said = [decision("ana", IDS[n], "remove", seconds=3 * n, action=f"{n:x}") for n in range(10)]
    batch = [decision("ana", IDS[n], "remove", seconds=40, action="bbb") for n in range(10, 40)]
    later = [decision("ana", IDS[0], "keep", seconds=4000 + 7 * n, action=f"c{n}") for n in range(2)]
    undo = Decision(
        BEGIN + timedelta(seconds=4100), "ana", 2, IDS[0], "undo", "", "undo of 0000000000c1; act:0000000000dd"
    )
    found = pace([*said, *batch, *later, undo])
    assert found[:4] == (12, 40, 2, 3.0)
    assert (found.first, found.last) == (BEGIN, BEGIN + timedelta(seconds=4000))
    assert pace([]) == (0, 0, 0, None, None, None)
    by_hand = [decision("ana", IDS[0], "distinct", IDS[1]), decision("ana", IDS[2], "keep", seconds=10, line=3)]
    assert pace(by_hand)[:4] == (2, 3, 1, 10.0)


# ---- agreement


def test_the_first_answer_counts_unless_it_was_taken_back():
    said = [
        decision("ana", IDS[0], "remove", action="1"),
        decision("ana", IDS[0], "relabel", "hat", 1, action="2"),
        decision("ana", IDS[1], "remove", "", 2, action="3"),
        Decision(BEGIN + timedelta(seconds=3), "ana", 2, IDS[1], "undo", "", "undo of 000000000003; act:000000000004"),
        decision("ana", IDS[1], "keep", "", 4, action="5"),
        decision("ana", IDS[3], "duplicate", IDS[2], 5),
        decision("ana", IDS[4], "remove", "", 6),
        decision("ana", IDS[4], "undo", "", 7),
    ]
    assert first_answers(said) == {
        (IDS[0], ""): ("remove", ""),
        (IDS[1], ""): ("keep", ""),
        (IDS[2], IDS[3]): ("duplicate", ""),
    }


def test_two_people_are_compared_about_what_both_decided_pictures_apart_from_pairs():
    removed, hat, boots = ("remove", ""), ("relabel", "hat"), ("relabel", "boots")
    answers = {
        "carl": {("a", ""): hat, ("z", ""): hat},
        "ana": {("a", ""): hat, ("b", ""): hat, ("c", ""): removed, ("a", "b"): ("distinct", "")},
        "ben": {("a", ""): hat, ("b", ""): boots, ("c", ""): removed, ("a", "b"): ("duplicate", "")},
        "dora": {},
    }
    found = [(each.people, each.asked, each.num_both, each.num_same, each.kappa) for each in agreements(answers)]
    assert found == [
        (("ana", "ben"), "pictures", 3, 2, None),
        (("ana", "ben"), "pairs", 1, 0, None),
        (("ana", "carl"), "pictures", 1, 1, None),
        (("ben", "carl"), "pictures", 1, 1, None),
    ]


@given(number=st.integers(1, 400), data=st.data())
def test_the_interval_is_wilsons(number, data):
    same = data.draw(st.integers(0, number))
    z, p = 1.959963984540054, same / number
    middle = (p + z * z / (2 * number)) / (1 + z * z / number)
    half = z / (1 + z * z / number) * math.sqrt(p * (1 - p) / number + z * z / (4 * number**2))
    assert interval(same, number) == pytest.approx((max(0, middle - half), min(1, middle + half)), abs=1e-9)


@given(cells=st.lists(st.integers(0, 30), min_size=4, max_size=4))
def test_kappa_is_agreement_beyond_chance(cells):
    """Of a table of two by two: Cohen's formula, written out."""
    yes, no = ("keep", ""), ("remove", "")
    pairs = [
        pair for pair, n in zip([(yes, yes), (yes, no), (no, yes), (no, no)], cells, strict=True) for _ in range(n)
    ]
    a, b, c, d = cells
    number = sum(cells)
    if number < 20 or number in (a, d):
        assert kappa(pairs) is None
        return
    chance = ((a + b) * (a + c) + (c + d) * (b + d)) / number**2
    assert kappa(pairs) == pytest.approx(((a + d) / number - chance) / (1 - chance))


def test_a_person_whose_answer_counts_in_a_dispute_is_told_from_one_whose_does_not():
    keep = decision("ana", IDS[0], "keep")
    disputes = [
        [keep, decision("ben", IDS[0], "remove")],
        [decision("ben", IDS[1], "keep"), keep, decision("carl", IDS[1], "remove")],
    ]
    assert in_disputes(disputes) == {"ana": (2, 0), "ben": (2, 1), "carl": (1, 1)}


# ---- in the browser


@pytest.fixture
def tab(browser):
    with watched(browser) as page:
        yield page


def decide(person: str, answers: dict[str, tuple[str, str]], seconds: int = 4) -> None:
    """Write a person's file as a desk would, a decision each few seconds."""
    from curation.actions import Row

    file = DecisionFile(person)
    for number, (image_id, (what, value)) in enumerate(answers.items()):
        row = Row(image_id, what, value, why("label", action=f"{number:012x}"))
        file.append([row], BEGIN + timedelta(seconds=seconds * number))


@pytest.mark.slow
def test_the_page_says_who_decided_how_fast_and_who_agrees_with_whom(clean, tab):
    ids = sorted(each for ids in clean.library.values() for each in ids)[:24]
    decide("ana", dict.fromkeys(ids[:12], ("relabel", "hat")) | dict.fromkeys(ids[12:], ("remove", "")))
    decide("ben", dict.fromkeys(ids[:14], ("relabel", "hat")) | dict.fromkeys(ids[14:], ("remove", "")), seconds=9)
    with Server() as server:
        go(tab, server, "/")
        tab.keyboard.press("8")
        tab.wait_for_url("**/people")
        tab.wait_for_selector("html[data-ready]", state="attached")
        assert tab.get_attribute("body", "data-page") == "people"
        rows = tab.eval_on_selector_all(
            "tbody tr", "rows => rows.map(row => [...row.children].map(cell => cell.innerText))"
        )
        assert rows == [
            ["ana", "24", "24", "1", "4.0", "2", "0", "2026-11-02"],
            ["ben", "24", "24", "1", "9.0", "2", "2", "2026-11-02"],
            ["ana and ben", "pictures", "24", "22", "92 %", "74 to 98 %", "0.83"],
        ]
        assert shown(tab) == ids[12:14]
        tab.focus(".again >> nth=1")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(f"[data-image-id='{ids[13]}']")
        tab.wait_for_selector("html[data-ready]", state="attached")
        tab.keyboard.press("k")
        settled(tab, 25)
        assert said()[-1] == (ids[13], "relabel", clean.label_of(ids[13]))
        go(tab, server, "/people")
        assert "22" in tab.inner_text("tbody >> nth=1")
        with tab.expect_navigation():  # the page reads itself again
            tab.keyboard.press("Backspace")
        settled(tab, 24)
        tab.goto("about:blank")  # so that it asks nothing of a desk that has ended


@pytest.mark.slow
@pytest.mark.parametrize("is_in_table", [True, False])  # of a pair that was called different a run writes none
def test_a_pair_that_two_differ_about_is_decided_again(clean, tab, is_in_table):
    before = Path(DUPLICATES.path).read_bytes()
    a, b = pair = clean.pairs[1]
    decide("ben", {a: ("duplicate", b)})
    decide("ana", {a: ("distinct", b)}, seconds=9)
    if not is_in_table:
        pairs = DUPLICATES.read()
        DUPLICATES.write(pairs[pairs["image_a"] != a])
    with Server() as server:
        go(tab, server, "/people")
        tab.focus(".again")
        tab.keyboard.press("Enter")
        tab.wait_for_selector(f".group [data-image-id='{b}']")
        tab.wait_for_selector("html[data-ready]", state="attached")
        assert shown(tab) == pair
        left = tab.inner_text("#left")
        tab.keyboard.press("s")
        settled(tab, 3)
        assert [row for row in said() if row[1] == "duplicate"] in ([(a, "duplicate", b)], [(b, "duplicate", a)])
        tab.wait_for_selector("#last li >> nth=1")
        assert tab.inner_text("#left") == left
        tab.wait_for_function(
            "ids => !ids.includes(document.querySelector('[data-image-id]')?.dataset.imageId)", arg=pair
        )
        go(tab, server, "/people")
        assert tab.locator(".again").count() == 0
        go(tab, server, f"/duplicates?pair={a}&pair={'0' * 32}")
        assert "What you asked for cannot be shown here" in tab.inner_text("#notices")
        tab.goto("about:blank")
    Path(DUPLICATES.path).write_bytes(before)


@pytest.mark.slow
def test_two_of_a_team_decide_their_parts_and_the_shared_ones_both(clean, tab):
    parting = Parting(("ana", "ben"), 0.4)
    for person in parting.team:
        mine = [image_id for image_id in clean.unlabelled if parting.is_for(person, image_id)]
        assert 0 < len(mine) < len(clean.unlabelled)
        with Server("--team", "ben,ana", "--share", "0.4", "--person", person) as server:
            go(tab, server, "/label")
            assert tab.inner_text("#left") == str(len(mine))
            for _ in mine:
                tab.wait_for_selector("[data-image-id]")
                tab.keyboard.press("1")
            tab.wait_for_selector(".empty")
            tab.wait_for_selector(f"#decided:text-is('{len(mine)}')")
            tab.goto("about:blank")
        assert [row[0] for row in said(person)] == mine
    both = {row[0] for row in said("ana")} & {row[0] for row in said("ben")}
    assert both == {each for each in clean.unlabelled if len(parting.people(each)) == 2} != set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--team", "ben,carl", "--person", "ana"], "ana is not in the team ben, carl. Add the name"),
        (["--share", "0.1"], "a share is given to two of a team: make desk SHARE=0.1 TEAM=ana,ben"),
        (["--team", "ana,ben", "--share", "1.5"], "SHARE=1.5 is no share: give a number from 0 to 1"),
        (["--team", "ana,ben", "--share", "nan"], "SHARE=nan is no share"),
        (["--team", "ana,a/b"], "'a/b' cannot be a person's name"),
        (
            ["--team", "ana," + 60 * "\N{FACE WITH TEARS OF JOY}"],
            "cannot be a person's name",
        ),  # no file can have a name as long
    ],
)
def test_a_team_that_makes_no_sense_is_refused_in_words(clean, options, words):
    with pytest.raises(RuntimeError) as refused:
        Server(*options)
    assert words in str(refused.value)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page_and_hostile_names_stay_text(clean, browser, width):
    half = len(PEOPLE) // 2  # one person in front of another, each pair about a picture
    for number, (name, sub_class) in enumerate(zip(PEOPLE, FOLDERS, strict=False)):
        decide(name, {clean.review[number % half]: ("relabel", sub_class)})
    a, b = clean.pairs[0]
    write("data/decisions/zoe.csv", f"{HEADER}{a},distinct,{b},2026-01-01T00:00:00.000Z,\n")
    write("data/decisions/yan.csv", f"{HEADER}{b},duplicate,{a},2026-01-02T00:00:00.000Z,\n")
    with Server() as server:
        page = browser.new_page(viewport={"width": width, "height": 850})
        go(page, server, "/people")
        require_readable(page)
        require_text(page)
        names = {as_shown(each) for each in page.locator("tbody >> nth=0 >> th").all_text_contents()}
        assert names == {as_shown(each) for each in (*PEOPLE, "zoe", "yan")}
        assert len(shown(page)) == half + 1
        page.close()
