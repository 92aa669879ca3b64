"""A desk on a small prepared repository: pictures, the tables of a run, and a server as `make desk` starts it."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from axe_playwright_python.sync_playwright import Axe
from dvc.fs import localfs
from dvc.rwlock import rwlock
from PIL import Image
from repositories import ROOT, commit, run, surroundings, write

from stages.labels import decisions
from stages.labels.person_files import read_lines
from stages.tables import predictions
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS, SPLITS

COLOURS = [(200, 80, 40), (40, 120, 200), (60, 170, 90), (150, 90, 180)]


def _write_table(table, frame: pd.DataFrame) -> None:
    """Write a table of which a frame has some columns; the others are null."""
    table.write(frame.assign(**{name: None for name in table.schema.names if name not in frame}))


class World:
    """What a prepared repository holds.

    Attributes:
        sub_classes: names of the folders, as they were given.
        library: image_ids by folder.
        review: image_ids in the order of the review; each was taken for the next class.
        pairs: of duplicates: the first two pictures of each folder.
        unlabelled: image_ids in the order of their queue.
        out_of_scope: one picture of the benchmark, the last of the review.
    """

    def __init__(self, sub_classes: Sequence[str], num_pictures: int, unlabelled: Sequence[object], side: int):
        self.sub_classes, self.side, self._number = list(sub_classes), side, 0
        self._files: list[dict] = []
        self.library = {name: [self._draw(f"library/{name}/{n}.png", n_class) for n in range(num_pictures)]
                        for n_class, name in enumerate(sub_classes)}  # fmt: skip
        self.out_of_scope = self._draw("benchmarks/out_of_scope/1.png", 3)
        self.unlabelled = [self._draw(f"unlabelled/{name}.png", n) for n, name in enumerate(unlabelled)]
        self.pairs = [sorted(ids[:2]) for ids in self.library.values()]
        self.review = [ids[number] for number in range(2, num_pictures) for ids in self.library.values()]
        self.review.append(self.out_of_scope)
        self._write_tables()

    def class_of(self, sub_class: str) -> str:
        return "boots" if sub_class.startswith("boots") else sub_class

    def label_of(self, image_id: str) -> str | None:
        return next((name for name, ids in self.library.items() if image_id in ids), None)

    def _draw(self, path: str, number: int) -> str:
        self._number += 1
        noise = np.random.default_rng(self._number).integers(0, 40, (self.side, self.side, 3))
        pixels = np.clip(np.array(COLOURS[number % len(COLOURS)]) + noise - 20, 0, 255).astype(np.uint8)
        file, data = Path("data", path), BytesIO()
        Image.fromarray(pixels).save(data, "PNG")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data.getvalue())
        image_id = hashlib.md5(data.getvalue()).hexdigest()
        self._files.append({"path": path, "image_id": image_id, "bytes": file.stat().st_size, "width": self.side,
                            "height": self.side, "format": "PNG", "sharpness": 0.5, "chroma": 0.5})  # fmt: skip
        return image_id

    def _write_tables(self) -> None:
        files = pd.DataFrame(self._files)
        classes = sorted({self.class_of(name) for name in self.sub_classes})
        _write_table(FINGERPRINTS, files)
        labelled = files[~files["path"].str.startswith("unlabelled")].copy()
        labelled["sub_class"] = labelled["image_id"].map(self.label_of)
        labelled["class_name"] = labelled["sub_class"].map(self.class_of, na_action="ignore")
        labelled["set"] = (
            labelled["path"].str.split("/").str[0].map({"library": "library", "benchmarks": "out_of_scope"})
        )
        labelled = labelled.assign(origin="real", group=labelled["image_id"])
        _write_table(IMAGES, labelled)
        pairs = [{"image_a": a, "image_b": b, "kind": "near", "distance": 3, "similarity": 0.97, "turn": "none",
                  "keep": b, "label_conflict": False} for a, b in self.pairs]  # fmt: skip
        DUPLICATES.write(pd.DataFrame(pairs, columns=DUPLICATES.schema.names))
        truth = labelled.set_index("image_id")["class_name"]
        number = {name: index for index, name in enumerate(classes)}
        best = [(number.get(truth[image_id], 0) + 1) % len(classes) for image_id in labelled["image_id"]]
        scores = np.full((len(best), len(classes)), 0.01, np.float32)
        scores[np.arange(len(best)), best] = 1 - 0.01 * (len(classes) - 1)
        rows = labelled[["image_id"]].assign(truth=truth.reindex(labelled["image_id"]).to_numpy(), split="test")
        rows = rows.assign(predicted=[classes[each] for each in best], confidence=100.0 * scores.max(axis=1))
        order = rows.reset_index(drop=True).sort_values(["split", "image_id"])
        _write_table(predictions.ROWS, order)
        np.save(predictions.SCORES, scores[order.index])
        np.save(predictions.EMBEDDINGS, scores[order.index].astype(np.float16))
        write(predictions.CLASSES, json.dumps(classes))
        split = labelled["set"].replace({"library": "test"})
        split = split.mask((labelled.index % 2 == 1) & (split == "test"), "validation")
        SPLITS.write(labelled[["image_id", "class_name"]].assign(split=split))
        review = order.set_index("image_id").loc[self.review].reset_index()
        review = review.assign(rank=range(1, len(review) + 1), reason="wrong_and_confident")
        _write_table(REVIEW, review.merge(files[["image_id", "path"]], on="image_id"))
        guessed = files[files["path"].str.startswith("unlabelled")][["image_id", "path"]]
        columns = {f"class_{n + 1}": classes[n % len(classes)] for n in range(min(3, len(classes)))}
        guessed = guessed.assign(**columns, confidence_1=np.linspace(99, 50, len(guessed)), confidence_2=1.0,
                                 confidence_3=0.5, high=True, low=False, wanted=False, look_alike=False, novel=False,
                                 distance=0.1, distance_to_any=0.1)  # fmt: skip
        _write_table(IDENTIFIED, guessed)
        embedded = files.drop_duplicates("image_id").sort_values("image_id", ignore_index=True)
        EMBEDDED.write(embedded[["image_id"]])
        vectors = np.random.default_rng(0).normal(0, 0.1, (len(embedded), len(classes) + 1))
        rows = np.arange(len(embedded))
        vectors[rows, [number.get(truth.get(each), len(classes)) for each in embedded["image_id"]]] += 1
        np.save(EMBEDDINGS, vectors.astype(np.float16))
        counts = pd.DataFrame({"class_name": classes, "included": True, "real": 12})
        write(CLASS_COUNTS, counts.reindex(columns=COUNT_COLUMNS, fill_value=0).to_csv(index=False))


@contextmanager
def prepared(
    folder: Path,
    sub_classes: Sequence[str] = ("boots", "boots_tall", "hat", "shirt"),
    num_pictures: int = 6,
    num_unlabelled: int = 6,
    side: int = 48,
    unlabelled: Sequence[str] = (),
) -> Iterator[World]:
    """Make a repository in `folder/clone`, and work in it; unlabelled files have numbers for names, or those given."""
    clone = folder / "clone"
    clone.mkdir(parents=True)
    with surroundings(clone):
        run("git", "init", "--quiet", "--initial-branch=main")
        run("git", "config", "user.email", "ana@example.org")
        run("git", "config", "user.name", "Ana")
        shutil.copy(ROOT / "params.yaml", clone)
        shutil.copy(ROOT / ".gitattributes", clone)
        tracked = ("decisions", "outcomes", "nominations", "blind", "classes.yaml", "standards.md")
        write(
            ".gitignore",
            "\n".join(["/.dvc/tmp", "/build", "/data/*", *(f"!/data/{each}" for each in tracked), "*.partial\n"]),
        )
        merged = [name for name in sub_classes if name.startswith("boots")]
        write("data/classes.yaml", f"merge:\n  boots: {json.dumps(merged)}\n" if merged else "")
        write("data/decisions/.gitkeep", "")
        world = World(sub_classes, num_pictures, unlabelled or range(num_unlabelled), side)
        commit("A library")
        yield world


class Server:
    """`make desk` in another process, in the working directory."""

    def __init__(self, *options: str, port: int | None = None):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = port or free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "curation.desk", f"--port={self.port}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.communicate()[0])
            try:
                urllib.request.urlopen(f"{self.address}/static/desk.css", timeout=5).close()  # noqa: S310
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.05)
        raise RuntimeError("the desk does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            self.process.communicate()


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Hold what DVC holds while it runs the stage that writes a file or folder."""
    lists = Path(".dvc/tmp")
    lists.mkdir(parents=True, exist_ok=True)
    with rwlock(str(lists), localfs, "dvc repro", [], [str(Path(path).resolve())], False):
        yield


