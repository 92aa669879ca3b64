"""Framing a picture in a real browser, by keys and by dragging; file, pixels and rows are compared."""

import json
import os
import signal
import urllib.error
import urllib.parse
import urllib.request
from hashlib import md5
from pathlib import Path

import numpy as np
import pytest
from desks import begin_again, go, prepared, press, require_readable, said, settled, shown, watched, whys
from PIL import Image
from repositories import commit

from curation import copies
from curation.actions import Row
from curation.crop import Crop
from curation.framing import frame_picture
from curation.pictures import Pictures
from curation.state import Desk
from runtime.errors import RepositoryError

pytestmark = pytest.mark.slow
SIDE = 100


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("frame"), num_pictures=4, side=SIDE) as world:
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    for path in framed_files():
        path.unlink()
    return shared


@pytest.fixture
def tab(browser, server):
    with watched(browser) as page:
        yield page


def framed_files() -> list[Path]:
    return sorted(path for path in Path("data").rglob("*framed*"))


def pixels(path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def file_of(world, image_id) -> Path:
    label = world.label_of(image_id)
    folder = Path("data/library", label) if label else Path("data/unlabelled")
    return next(path for path in folder.iterdir() if md5(path.read_bytes()).hexdigest() == image_id)


def posted(server, image_id, crop, **more) -> dict:
    values = {"image_id": image_id, **crop._asdict(), **more}
    request = urllib.request.Request(  # noqa: S310
        f"{server.address}/frame", urllib.parse.urlencode(values).encode(), {"accept": "application/json"}
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def test_a_picture_is_cropped_and_turned_by_keys_alone_and_one_undo_takes_all_of_it_back(world, tab, server):
    first, second = world.review[:2]
    before, original = file_of(world, first).read_bytes(), file_of(world, first)
    go(tab, server, "/double-check")
    press(tab, "F")
    tab.wait_for_url(f"**/frame/{first}")
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert tab.get_attribute("body", "data-page") == "frame"
    assert shown(tab) == [first]
    press(tab, *["ArrowLeft"] * 10, *["ArrowUp"] * 5, "Shift+ArrowUp", "]")
    assert tab.inner_text("#readout") == "92 \N{MULTIPLICATION SIGN} 80 pixels, turned to the right"
    press(tab, "ArrowRight", "Enter")  # what is on the right now was above
    tab.wait_for_url("**/double-check")
    settled(tab, 2)
    tab.wait_for_selector(f"[data-image-id='{second}']")
    (copy,) = framed_files()
    image_id = md5(copy.read_bytes()).hexdigest()
    assert copy.parent == original.parent
    assert copy.name == f"{original.stem}-framed-{image_id[:12]}.png"
    assert np.array_equal(pixels(copy), np.rot90(pixels(original)[10:, 20:], -1))
    assert said() == [(first, "duplicate", image_id), (first, "remove", "")]
    assert whys()[0] == "frame; 20,10 to 100,100, turned to the right; model 1; 1 of 2"
    assert tab.inner_text("#last li:first-child") == "framed"
    assert original.read_bytes() == before
    press(tab, "Backspace")
    tab.wait_for_selector("#status:has-text('taken back: framed')")
    assert said() == []
    assert framed_files() == []
    go(tab, server, "/double-check")
    assert shown(tab) == [first]
    go(tab, server, "/")
    assert "framed" not in tab.inner_text("main")


def test_a_picture_is_cropped_by_dragging_and_a_side_is_moved_by_its_line(world, tab, server):
    image_id = world.review[0]
    go(tab, server, f"/frame/{image_id}")
    box = tab.locator("#turning image").bounding_box()
    scale = box["width"] / SIDE

    def go_to(x, y):
        tab.mouse.move(box["x"] + scale * x, box["y"] + scale * y)

    def drag(start, end):
        go_to(*start)
        tab.mouse.down()
        go_to((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        go_to(*end)
        tab.mouse.up()

    drag((30, 20), (80, 70))
    assert tab.inner_text("#readout") == "50 \N{MULTIPLICATION SIGN} 50 pixels"
    drag((80, 40), (90, 40))
    assert tab.inner_text("#readout") == "60 \N{MULTIPLICATION SIGN} 50 pixels"
    press(tab, "Enter")
    tab.wait_for_selector("text=was framed")
    (copy,) = framed_files()
    assert np.array_equal(pixels(copy), pixels(file_of(world, image_id))[20:70, 30:90])
    press(tab, "Backspace")
    tab.wait_for_selector("#framing")
    assert said() == []
    assert framed_files() == []


@pytest.mark.parametrize(("path", "number"), [("label", 0), ("sort", 1), ("class/hat", 2), ("duplicates", 3)])
def test_the_same_key_leads_there_from_other_pages_and_back(world, tab, server, path, number):
    go(tab, server, f"/{path}")
    first = tab.get_attribute(".framed" if number in (1, 2) else ".subject", "data-image-id")
    press(tab, "F")
    tab.wait_for_url(f"**/frame/{first}")
    tab.wait_for_selector("html[data-ready]", state="attached")
    press(tab, "[", "Enter")
    tab.wait_for_url(f"**/{path}")
    settled(tab, 2)
    (copy,) = framed_files()
    assert np.array_equal(pixels(copy), np.rot90(pixels(file_of(world, first))))
    assert copy.parent == file_of(world, first).parent
    tab.wait_for_selector("html[data-ready]", state="attached")
    assert first not in shown(tab)


def test_the_copy_has_the_label_that_a_person_gave_and_stays_where_its_original_was_kept(world, server):
    image_id = world.library["hat"][0]
    Desk().say("ben", [Row(image_id, "relabel", "shirt", "act:aaaaaaaaaaaa")])
    Desk().say("ben", [Row(image_id, "keep", "", "act:bbbbbbbbbbbb")])
    answer = posted(server, image_id, Crop(0, 0, 50, 50, 0))
    copy = md5(Path(answer["path"]).read_bytes()).hexdigest()
    assert said() == [
        (copy, "relabel", "shirt"),
        (copy, "keep", ""),
        (image_id, "duplicate", copy),
        (image_id, "remove", ""),
    ]


def test_the_same_crop_twice_is_one_file_and_the_same_request_twice_one_action(world, server):
    image_id, crop = world.review[0], Crop(10, 10, 90, 90, 2)
    first = posted(server, image_id, crop, action="0123456789ab")
    again = posted(server, image_id, crop, action="0123456789ab")
    with urllib.request.urlopen(server.address) as answer:  # noqa: S310
        assert "<b>1</b> framed copy is new: <code>make intake</code>" in answer.read().decode()
    assert again["path"] == first["path"]
    assert len(said()) == 2
    assert "was framed meanwhile" in posted(server, image_id, crop)["error"]
    content = Path(first["path"]).read_bytes()
    Desk().undo("ana", "ffffffffffff")
    assert not Path(first["path"]).exists()
    assert posted(server, image_id, crop)["path"] == first["path"]
    assert Path(first["path"]).read_bytes() == content


def test_nothing_is_written_through_a_link_into_the_cache(world, server, tmp_path):
    image_id = world.review[0]
    original = file_of(world, image_id)
    cached = tmp_path / "cached"
    original.rename(cached)
    cached.chmod(0o444)
    original.symlink_to(cached)
    before = cached.read_bytes()
    answer = posted(server, image_id, Crop(0, 0, 50, 50, 0))
    copy = Path(answer["path"])
    stored = tmp_path / "stored"
    os.link(copy, stored)
    content = stored.read_bytes()
    Desk().undo("ana", "ffffffffffff")
    assert not copy.exists()
    assert stored.read_bytes() == content
    other = tmp_path / "other"
    other.write_bytes(b"another")
    copy.symlink_to(other)
    assert "is another file" in posted(server, image_id, Crop(0, 0, 50, 50, 0))["error"]
    assert other.read_bytes() == b"another"
    assert cached.read_bytes() == before
    assert said() == []
    copy.unlink()
    original.unlink()
    cached.rename(original)


def test_a_desk_that_is_killed_between_leaves_no_copy_without_its_tie_and_no_tie_without_its_copy(world, monkeypatch):
    image_id, crop = world.review[0], Crop(0, 0, 50, 50, 0)
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(Desk, "say", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        killed.setattr(copies.Copies, "_settle", lambda *_: None)  # nothing runs after a kill
        frame_picture(Desk(), Pictures(), "ana", image_id, crop, "0" * 12)
    assert len(framed_files()) == 1
    Desk()
    assert framed_files() == []
    assert said() == []
    desk = Desk()
    frame_picture(desk, Pictures(), "ana", image_id, crop, "1" * 12)
    Desk()
    assert len(framed_files()) == 1
    monkeypatch.setattr(copies.Copies, "_settle", lambda *_: None)
    desk.undo("ana", "2" * 12)
    monkeypatch.undo()
    assert len(framed_files()) == 1
    Desk()
    assert framed_files() == []
    assert said() == []


def test_where_the_disk_refuses_the_rows_the_copy_goes(world, monkeypatch):
    desk = Desk()

    def full(*_):
        raise RepositoryError("the disk is full")

    monkeypatch.setattr(desk, "say", full)
    with pytest.raises(RepositoryError, match="full"):
        frame_picture(desk, Pictures(), "ana", world.review[0], Crop(0, 0, 50, 50, 0), "0" * 12)
    assert framed_files() == []


def test_what_a_commit_holds_is_taken_back_too_with_its_copy(world, tab, server):
    image_id = world.review[0]
    posted(server, image_id, Crop(0, 0, 50, 50, 0))
    commit("framed")
    go(tab, server, f"/frame/{image_id}")
    press(tab, "Backspace")
    tab.wait_for_selector("#framing")
    assert framed_files() == []
    assert [row[1] for row in said()[:3]] == ["duplicate", "remove", "undo"]
    assert Desk().ledger.standing(image_id) == {}


def test_what_cannot_be_framed_is_said(world, server):
    crop = Crop(0, 0, 50, 50, 0)
    assert "in a benchmark" in posted(server, world.out_of_scope, crop)["error"]
    assert "knows no such picture" in posted(server, "0" * 32, crop)["error"]
    assert "four whole numbers" in posted(server, world.review[0], crop._replace(left="x"))["error"]
    assert "lies outside" in posted(server, world.review[0], crop._replace(right=101))["error"]
    path = file_of(world, world.review[0])
    path.rename("elsewhere.png")
    assert "`make pull` fetches it" in posted(server, world.review[0], crop)["error"]
    Path("elsewhere.png").rename(path)
    assert said() == []
    assert framed_files() == []


def test_it_works_without_a_script(world, browser, server):
    context = browser.new_context(java_script_enabled=False)
    tab = context.new_page()
    tab.goto(f"{server.address}/class/hat")
    image_id = world.library["hat"][1]
    tab.check(f"[value='{image_id}']")
    tab.click("[formaction='/frame']")
    assert tab.url.endswith(f"/frame/{image_id}")
    tab.click("text=in numbers")
    tab.fill("[name=left]", "40")
    tab.select_option("[name=turns]", "3")
    tab.click("text=write the copy")
    (copy,) = framed_files()
    assert np.array_equal(pixels(copy), np.rot90(pixels(file_of(world, image_id))[:, 40:]))
    context.close()


@pytest.mark.parametrize("is_framed", [False, True])
@pytest.mark.parametrize("width", [1400, 320])
def test_everybody_can_read_the_page(world, browser, server, width, is_framed):
    image_id = world.review[0]
    if is_framed:
        posted(server, image_id, Crop(0, 0, 50, 50, 0))
    page = browser.new_page(viewport={"width": width, "height": 850})
    go(page, server, f"/frame/{image_id}")
    require_readable(page)
    page.close()
