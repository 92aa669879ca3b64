"""The blind test in a real browser, by keys alone: its file compared row for row, its figures computed again here."""

import csv
import http.client
import json
import re
import shutil
import urllib.parse
import urllib.request
from collections import Counter
from contextlib import closing
from datetime import timedelta
from math import comb, sqrt
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from desks import Server, begin_again, go, prepared, require_readable, said, served, shown, watched
from hostile_names import FOLDERS, PEOPLE, as_shown, require_text
from repositories import commit, run, write
from test_usage import NOW, written
from visitors import ship, visits

from curation.blind_result import LATENCY
from stages.tables import predictions
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow
SECONDS = 180  # that a busy machine may take for a page
SIZE = 10  # pictures of a round; one of them comes again
NAMES = ("boots", "hat", "shirt")
FILE = Path("data/blind/ana.csv")
HEADER = "round,turn,image_id,answer,value,seconds,on,why\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("blind"), num_pictures=10, num_unlabelled=2) as world:
        splits = SPLITS.read()
        trained = {each for ids in world.library.values() for each in ids[:3]}
        SPLITS.write(splits.assign(split=splits["split"].mask(splits["image_id"].isin(trained), "train")))
        rows = predictions.ROWS.read()
        splits = SPLITS.read().set_index("image_id")["split"]
        rows = rows.assign(split=splits.reindex(rows["image_id"]).to_numpy())
        right = rows["image_id"].str[0].isin(list("01234567")) & rows["truth"].notna()  # about half of them
        predictions.ROWS.write(rows.assign(predicted=rows["truth"].where(right, rows["predicted"])))
        world.held_out = set(splits.index[splits.isin(["validation", "test"])])
        assert len(world.held_out) == 28
        yield world


@pytest.fixture
def world(shared):
    for name in ("data/blind", ".dvc/tmp"):
        shutil.rmtree(name, ignore_errors=True)
    begin_again()
    return shared


@pytest.fixture
def tab(world, browser):
    with watched(browser) as page:
        page.set_default_timeout(SECONDS * 1000)
        yield page


def rows(path: Path = FILE) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def settled(tab, number: int) -> None:
    """Wait until so many rows are on the disk."""
    for _ in range(1200):
        if len(rows()) == number:
            return
        tab.wait_for_timeout(25)
    assert len(rows()) == number, rows()


def at_turn(tab, turn: int) -> str:
    """Wait for a turn; gives its picture."""
    tab.wait_for_selector(f"main input[name=turn][value='{turn}']", state="attached")
    (image_id,) = shown(tab)
    return image_id


def answer(tab, name: str | None) -> None:
    """Name a class by keys, or say that one cannot tell."""
    if name is None:
        tab.keyboard.press("Space")
        return
    for key in ("t", *name[:3], "Enter"):
        tab.keyboard.press(key)


def wilson(count: int, number: int) -> str:
    """The interval as the page writes it."""
    z, share = 1.959963984540054, count / number
    middle, reach = share + z * z / (2 * number), z * sqrt(share * (1 - share) / number + z * z / (4 * number**2))
    low, high = ((middle + sign * reach) / (1 + z * z / number) for sign in (-1, 1))
    return f"{100 * low:.1f} to {100 * high:.1f} %"


def mcnemar(only_one: int, only_other: int) -> str:
    number, least = only_one + only_other, min(only_one, only_other)
    return f"{min(1.0, 2 * sum(comb(number, k) for k in range(least + 1)) / 2**number):.3f}"


def line(name: str, answers: list[tuple[str, str, str]]) -> list[str]:
    """A line of the result: of `image_id`, `value` and `seconds` of first answers."""
    table = predictions.ROWS.read().set_index("image_id")
    ours = [value == table["truth"][image_id] for image_id, value, _ in answers]
    model = [table["predicted"][image_id] == table["truth"][image_id] for image_id, *_ in answers]
    only = [sum(a and not b for a, b in zip(*each, strict=True)) for each in ((ours, model), (model, ours))]
    times = [float(seconds) for *_, seconds in answers if seconds]
    shares = [
        part
        for each in (ours, model)
        for part in (f"{100 * sum(each) / len(each):.1f} %", wilson(sum(each), len(each)))
    ]
    cannot_tell = sum(not value for _, value, _ in answers)
    seconds = f"{median(times):.1f}" if times else "\N{EN DASH}"
    return [name, str(len(answers)), *shares, *map(str, only), mcnemar(*only), str(cannot_tell), seconds]


def table_of(tab, caption: str) -> list[list[str]]:
    cells = "rows => rows.map(row => [...row.children].map(cell => cell.innerText))"
    return tab.eval_on_selector_all(f"[aria-label='{caption}'] tbody tr", cells)