def said(person: str = "ana") -> list[tuple[str, str, str]]:
    """The rows of a person's file, in its order: image_id, decision, value."""
    path = Path(decisions.FOLDER, f"{person}.csv")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [tuple(fields[:3]) for _, fields in read_lines(text, str(path), decisions.COLUMNS)][1:]


def whys(person: str = "ana") -> list[str]:
    """What the rows of a person's file give as reasons, without the ids of actions."""
    text = Path(decisions.FOLDER, f"{person}.csv").read_text(encoding="utf-8")
    return [
        re.sub(r"; (act|bulk):[0-9a-f]{12}$", "", fields[4]) for _, fields in read_lines(text, "", decisions.COLUMNS)
    ][1:]


def forget() -> None:
    """Take every person's decisions away."""
    for path in Path(decisions.FOLDER).glob("*.csv"):
        path.unlink()


def begin_again(commit: str = "") -> None:
    """Make the repository as it was in a commit, by default the first; a desk that runs notices."""
    forget()
    run("git", "reset", "--quiet", "--hard", commit or run("git", "rev-list", "--max-parents=0", "HEAD").strip())


@contextmanager
def served(tab, *options: str) -> Iterator[Server]:
    """A desk that ends when the tab shows none of its pages any more, which would ask for it."""
    with Server(*options) as server:
        yield server
        tab.goto("about:blank")


