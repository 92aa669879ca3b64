"""Where the model looked, on Double-check, by a key: what the gateway draws too, from the export."""

import json
import urllib.request
from pathlib import Path

import pytest
from desks import Server, begin_again, go, prepared, press, require_readable, settled, watched
from exports import write_export
from repositories import write

from curation.pictures import Pictures
from curation.snapshot import read_snapshot
from serving.activation import Task, explain
from stages.tables import model, predictions
from stages.tables.exported import EXPORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("looking"), num_pictures=4) as world:
        export = write_export(Path(EXPORT), version=1)
        write(f"{export}/classes.json", Path(predictions.CLASSES).read_text())
        yield world


@pytest.fixture(scope="module")
def server(world):
    with Server() as server:
        yield server


def test_a_key_draws_where_the_model_looked_and_takes_it_away_and_no_key_waits(world, browser, server):
    first, second = world.review[:2]
    begin_again()
    with watched(browser) as tab:
        go(tab, server, "/double-check")
        press(tab, "x")
        tab.wait_for_selector(".subject .looked")
        assert tab.get_attribute("[data-do=looked]", "aria-pressed") == "true"
        assert "what spoke for the prediction" in tab.inner_text("#status")
        require_readable(tab)
        press(tab, "x")
        assert tab.locator(".looked").count() == 0
        press(tab, "x", "k")
        settled(tab, 1)
        tab.wait_for_selector(f"[data-image-id='{second}']")
        press(tab, "Backspace")
        tab.wait_for_selector(f"[data-image-id='{first}']")
        assert tab.locator(".looked").count() == 0
        settled(tab, 0)
    snapshot = read_snapshot()
    picture = Pictures().read(first, snapshot.paths(first))
    with urllib.request.urlopen(f"{server.address}/activation/{first}") as answer:  # noqa: S310
        assert answer.read() == explain(Task(Path(EXPORT, "001"), snapshot.best(first)[0][0], picture))


@pytest.mark.parametrize(
    ("path", "content", "words"),
    [
        (f"{EXPORT}/001/model.onnx", None, "data/export/001/model.onnx is not here"),
        (f"{EXPORT}/001/model.onnx", b"t\xf0rned", "model.onnx is no model that ONNX Runtime can run"),
        (f"{EXPORT}/001/model.onnx", "no graph", "model.onnx is no model that ONNX Runtime can run"),
        (f"{model.FOLDER}/{model.DESCRIPTION}", json.dumps({"weights_sha256": "1" * 64}), "is of another model"),
    ],
)
def test_where_it_cannot_be_drawn_the_page_says_why_in_words(world, browser, server, path, content, words):
    file = Path(path)
    before = file.read_bytes() if file.exists() else None
    tab = browser.new_page()
    if content is None:
        file.unlink()
    elif isinstance(content, bytes):  # in place of a name of the graph
        file.write_bytes(before.replace(b"turned", content, 1))
    else:
        write(path, content)
    go(tab, server, "/double-check")
    press(tab, "x")
    tab.wait_for_selector(f"#status:has-text('{words}')")
    assert tab.locator(".looked").count() == 0
    assert tab.is_enabled("[data-do=looked]")
    tab.close()
    file.unlink(missing_ok=True)
    if before is not None:
        file.write_bytes(before)