def test_a_whole_round_by_keys_then_the_result_and_the_next_round(world, tab):
    with served(tab, f"--blind={SIZE}") as server:
        go(tab, server, "/")
        tab.keyboard.press("9")
        tab.wait_for_url("**/blind")
        tab.wait_for_selector("html[data-ready]", state="attached")
        assert tab.get_attribute("body", "data-page") == "blind"
        expected, asked = [], []
        for turn in range(1, SIZE + 2):
            image_id = at_turn(tab, turn)
            name = {0: world.class_of(world.label_of(image_id)), 1: "hat", 2: None}[turn % 3]
            tab.wait_for_timeout(150 if turn == 4 else 0)
            answer(tab, name)
            asked.append(image_id)
            expected.append(("1", str(turn), image_id, "named" if name else "cannot_tell", name or ""))
        settled(tab, SIZE + 1)
        assert FILE.read_text().startswith(HEADER)
        found = rows()
        assert [tuple(row.values())[:5] for row in found] == expected
        assert all(re.fullmatch(r"blind; model 1; act:[0-9a-f]{12}", row["why"]) for row in found)
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["on"]) for row in found)
        assert set(asked) <= world.held_out
        assert sorted(Counter(asked).values()) == [1] * 9 + [2]
        assert said() == []
        assert not Path("data/decisions/ana.csv").exists()

        tab.wait_for_selector(".empty:has-text('Round 1 is done')")
        tab.keyboard.press("r")
        tab.wait_for_url("**/blind/result")
        first = {row["image_id"]: (row["image_id"], row["value"], row["seconds"]) for row in reversed(found)}
        first = [first[image_id] for image_id in dict.fromkeys(asked)]
        assert table_of(tab, "Everybody") == [line("ana", first)]
        (twice,) = (each for each, number in Counter(asked).items() if number == 2)
        same = len({row["value"] for row in found if row["image_id"] == twice}) == 1
        repeated = ["ana", "1", str(int(same)), f"{100.0 * same:.1f} %", wilson(int(same), 1)]
        assert table_of(tab, "How often each agrees with themselves") == [repeated]
        of_class = Counter(world.class_of(world.label_of(each)) for each in set(asked))
        enough = sorted(name for name, number in of_class.items() if number >= 5)
        assert [row[0] for row in table_of(tab, "Your classes")] == enough
        assert "version 1" in tab.inner_text("main")

        go(tab, server, "/blind?round=2")
        second = at_turn(tab, 1)
        assert second not in asked
        answer(tab, "shirt")
        settled(tab, SIZE + 2)
        go(tab, server, "/blind")
        assert at_turn(tab, 2) not in {*asked, second}
        assert tab.inner_text("#left") == str(SIZE)
        go(tab, server, "/blind/result")
        own = [*first, (second, "shirt", rows()[-1]["seconds"])]
        assert table_of(tab, "Everybody") == [line("ana", own)]
        assert table_of(tab, "Your rounds") == [line("1", first), line("2", own[-1:])]


def test_undo_a_restart_and_a_commit_lose_nothing_and_nothing_comes_back(world, tab):
    with served(tab, f"--blind={SIZE}") as server:
        go(tab, server, "/blind")
        first = at_turn(tab, 1)
        answer(tab, "hat")
        second = at_turn(tab, 2)
        answer(tab, None)
        at_turn(tab, 3)
        settled(tab, 2)
        tab.keyboard.press("Backspace")
        assert at_turn(tab, 2) == second
        settled(tab, 1)
        answer(tab, "shirt")
        settled(tab, 2)
        third = at_turn(tab, 3)
        server.kill()
    with served(tab, f"--blind={SIZE}") as server:
        go(tab, server, "/blind")
        assert at_turn(tab, 3) == third
        tab.keyboard.press("Backspace")
        assert at_turn(tab, 2) == second
        settled(tab, 1)
        answer(tab, "boots")
        settled(tab, 2)
        go(tab, server, "/")
        assert "2 of your answers in the blind test" in tab.inner_text("main")
        tab.click("footer button")
        tab.wait_for_selector("#uncommitted:text-is('0')", state="attached")
        assert run("git", "log", "-1", "--format=%an: %s") == "Ana: ana: 2 blind answers at the desk\n"
        assert run("git", "show", "--name-only", "--format=").split() == ["data/blind/ana.csv"]
        go(tab, server, "/blind")
        at_turn(tab, 3)
        tab.keyboard.press("Backspace")
        settled(tab, 3)
        assert at_turn(tab, 2) == second
        answer(tab, "hat")
        settled(tab, 4)
        assert at_turn(tab, 3) == third
    assert [(row["turn"], row["image_id"], row["answer"], row["value"]) for row in rows()] == [
        ("1", first, "named", "hat"), ("2", second, "named", "boots"), ("2", second, "undo", ""),
        ("2", second, "named", "hat"),
    ]  # fmt: skip


