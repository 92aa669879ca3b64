"""The desk in headless Chromium: what a key takes, how many decisions an hour, what kill -9 loses, what a batch takes.

    python -m bench.desk CLONE [--items 200] [--kills 50] [--batch 5000]

CLONE has the tables of a run. Nothing in it changes: its data is linked into a folder of our own, with no decisions.
"""

import contextlib
import csv
import os
import random
import re
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

from bench import harness
from curation.actions import Row, why
from curation.state import Desk
from stages.tables.images import IMAGES

PERSON = "bench"
FILE = Path("data/decisions", f"{PERSON}.csv")
PRESSES_A_SECOND = 10
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


class Server:
    """A desk in a process of its own."""

    def __init__(self, port: int | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        began = time.perf_counter()
        command = [sys.executable, "-m", "curation.desk", f"--port={self.port}", f"--person={PERSON}"]
        environment = {**os.environ, "PYTHONPATH": str(harness.ROOT)}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{self.address}/static/desk.css").close()  # noqa: S310
                break
            time.sleep(0.02)
        self.seconds = time.perf_counter() - began

    @property
    def megabytes(self) -> float:
        """Its proportional set size."""
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text(encoding="utf-8")
        return int(re.search(r"^Pss: +(\d+)", rollup, re.MULTILINE)[1]) / 1000  # type: ignore[index]

    def kill(self) -> None:
        """As a power cut would, but for the disk."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@contextlib.contextmanager
def linked(clone: Path) -> Iterator[list[str]]:
    """Work in a repository with the clone's data and no decisions; gives the names of the classes."""
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("data/decisions").mkdir(parents=True)
        for path in (clone.resolve() / "data").iterdir():
            if path.name != "decisions":
                Path("data", path.name).symlink_to(path)
        shutil.copy(clone / "params.yaml", ".")
        subprocess.run(["git", "init", "--quiet"], check=True)
        yield sorted(IMAGES.read()["class_name"].dropna().unique())


def rows() -> list[tuple[str, str, str, str]]:
    """What is in the file: image_id, decision, value, why."""
    if not FILE.exists():
        return []
    with FILE.open(encoding="utf-8", newline="") as file:
        return [(row[0], row[1], row[2], row[4]) for row in csv.reader(file)][1:]


def press(page: Any, num_items: int, pause: float) -> tuple[list[tuple[str, str]], float]:
    """Press `k` or `d` and `1` in turn on items that are there; gives what the file should hold, and the seconds."""
    script, began = [], time.perf_counter()
    for number in range(num_items):
        page.wait_for_selector("[data-image-id]")
        image_id = page.get_attribute("[data-image-id]", "data-image-id")
        if number % 2:
            page.keyboard.press("d")
            page.keyboard.press("1")
        else:
            page.keyboard.press("k")
        script.append((image_id, "remove" if number % 2 else "relabel"))
        time.sleep(max(0.0, began + (number + 1) * pause - time.perf_counter()))
    while len(rows()) < num_items and time.perf_counter() < began + num_items * max(pause, 1.0) + 60:
        time.sleep(0.01)
    return script, time.perf_counter() - began


def in_browser(classes: list[str], num_items: int) -> list[tuple[object, ...]]:
    """Measure keys and pace, each from an empty file."""
    from playwright.sync_api import sync_playwright

    query = urllib.parse.urlencode([("class", name) for name in classes])
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))))
    measured: list[tuple[object, ...]] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, pause in ((f"{PRESSES_A_SECOND} a second", 1 / PRESSES_A_SECOND), ("as fast as it goes", 0.0)):
            FILE.unlink(missing_ok=True)
            server = Server()
            page = browser.new_page(viewport={"width": 1400, "height": 850})
            page.add_init_script(WATCH)
            page.goto(f"{server.address}/double-check?{query}")
            page.wait_for_timeout(1000)
            script, seconds = press(page, num_items, pause)
            taken = np.percentile(page.evaluate("taken"), [50, 95, 100])
            equal = [row[:2] for row in rows()] == script
            measured.append((name, num_items, *taken, round(3600 * num_items / seconds), "yes" if equal else "NO",
                             server.seconds, server.megabytes))  # fmt: skip
            page.close()
            server.kill()
        browser.close()
    return measured


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
    given = harness.options(__doc__, "clone", items=200, kills=50, batch=5000)
    with linked(given.clone) as classes:
        columns = ["keys", "items", "median ms", "95th percentile ms", "longest ms", "decisions an hour",
                   "file as the script", "start s", "server MB"]  # fmt: skip
        harness.print_table(columns, in_browser(classes, given.items))
        print()
        harness.print_table(["kill -9", "answered", "of them lost", "written twice"], [killed(classes, given.kills)])
        print()
        columns = ["pictures of a batch", "on the disk s", "taken back s", "taken back after a commit s"]
        harness.print_table(columns, [batch(given.batch)])


if __name__ == "__main__":
    main()
