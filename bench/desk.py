"""The desk in headless Chromium: what a key takes, how many decisions an hour, what kill -9 loses, what a batch takes.

    python -m bench.desk CLONE [--items 200] [--kills 50] [--batch 5000] [--large 240] [--many 100000] [--long 4000]

CLONE has the tables of a run. Nothing in it changes: its data is linked into a folder of our own, with no decisions.
Two libraries are made up besides: one of `--large` pictures of 12 megapixels, of which a key each 1.5 s asks for some
that nobody has seen yet, and one of `--many` pictures of 1,500 classes, on which the desk starts, `--long` items are
decided in one tab, pages are filtered, and names are typed.
"""

import contextlib
import csv
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil

from bench import harness
from bench.browser import browsing, unwatched
from bench.desk_world import write_world
from curation.actions import Row, why
from curation.state import Desk
from stages.tables.images import IMAGES

PERSON = "bench"
FILE = Path("data/decisions", f"{PERSON}.csv")
PRESSES_A_SECOND = 10
NUM_CLASSES = 1500
NUM_TRIES = 20  # of a filter, and of a letter that is typed
COLUMNS = ["library", "keys", "items", "median ms", "95th percentile ms", "longest ms", "decisions an hour",
           "file as the script", "start s"]  # fmt: skip
# From a key to the frame after the next item and its pictures are in the page.
WATCH = """
window.pressed = []
window.taken = []
addEventListener('keydown', (event) => event.key !== 'd' && window.pressed.push(event.timeStamp), true)
addEventListener('DOMContentLoaded', () => new MutationObserver(async () => {
  const pressed = window.pressed.shift()
  if (!pressed || !document.querySelector('[data-image-id]')) return
  await Promise.all([...document.querySelectorAll('#item img')].map((each) => each.decode().catch(() => {})))
  requestAnimationFrame(() => setTimeout(() => window.taken.push(performance.now() - pressed)))
}).observe(document.querySelector('#item'), { childList: true }))
"""
# Chooses a class and presses "show"; gives milliseconds to the frame after the grid is there, and after the pictures of
# it that can be seen are.
FILTER = """
async (name) => {
  const form = document.querySelector('.filters'), grid = document.querySelector('.grid')
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
  const changed = new Promise((done) => new MutationObserver(done).observe(grid, { childList: true }))
  const began = performance.now()
  form.elements.class.value = name
  form.requestSubmit()
  await changed
  await painted()
  const there = performance.now() - began
  const seen = [...grid.querySelectorAll('img')].filter((each) => each.getBoundingClientRect().top < innerHeight)
  await Promise.all(seen.map((each) => each.decode()))
  await painted()
  return [there, performance.now() - began]
}
"""
# One more letter, or the first again.
TYPE = """
async () => {
  const input = document.activeElement, began = performance.now()
  input.value = input.value === 'class_09' ? 'c' : 'class_09'.slice(0, input.value.length + 1)
  input.dispatchEvent(new Event('input', { bubbles: true }))
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)))
  return performance.now() - began
}
"""


class Server:
    """A desk in a process of its own."""

    def __init__(self, port: int | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "curation.desk", f"--port={self.port}", f"--person={PERSON}"]
        environment = {**os.environ, "PYTHONPATH": str(harness.ROOT)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.address}/static/desk.css").close()  # noqa: S310
                break
            assert self.process.poll() is None, "the desk does not start"
            time.sleep(0.02)

    def kill(self) -> None:
        """As a power cut would, but for the disk."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def megabytes(pid: int) -> float:
    """Proportional set size of a process."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1e6


def tab_megabytes() -> float:
    """Proportional set size of what draws the only tab."""
    ours = psutil.Process().children(recursive=True)
    return max(megabytes(each.pid) for each in ours if "--type=renderer" in each.cmdline())


@contextlib.contextmanager
def repository() -> Iterator[None]:
    """Work in an empty repository with the parameters of this one."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("data/decisions").mkdir(parents=True)
        for name in ("embeddings", "predictions", "scores"):
            Path("data", name).mkdir()
        shutil.copy(harness.ROOT / "params.yaml", ".")
        subprocess.run(["git", "init", "--quiet"], check=True)
        yield


@contextlib.contextmanager
def linked(clone: Path) -> Iterator[list[str]]:
    """Work in a repository with the clone's data and no decisions; gives the names of the classes."""
    with repository():
        for path in (clone.resolve() / "data").iterdir():
            if path.name != "decisions":
                shutil.rmtree(Path("data", path.name), ignore_errors=True)
                Path("data", path.name).symlink_to(path)
        shutil.copy(clone / "params.yaml", ".")
        yield sorted(IMAGES.read()["class_name"].dropna().unique())