def fetched(server, path: str) -> tuple[str, dict[str, str]]:
    """What the desk answers, without ids of actions and of the tables, and the headers."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status == 200
        headers = {name: value for name, value in response.getheaders() if name not in ("date", "content-length")}
    return re.sub(r"(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])|(?<=data-run=\")[0-9a-f]{8}", "", text), headers


def test_nothing_that_is_sent_depends_on_label_prediction_or_file(world):
    """Labels, predictions and names of files go from each picture to another: the desk sends the very same."""
    paths = ("/blind", f"/blind/items?most=8&skip={next(iter(world.held_out))}", "/blind?round=1")
    before = {
        path: Path(path).read_bytes() for path in (IMAGES.path, FINGERPRINTS.path, predictions.ROWS.path, SPLITS.path)
    }
    with Server(f"--blind={SIZE}") as server:
        sent = [fetched(server, path) for path in paths]
    for table, columns in (
        (IMAGES, ["path", "sub_class", "class_name"]), (FINGERPRINTS, ["path"]), (SPLITS, ["class_name"]),
        (predictions.ROWS, ["truth", "predicted", "confidence"]),
    ):  # fmt: skip
        frame = table.read()
        chosen = frame["image_id"].isin(world.held_out).to_numpy()
        order = np.argsort(frame.loc[chosen, "image_id"].to_numpy())
        for column in columns:
            values = frame.loc[chosen, column].to_numpy(copy=True)
            values[order] = np.roll(values[order], 7)
            frame.loc[chosen, column] = values
        assert not frame.equals(table.read())
        table.write(frame)
    try:
        with Server(f"--blind={SIZE}") as server:
            assert [fetched(server, path) for path in paths] == sent
    finally:
        for path, content in before.items():
            Path(path).write_bytes(content)
    page, items = sent[0][0], json.loads(sent[1][0])["items"]
    assert len(items) == 8
    item = page[page.index("<main") : page.index("</main>")] + page[page.index("<header") : page.index("</header>")]
    for text in (item, *(each["html"] for each in items)):
        assert not re.search(rf"\b({'|'.join(NAMES)}|library|validation|png)\b", text)
    picture = Server(f"--blind={SIZE}")
    with picture as server, closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("GET", f"/picture/1024/{items[0]['key']}")
        response = connection.getresponse()
        content, headers = response.read(), str(response.getheaders())
        assert response.status == 200
        assert not any(word in headers or word.encode() in content for word in (*NAMES, "library", ".png"))


def test_a_time_counts_from_the_painted_picture_to_the_key_and_a_break_is_none(world, tab):
    with served(tab, f"--blind={SIZE}") as server:
        go(tab, server, "/blind")
        painted(tab)
        tab.wait_for_timeout(700)
        answer(tab, "hat")
        at_turn(tab, 2)
        painted(tab)
        tab.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
        tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        tab.evaluate("delete document.hidden")
        answer(tab, "hat")
        at_turn(tab, 3)
        painted(tab)
        tab.evaluate("now => { performance.now = () => now + 121_000 }", tab.evaluate("performance.now()"))
        answer(tab, None)
        at_turn(tab, 4)
        settled(tab, 3)
        tab.keyboard.press("Backspace")
        at_turn(tab, 3)
        settled(tab, 2)
        painted(tab)
        answer(tab, None)
        at_turn(tab, 4)
        settled(tab, 3)
        go(tab, server, "/blind")
        at_turn(tab, 4)
        painted(tab)
        answer(tab, "hat")
        settled(tab, 4)
        at_turn(tab, 5)
        painted(tab)
        answer(tab, None)
        settled(tab, 5)
    times = [row["seconds"] for row in rows()]
    assert 0.7 <= float(times[0]) < 120
    assert times[1:4] == ["", "", ""]  # hidden meanwhile; too long, then seen before; seen before in this tab
    assert 0 <= float(times[4]) < 120


def painted(tab) -> None:
    """Wait until a frame has shown the picture, and the page has noticed."""
    tab.evaluate("document.querySelector('figure.subject img').decode()")
    for _ in range(4):
        tab.evaluate("new Promise(requestAnimationFrame)")


def test_the_test_works_without_a_script(world, browser):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    with Server(f"--blind={SIZE}") as server:
        tab.goto(f"{server.address}/blind")
        (first,) = shown(tab)
        tab.fill("input[name=name]", "boots_tall")
        tab.press("input[name=name]", "Enter")
        tab.wait_for_load_state()
        (second,) = shown(tab)
        tab.click("text=I cannot tell")
        tab.wait_for_load_state()
        assert [tuple(row.values())[:6] for row in rows()] == [
            ("1", "1", first, "named", "boots", ""), ("1", "2", second, "cannot_tell", "", ""),
        ]  # fmt: skip
        tab.click("text=undo")
        tab.wait_for_load_state()
        assert shown(tab) == [second]
        assert len(rows()) == 1
    context.close()


def sent(server, **values: str) -> tuple[int, str]:
    body = urllib.parse.urlencode({"round": "1", "turn": "1", "key": "u", **values})
    headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
        connection.request("POST", "/blind", body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read()).get("error", "")


def test_what_cannot_be_answered_is_refused_in_words_and_nothing_is_written(world):
    trained, unlabelled = world.library["hat"][0], world.unlabelled[0]
    with Server(f"--blind={SIZE}") as server:
        keys = [each["key"] for each in json.loads(fetched(server, "/blind/items?most=3")[0])["items"]]
        good = {"image_id": keys[0], "key": "t", "name": "hat"}
        for values, words in (
            (
                {**good, "name": "cap"},
                "there is no class 'cap'. Choose one of the list; Space says that you cannot tell",
            ),
            ({**good, "name": ""}, "there is no class ''"),
            ({**good, "key": "k"}, "the key 'k' means nothing on this page"),
            ({**good, "turn": "0"}, "a key names no picture of the blind test"),
            ({**good, "round": "x"}, "a key names no picture of the blind test"),
            ({**good, "image_id": "../x"}, "a key names no picture of the blind test"),
            ({**good, "turn": "99"}, "this picture is not asked here any more"),
            ({**good, "image_id": trained}, "this picture is not asked here any more"),
            ({**good, "image_id": unlabelled}, "this picture is not asked here any more"),
            ({**good, "image_id": world.out_of_scope}, "this picture is not asked here any more"),
        ):
            assert sent(server, **values)[0] == 409
            assert words in sent(server, **values)[1]
        assert rows() == []
        assert sent(server, **good, action="0123456789ab", seconds="nan") == (200, "")
        assert sent(server, **good, action="0123456789ab", seconds="3") == (200, "")  # its answer was lost
        assert "answered before, maybe in another window" in sent(server, **{**good, "image_id": keys[1]})[1]
        assert "answered before, maybe in another window" in sent(server, **good)[1]
        assert sent(server, image_id=keys[1], turn="2", seconds="1e9") == (200, "")
        assert sent(server, image_id=keys[2], turn="3", seconds="4.256") == (200, "")
        assert [row["seconds"] for row in rows()] == ["", "", "4.26"]
        for path, words in (
            ("/blind?round=0", "round=0 is no round"),
            ("/blind?round=2", "round 2 begins when round 1 is done"),
            ("/blind/items?round=7", "round 7 begins when round 1 is done"),
            ("/blind/items?most=x", "most=x is not how many items"),
        ):
            with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)) as connection:
                connection.request("GET", path)
                response = connection.getresponse()
                assert (response.status, words in response.read().decode()) == (409, True)


def test_a_size_that_is_none_is_refused_in_words(world):
    with pytest.raises(RuntimeError, match=r"a round of the blind test has 1 to 1000 pictures: make desk BLIND=50"):
        Server("--blind=0")


def answers_of(person: str, answers: list[tuple[str, str]], version: int = 1, minute: int = 0) -> None:
    """Write a person's file, one answer each second."""
    lines = [
        f"1,{turn},{image_id},{'named' if value else 'cannot_tell'},{quoted(value)},{turn}.5,"
        f'2026-11-01T09:{minute:02}:{turn:02}.000Z,"blind; model {version}; act:{turn:012x}"\n'
        for turn, (image_id, value) in enumerate(answers, 1)
    ]
    write(f"data/blind/{person}.csv", HEADER + "".join(lines))


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def test_people_stand_beside_the_model_one_by_one_and_together_and_what_is_unfair_is_said(world, tab):
    ids = sorted(world.held_out)
    truth = {each: world.class_of(world.label_of(each)) for each in ids}
    ana = [(each, truth[each] if n % 4 else "") for n, each in enumerate(ids[:16])]
    ben = [(each, "hat") for each in ids[8:20]]
    trained = world.library["hat"][0]
    answers_of("ana", [*ana, (trained, "hat")], version=7)
    answers_of("ben", ben, minute=1)
    decided = f"{ids[1]},keep,,2026-01-01T00:00:00.000Z,by hand\n{ids[2]},keep,,2026-11-20T00:00:00.000Z,later\n"
    write("data/decisions/ana.csv", f"image_id,decision,value,on,why\n{decided}")
    with served(tab, f"--blind={SIZE}") as server:
        go(tab, server, "/blind/result")
        timed = {
            name: [(*each, f"{turn}.5") for turn, each in enumerate(own, 1)]
            for name, own in (("ana", ana), ("ben", ben))
        }
        together = [*timed["ana"], *timed["ben"][8:]]
        expected = [line(name, own) for name, own in timed.items()]
        assert table_of(tab, "Everybody") == [*expected, line("people together", together)]
        text = tab.inner_text("main")
        assert "16 of your answers were given when the predictions were of another version than 1" in text
        assert "1 of the 17 pictures that you named are left out" in text
        without = [each for each in ana if each[0] != ids[1]]
        right = sum(value == truth[image_id] for image_id, value in without)
        assert "Of 1 of these pictures you had decided something at the desk before" in text
        assert f"Without them you have {right} of 15 right" in text
        by_class = Counter(truth[each] for each, _ in [*ana, *ben[8:]])
        names = sorted(name for name, number in by_class.items() if number >= 5)
        assert [row[:2] for row in table_of(tab, "Classes, people together")] == [[n, str(by_class[n])] for n in names]
        require_readable(tab)