@contextmanager
def watched(browser) -> Iterator:
    """A tab in which nothing may go wrong."""
    context = browser.new_context(viewport={"width": 1400, "height": 850})
    page = context.new_page()
    page.problems = problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: message.type == "error" and problems.append(message.text))
    yield page
    context.close()
    assert problems == []


def go(tab, server, path):
    tab.goto(server.address + path)
    tab.wait_for_selector("html[data-ready]", state="attached")


def press(tab, *keys):
    """Press keys one by one."""
    for key in keys:
        tab.keyboard.press(key)


def close_help(tab) -> None:
    """Leave the list of keys: the browser closes it when it has the time, and till then keys are typed there."""
    tab.keyboard.press("Escape")
    tab.wait_for_function("!document.querySelector('#help').matches(':popover-open')")
    tab.evaluate("document.activeElement.blur()")


def press_on_items(tab, *keys):
    """Press keys one by one, each on an item that is there."""
    for key in keys:
        tab.wait_for_selector("[data-image-id]")
        tab.keyboard.press(key)


def asked(tab) -> list[str]:
    """What the desk says before it writes a batch."""
    tab.wait_for_selector("#ask[open]")
    return tab.eval_on_selector_all("#ask li", "nodes => nodes.map(each => each.textContent)")


def require_readable(page) -> None:
    """Everybody can read the page: nothing that axe finds, nothing cut or scrolled sideways, no number on two lines."""
    results = Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    lines = """all => all.filter((each) => {
        const text = document.createRange();
        text.selectNodeContents(each);
        return new Set([...text.getClientRects()].map(({ top }) => top)).size > 1;
    }).map(each => each.textContent)"""
    assert page.eval_on_selector_all(".number", lines) == []
    assert page.evaluate(
        """[...document.querySelectorAll("figcaption")].every((each) =>
        each.getBoundingClientRect().bottom <= each.parentElement.getBoundingClientRect().bottom + 1)"""
    )


def shown(tab) -> list[str]:
    return tab.eval_on_selector_all("[data-image-id]", "nodes => nodes.map(each => each.dataset.imageId)")


def settled(tab, num_rows):
    """Wait until so many rows are on the disk and nothing is on its way."""
    for _ in range(200):
        if len(said()) == num_rows:
            return
        tab.wait_for_timeout(25)
    assert len(said()) == num_rows, said()
