"""Planted mistakes in the sample, found and mended at the desk: what was decided stays decided, and the metrics move.

It works in a clone, on the pictures and results of this one, where `make repro` has run.
"""

import json
import re
import shutil
import subprocess
import sys
from contextlib import chdir
from pathlib import Path

import pytest
from clones import put_under_dvc
from desks import Server, asked, go, said, settled, shown, watched
from repositories import ROOT, commit, run, surroundings

from curation.snapshot import read_snapshot
from review.summary import is_sample
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW

pytestmark = pytest.mark.slow
DIGITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NUM_WRONG = 60
NUM_LOOKED_AT = 120
FEWEST_FOUND = 45
NUM_LABELLED = 5


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory):
    """Work in a clone in which nobody decided anything and some digits are in the next digit's folder; it has run."""
    with chdir(ROOT):
        if not (is_sample() and Path(REVIEW.path).exists()):
            pytest.skip("the sample has not run here, on which somebody works at the desk: make repro")
    clone = tmp_path_factory.mktemp("sample") / "clone"
    run("git", "clone", "--quiet", str(ROOT), str(clone))
    for name in ("data", ".dvc/tmp/retrain/memo"):  # a run's results are of this machine, and may be in no cache
        shutil.copytree(ROOT / name, clone / name, dirs_exist_ok=True)
    shutil.copy(ROOT / "dvc.lock", clone)
    with surroundings(clone):
        run("git", "config", "user.name", "Ana")
        run("git", "config", "user.email", "ana@example.org")
        for path in Path("data/decisions").glob("*.csv"):
            path.unlink()
        right = sorted(path for name in DIGITS for path in Path("data/library", name).glob(f"{name}-???.jpg"))
        for path in right[:: len(right) // NUM_WRONG][:NUM_WRONG]:
            target = DIGITS[(DIGITS.index(path.parent.name) + 1) % len(DIGITS)]
            path.rename(Path("data/library", target, path.name))
        put_under_dvc("data/library")
        commit("Mistakes")
        reproduce()
        commit("A run on mistakes")
        yield


def reproduce() -> None:
    subprocess.run([sys.executable, "-m", "runtime.repro", "score"], check=True)


def accuracy() -> float:
    return float(json.loads(Path("data/scores/metrics.json").read_text())["held_out"]["top_1_accuracy"])


def digit_of(path: str, label: str) -> str:
    """Name the digit that a picture shows: its file's name begins with it, where it is no copy of the sample's own."""
    found = re.match(rf"({'|'.join(DIGITS)})-\d", Path(path).name)
    return found[1] if found else label


def double_check(tab, snapshot) -> list[tuple[str, str, str]]:
    """Decide about the picture on the page as somebody does who knows digits; gives the row that is expected."""
    (image_id,) = shown(tab)
    picture = snapshot.images.loc[image_id]
    if not isinstance(picture["sub_class"], str):
        tab.keyboard.press("k")
        return [(image_id, "keep", "")]
    digit = digit_of(picture["path"], picture["class_name"])
    if digit == picture["class_name"]:
        tab.keyboard.press("k")
        return [(image_id, "relabel", picture["sub_class"])]
    named = {
        button.get_attribute("value").removeprefix("is:"): button.get_attribute("data-key")
        for button in tab.query_selector_all("aside button[value^='is:']:enabled")
    }
    for sub_class in snapshot.sub_classes[digit]:
        if sub_class in named:
            tab.keyboard.press(named[sub_class])
            return [(image_id, "relabel", sub_class)]
    tab.keyboard.press("t")
    tab.keyboard.type(digit)
    tab.keyboard.press("Enter")
    return [(image_id, "relabel", digit)]


def are_the_same(paths: list[str]) -> bool:
    """Say whether files are made of one picture, as their names tell."""
    changed = r"(-(copy|resaved|brighter|recompressed|smaller|[12]))?\.\w+$"
    made_of = {re.sub(changed, "", Path(path).name) for path in paths}
    return len(made_of - {"benchmark"}) == 1 and made_of != {"same-desk"}


def answer(tab, snapshot) -> None:
    """Answer for the group on the page as somebody does who knows which pictures were made of one."""
    paths = [snapshot.files["path"][image_id] for image_id in shown(tab)]
    if not are_the_same(paths):
        tab.keyboard.press("a")
    elif "They are in different classes." in tab.inner_text("main"):
        tab.keyboard.press("r")
        tab.keyboard.type(digit_of(paths[0], ""))
        tab.keyboard.press("Enter")
    else:
        tab.keyboard.press("Enter")


def named_by_the_model(tab, server) -> dict[str, str]:
    """Label some unlabelled pictures, sort all that the model is sure of, as it says; gives image_id to sub-class."""
    num_rows = len(said())
    go(tab, server, "/label")
    for number in range(NUM_LABELLED):
        tab.wait_for_selector("[data-image-id]")
        tab.keyboard.press("1")
        settled(tab, num_rows + number + 1)
    go(tab, server, "/sort?high=on")
    tab.keyboard.press("a")
    tab.keyboard.press("y")
    assert "pictures will be labelled" in asked(tab)[0]
    tab.keyboard.press("Enter")
    tab.wait_for_selector(".none")
    new = said()[num_rows:]
    assert len(new) > 2 * NUM_LABELLED
    assert {decision for _, decision, _ in new} == {"relabel"}
    return {image_id: sub_class for image_id, _, sub_class in new}


def test_mistakes_that_are_mended_at_the_desk_stay_mended_and_the_metrics_move(mistaken, browser):
    before, snapshot, expected = accuracy(), read_snapshot(), []
    with Server("--person=ana") as server, watched(browser) as tab:
        go(tab, server, "/double-check")
        for _ in range(NUM_LOOKED_AT):
            tab.wait_for_selector("[data-image-id]")
            expected += double_check(tab, snapshot)
            settled(tab, len(expected))
        assert said() == expected
        found = {row[0]: row[2] for row in expected if row[2] not in ("", snapshot.labels.get(row[0]))}
        assert len(found) >= FEWEST_FOUND
        go(tab, server, "/duplicates")
        while not tab.query_selector(".empty"):
            num_rows = len(said())
            answer(tab, snapshot)
            tab.wait_for_selector("#item:has([data-image-id]), .empty")
            while len(said()) == num_rows:
                tab.wait_for_timeout(25)
        accepted = named_by_the_model(tab, server)
        go(tab, server, "/")
        tab.click("footer button")
        tab.wait_for_selector("#uncommitted:text-is('0')", state="attached")
        assert run("git", "log", "-1", "--format=%an: %s") == f"Ana: ana: {len(said())} decisions at the desk\n"
    run(sys.executable, "-m", "intake.accepted")
    commit("What was accepted")
    reproduce()
    assert accuracy() > before + 0.02
    decided = {row[0] for row in expected}
    assert decided.isdisjoint(REVIEW.read()["image_id"])
    images = IMAGES.read().drop_duplicates("image_id").set_index("image_id")
    assert images["sub_class"][[*found, *accepted]].to_dict() == found | accepted
    with Server("--person=ana") as server, watched(browser) as tab:
        go(tab, server, "/double-check")
        assert decided.isdisjoint(shown(tab))
        go(tab, server, "/duplicates")
        tab.wait_for_selector(".empty")
        for page in ("/label", "/sort"):
            go(tab, server, page)
            assert accepted.keys().isdisjoint(shown(tab))