def test_the_time_of_the_model_is_that_of_the_last_report_and_else_the_page_says_where_it_stands(world, tmp_path):
    answers_of("ana", [(each, "hat") for each in sorted(world.held_out)[:6]])
    visited = visits(200, NOW - timedelta(days=3), 3, np.random.default_rng(0))
    with Server(f"--blind={SIZE}") as server:

        def said_of_the_model() -> str:
            with urllib.request.urlopen(f"{server.address}/blind/result", timeout=SECONDS) as page:  # noqa: S310
                return re.search(
                    r"The model is not timed on these pictures[^<]*(<code>make usage</code>[^<]*)", page.read().decode()
                )[0]

        assert "The gateway logs its time with each answer: after" in said_of_the_model()
        written(Path("build"), ship(visited, tmp_path / "place"))
        shutil.move("build/out", "build/usage")
        rows = [each for each in visited.to_pylist() if each["status"] == "answered"]
        seconds = median(each["total_ms"] - each["read_ms"] for each in rows) / 1000
        expected = f"took {seconds:.3f} seconds once the picture had arrived, the median of {len(rows)} answers"
        assert expected in said_of_the_model()
        LATENCY.write_bytes(b"no Parquet")
        assert "The gateway logs its time" in said_of_the_model()
    shutil.rmtree("build/usage")