def rows() -> list[tuple[str, str, str, str]]:
    """What is in the file: image_id, decision, value, why."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1], row[2], row[4]) for row in csv.reader(file)][1:]


def press(page: Any, num_items: int, pause: float) -> tuple[list[str], float]:
    """Press `k` or `d` and `1` in turn: by the clock, whatever is there, or without a pause on items that are there.

    Returns:
        The items, as far as they were waited for, and the seconds until all is in the file.
    """
    items, began = [], time.perf_counter()
    for number in range(num_items):
        if not pause:
            page.wait_for_selector("[data-image-id]")
            items.append(page.get_attribute("[data-image-id]", "data-image-id"))
        for key in "d1" if number % 2 else "k":
            page.keyboard.press(key)
        time.sleep(max(0.0, began + (number + 1) * pause - time.perf_counter()))
    while len(rows()) < num_items and time.perf_counter() < began + num_items * max(pause, 1.0) + 60:
        time.sleep(0.01)
    return items, time.perf_counter() - began


def is_as_pressed(items: list[str], num_items: int) -> bool:
    """Whether the file has a row for each press, in their order: on an item of its own, or on those that were there."""
    said, labels = rows(), IMAGES.read().drop_duplicates("image_id").set_index("image_id")["sub_class"]
    pressed = items or list(dict.fromkeys(row[0] for row in said))
    if not len(pressed) == len(said) == num_items:
        return False
    answers = [("remove", "") if number % 2 else ("relabel", labels[row[0]]) for number, row in enumerate(said)]
    expected = [(image_id, *answer) for image_id, answer in zip(pressed, answers, strict=True)]
    return [row[:3] for row in said] == expected and all(row[3].startswith("double-check; ") for row in said)


def keys(library: str, query: str, num_items: int, pause: float) -> tuple[object, ...]:
    """Decide items, from an empty file, in a browser that has seen nothing; gives a row of COLUMNS."""
    FILE.unlink(missing_ok=True)
    began = time.perf_counter()
    server = Server()
    url = f"{server.address}/double-check?{query}"
    urllib.request.urlopen(url).close()  # noqa: S310
    start = time.perf_counter() - began
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 850})
        page.add_init_script(WATCH)
        page.goto(url)
        page.wait_for_timeout(1000)
        items, seconds = press(page, num_items, pause)
        taken = np.percentile(page.evaluate("taken"), [50, 95, 100])
        equal = "yes" if is_as_pressed(items, num_items) else "NO"
    server.kill()
    how = f"one each {pause:g} s" if pause else "as fast as it goes"
    return library, how, num_items, *taken, round(3600 * num_items / seconds), equal, start


def memory(query: str, num_items: int) -> tuple[object, ...]:
    """Decide items in an unwatched tab; gives their number and the megabytes of server and tab after them."""
    FILE.unlink(missing_ok=True)
    server = Server()
    with unwatched(f"{server.address}/double-check?{query}") as tab:
        shown = "''"
        tab.wait_for("document.documentElement.dataset.ready !== undefined")
        item = "document.querySelector('[data-image-id]')?.dataset.imageId"
        for _ in range(num_items):
            shown = repr(tab.wait_for(f"(id => id !== {shown} && id)({item})"))
            tab.press("k")
        while len(rows()) < num_items:
            time.sleep(0.01)
        sizes = [megabytes(server.process.pid), tab_megabytes()]
        tab.let_go()
        sizes.append(tab_megabytes())
    server.kill()
    return num_items, *sizes


def answers() -> list[tuple[object, ...]]:
    """Measure what a filter takes until its grid and its pictures are there, and a letter until names are."""
    server, letters = Server(), []
    with browsing() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 850})
        page.goto(f"{server.address}/sort")
        page.wait_for_selector(".cell.framed")
        filters = [page.evaluate(FILTER, f"class_{number:04d}") for number in range(NUM_TRIES)]
        page.goto(f"{server.address}/double-check")
        page.wait_for_selector("[data-image-id]")
        page.keyboard.press("t")
        for _ in range(NUM_TRIES):
            letters.append(page.evaluate(TYPE))
    server.kill()
    grids, pictures = zip(*filters, strict=True)
    return [
        (what, *np.percentile(each, [50, 95, 100]))
        for what, each in (
            ("a filter of Sort, to its grid", grids),
            ("to the pictures in sight, which nobody has seen yet", pictures),
            (f"a letter among {NUM_CLASSES:,} names, to the frame after", letters),
        )
    ]


def killed(classes: list[str], num_kills: int) -> tuple[object, ...]:
    """Kill the desk under load; a client sends what was not answered again, as the page does."""
    FILE.unlink(missing_ok=True)
    images = IMAGES.read()
    ids = images.loc[(images["set"] == "library") & images["dropped"].isna(), "image_id"].unique().tolist()
    server, answered, stop = Server(), [], threading.Event()
    address = server.address

    def client() -> None:
        for number, image_id in enumerate(ids * 1000):
            body = urllib.parse.urlencode({"image_id": image_id, "key": "k", "action": f"{number:012x}"}).encode()
            request = urllib.request.Request(f"{address}/double-check", body, {"accept": "application/json"})  # noqa: S310
            while not stop.is_set():
                with contextlib.suppress(OSError, urllib.error.URLError):
                    urllib.request.urlopen(request).close()  # noqa: S310
                    answered.append(f"act:{number:012x}")
                    break
            if stop.is_set():
                return

    thread, chance = threading.Thread(target=client), random.Random(0)
    thread.start()
    for _ in range(num_kills):
        time.sleep(chance.uniform(0.1, 0.5))
        server.kill()
        server = Server(server.port)
    stop.set()
    thread.join()
    server.kill()
    found = [row[3].rpartition("; ")[2] for row in rows()]
    return num_kills, len(answered), len(set(answered) - set(found)), len(found) - len(set(found))


def batch(number: int) -> tuple[object, ...]:
    """Write one action of many pictures, and take it back, before and after a commit; in seconds, without HTTP."""
    FILE.unlink(missing_ok=True)
    desk, seconds = Desk(), []

    def timed(work: Callable[[], object]) -> None:
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)

    def said(action: str) -> list[Row]:
        reason = why("sort", "accepted", action=action, batch=True)
        return [Row(f"{each:032x}", "relabel", "boots", reason) for each in range(number)]

    timed(lambda: desk.say(PERSON, said("a" * 12)))
    timed(lambda: desk.undo(PERSON, "b" * 12))
    desk.say(PERSON, said("c" * 12))
    subprocess.run(["git", "add", "--force", str(FILE)], check=True)
    author = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    subprocess.run(["git", *author, "commit", "--quiet", "--message", "A batch"], check=True)
    timed(lambda: desk.undo(PERSON, "d" * 12))
    return number, *seconds


def main() -> None:
    """Run the measurement."""
    given = harness.options(__doc__, "clone", items=200, kills=50, batch=5000, large=240, many=100_000, long=4000)
    measured = []
    with linked(given.clone) as classes:
        query = urllib.parse.urlencode([("class", name) for name in classes])
        measured += [keys("of the clone", query, given.items, pause) for pause in (1 / PRESSES_A_SECOND, 0.0)]
        kills = killed(classes, given.kills)
        batches = batch(given.batch)
    with repository():
        write_world(given.large, 3, 4000, 3000)
        measured.append(keys("12 megapixels each", "class=class_0000&class=class_0001", given.large // 12, 1.5))
    with repository():
        names = write_world(given.many, NUM_CLASSES, 320, 240)
        query = urllib.parse.urlencode([("class", name) for name in names[: given.long // 20]])
        measured.append(keys(f"{given.many:,} pictures", query, given.long, 0.0))
        held = memory(query, given.long // 2)
        answered = answers()
    harness.print_table(COLUMNS, measured)
    print()
    harness.print_table(["items decided", "server MB", "tab MB", "tab MB when memory is short"], [held])
    print()
    harness.print_table(["what", "median ms", "95th percentile ms", "longest ms"], answered)
    print()
    harness.print_table(["kill -9", "answered", "of them lost", "written twice"], [kills])
    print()
    columns = ["pictures of a batch", "on the disk s", "taken back s", "taken back after a commit s"]
    harness.print_table(columns, [batches])


if __name__ == "__main__":
    main()