@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_pages_and_hostile_names_stay_text(world, browser, width):
    ids = sorted(world.held_out)
    for number, (name, sub_class) in enumerate(zip(PEOPLE, FOLDERS, strict=False)):
        first = number % (len(ids) - 11)
        answers_of(name, [(each, sub_class) for each in ids[first : first + 12]], minute=number)
    answers_of("people together", [(ids[0], "hat")])
    with Server(f"--blind={SIZE}") as server:
        page = browser.new_page(viewport={"width": width, "height": 850})
        page.set_default_timeout(SECONDS * 1000)
        for path in ("/blind", "/blind/result"):
            go(page, server, path)
            require_readable(page)
            require_text(page)
            assert page.title().endswith("· Desk")
        names = [as_shown(each) for each in sorted([*PEOPLE, "people together"])]
        assert [as_shown(row[0]) for row in table_of(page, "Everybody")] == [*names, "people together"]
        page.goto("about:blank")
        page.close()


def test_a_person_s_answers_on_two_branches_merge_without_a_conflict(world):
    ids = sorted(world.held_out)
    answers_of("ana", [(ids[0], "hat")])
    commit("One")
    begin = FILE.read_text()
    run("git", "checkout", "--quiet", "-b", "other")
    FILE.write_text(begin + f'1,2,{ids[1]},named,hat,,2026-11-02T09:00:00.000Z,"x; act:0123456789ab"\n')
    commit("Two")
    run("git", "checkout", "--quiet", "main")
    FILE.write_text(begin + f'1,3,{ids[2]},named,hat,,2026-11-02T09:00:01.000Z,"x; act:0123456789ac"\n')
    commit("Three")
    run("git", "merge", "--quiet", "--no-edit", "other")
    assert sorted(row["turn"] for row in rows()) == ["1", "2", "3"]
    run("git", "branch", "-D", "other")
