"""`make demo` on a small clone: a real gateway, harvest, outcomes and pages; and only build/demo changes."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import ROOT
from desks import Server
from exports import CLASSES, write_export
from gateways import rows_of
from PIL import Image
from repositories import commit, run, surroundings, write

from serving.outcomes import drawing_of
from serving.transaction_id import time_of
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow

NUM_PER_CLASS, MISLABELLED = 8, 5  # of each class; one of these is of another class than the model says
NUM_VISITS = 70
# What a team has already, and a demo must not touch.
REAL = {
    "data/outcomes/ana.csv": "transaction,image_id,outcome,value,on,why\n",
    "build/gateway/log.db": "a real log",
    "build/harvest/transactions.parquet": "a real harvest",
    "build/usage/index.html": "a real report",
    "data/costs.yaml": "zone: Europe/Zurich\n",
}


def draw(path: str, colour: tuple[int, int, int], seed: int) -> str:
    """Draw a picture of a colour; gives its image_id."""
    noise = np.random.default_rng(seed).integers(-5, 6, (64, 80, 3))
    file = Path("data", path)
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)).save(file)
    return f"{seed:032x}"


def colour_of(place: int, number: int) -> tuple[int, ...]:
    """Give a class's colour, paler for each picture: so one sees of each what it is."""
    return tuple(230 if channel == 2 - place else 20 + 10 * number for channel in range(3))


def truth_of(path: Path) -> str:
    """Say of a picture that was sent, as it is or blurred, of which class it is."""
    means = np.asarray(Image.open(path).convert("RGB"), float).mean(axis=(0, 1))
    place = 2 - int(means.argmax())
    number = round((np.delete(means, 2 - place).mean() - 20) / 10)
    return class_of(place, number)


def class_of(place: int, number: int) -> str:
    return CLASSES[(place + (number == MISLABELLED)) % 3]


def write_table(table, frame: pd.DataFrame) -> None:
    table.write(frame.assign(**{name: None for name in table.schema.names if name not in frame}))


def write_clone() -> None:
    """Write what `make repro` leaves, as far as the demo reads it, and commit."""
    for name in ("params.yaml", "data/advice.yaml", "data/classes.yaml"):
        write(name, (ROOT / name).read_text() if name != "data/classes.yaml" else "")
    rows = []
    for place, name in enumerate(CLASSES):
        for number in range(NUM_PER_CLASS):
            path = f"library/{name}/{number}.png"
            image_id = draw(path, colour_of(place, number), 100 * place + number)
            rows.append((image_id, path, class_of(place, number), "library", "test"))
    for number in range(3):
        path = f"benchmarks/out_of_scope/{number}.png"
        rows.append((draw(path, (200, 200, 190), 900 + number), path, None, "out_of_scope", "out_of_scope"))
    frame = pd.DataFrame(rows, columns=["image_id", "path", "class_name", "set", "split"])
    write_table(IMAGES, frame.drop(columns="split").sort_values(["image_id", "path"]))
    write_table(SPLITS, frame[["image_id", "class_name", "split"]].sort_values(["split", "image_id"]))
    write_export(Path("data/export"), version=1, threshold=90.0, sharpness=0.03)
    for path, text in REAL.items():
        write(path, text)
    write(".gitignore", "/build/\n/data/export\n/data/*.parquet\n/data/library\n/data/benchmarks\n")
    run("git", "init", "--quiet", "--initial-branch=main")
    commit("A clone")


def demo(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the demo in the working directory."""
    command = [sys.executable, "-m", "serving.demo", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")


def outside() -> dict[str, bytes]:
    """Every file of the clone but those of the demo."""
    files = (path for path in Path().rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if not path.is_relative_to("build/demo")}


class Shown:
    """What a demo left, read before the next one replaces it."""

    def __init__(self) -> None:
        self.day = datetime.now(UTC).date()
        done = demo(f"--visits={NUM_VISITS}")
        assert done.returncode == 0, done.stderr
        self.words = done.stderr
        folder = Path("build/demo")
        self.files = {str(path.relative_to(folder)) for path in folder.rglob("*")}
        self.tables = {path.stem: pq.read_table(path).to_pandas() for path in folder.glob("usage/tables/*.parquet")}
        self.pages = {path.name: path.read_text() for path in folder.glob("usage/*.html")}
        shipped = sorted(folder.glob("made_up/day=*/*.parquet"))
        self.rows = pd.concat([pq.read_table(path).to_pandas() for path in shipped]).sort_values("transaction_id")
        self.harvest = pq.read_table(folder / "build/harvest/transactions.parquet").to_pandas()
        self.outcomes = pd.read_csv(folder / "data/outcomes/reviewer.csv", keep_default_na=False)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    with surroundings(tmp_path_factory.mktemp("demo")):
        write_clone()
        yield Path.cwd()


@pytest.fixture(scope="module")
def shown(clone):
    before, status = outside(), run("git", "status", "--porcelain")
    made = Shown()
    assert outside() == before
    assert run("git", "status", "--porcelain") == status == ""
    return made


def test_the_model_that_answers_has_a_card_that_says_that_it_is_made_up(shown):
    assert "models/model-001.md" in {name.removeprefix("usage/") for name in shown.files}
    assert "nobody has promoted this model here" in shown.pages["models.html"]


def number(pattern: str, words: str) -> float:
    return float(re.search(pattern, words)[1].replace(",", ""))


def test_it_leaves_a_log_pictures_a_harvest_outcomes_and_pages(shown):
    assert {"index.html", "accuracy.html", "drift.html", "costs.html", "models.html"} <= shown.pages.keys()
    assert len(shown.harvest) >= len(shown.outcomes) > 20
    assert set(shown.outcomes["transaction"]) < set(shown.harvest["transaction_id"])
    drawn = shown.harvest.set_index("transaction_id")["review_probability"]
    for row in shown.outcomes.itertuples():  # as the desk writes it, so that every clone can count it
        assert drawing_of(row.why).probability == drawn[row.transaction]
    for row in shown.harvest.itertuples():
        assert f"build/harvest/pictures/{row.image_id}" in shown.files
        assert f"made_up/pictures/day={row.received_at:%Y-%m-%d}/{row.replica}/{row.image_id}" in shown.files
    assert rows_of(Path("build/demo/gateway")) == []  # all of it was shipped


def test_the_week_is_the_one_before_today_and_every_identity_says_its_time(shown):
    received = shown.rows["received_at"]
    today = pd.Timestamp(shown.day, tz="UTC")
    assert today - timedelta(days=7) <= received.min() < received.max() < today
    assert received.dt.date.nunique() == 7
    assert list(received) == [pd.Timestamp(time_of(each)) for each in shown.rows["transaction_id"]]
    said = shown.rows.dropna(subset="feedback")
    assert len(said)
    assert ((said["feedback_at"] - said["received_at"]).dt.total_seconds().between(1, 1000)).all()


def test_visitors_are_many_and_their_pictures_of_every_kind(shown):
    assert len(shown.rows) >= NUM_VISITS
    assert set(shown.rows["status"]) == {"answered", "refused"}
    assert shown.rows["client"].nunique() > 2
    assert shown.rows["user_hash"].nunique() > 10
    faults = ", ".join(shown.rows["faults"].dropna())
    assert "dark" in faults
    assert {"right", "wrong", "bad_picture"} <= set(shown.outcomes["outcome"])


def test_what_the_pages_and_the_words_say_is_what_sql_says_of_the_log(shown):
    query = (
        "select count(*) as sent, count(*) filter (status = 'answered') as looked_at, count(*) filter (shown) as shown "
        "from 'build/demo/made_up/day=*/*.parquet'"
    )
    asked = run(sys.executable, "-m", "duckdb_cli", "-json", "-c", query)
    (counts,) = json.loads(asked)
    tiles = re.sub(r"\s+", " ", re.sub("<[^>]+>", "", shown.pages["index.html"]).replace("\N{NO-BREAK SPACE}", " "))
    share = 100 * counts["shown"] / counts["looked_at"]
    for words, picture in ((tiles, r"pictures were sent"), (shown.words, r"pictures were sent")):
        assert number(rf"([\d,]+) {picture}", words) == counts["sent"] == len(shown.rows)
    assert number(r"([\d,]+) of them the model looked at", tiles) == counts["looked_at"]
    assert number(r"([\d,]+) were looked at", shown.words) == counts["looked_at"]
    assert number(r"([\d.]+) % of these were shown an answer", tiles) == pytest.approx(share, abs=0.05)
    assert number(r"([\d.]+)% of these were shown an answer", shown.words) == pytest.approx(share, abs=0.05)


def test_the_truth_beside_the_estimate_is_that_of_all_answers_and_is_called_by_its_name(shown):
    line = re.search(r"^demo: right of what was shown: .*$", shown.words, re.MULTILINE)[0]
    low, high, true = (float(each) for each in re.search(r"\((.+)% to (.+)%\).*all is ([\d.]+)%", line).groups())
    assert line.endswith("holds" if low <= true <= high else "misses, as one in twenty does")
    told = shown.rows[shown.rows["shown"].eq(True)]
    pictures = Path("build/demo/made_up/pictures")
    found = [pictures / f"day={row.received_at:%Y-%m-%d}/{row.replica}/{row.image_id}" for row in told.itertuples()]
    right = [name == truth_of(path) for name, path in zip(told["class_1"], found, strict=True)]
    assert true == round(100 * np.mean(right), 1) < 100
    judged = shown.outcomes.set_index("transaction")["outcome"]
    known = dict(zip(told["transaction_id"], right, strict=True))
    assert {name: outcome == "right" for name, outcome in judged.items() if name in known}.items() <= known.items()


def test_a_second_run_gives_the_same_figures_and_replaces_its_own_folder(shown):
    Path("build/demo/stray").touch()
    again = Shown()
    if again.day != shown.day:
        pytest.skip("midnight passed between the two runs: another week")
    told = ["transaction_id", "image_id", "received_at", "status", "class_1", "confidence_1", "shown", "feedback"]
    pd.testing.assert_frame_equal(again.rows[told].reset_index(drop=True), shown.rows[told].reset_index(drop=True))
    drawn = ["transaction_id", "review_probability"]
    pd.testing.assert_frame_equal(again.harvest[drawn], shown.harvest[drawn])
    pd.testing.assert_frame_equal(again.outcomes.drop(columns="on"), shown.outcomes.drop(columns="on"))
    pd.testing.assert_frame_equal(again.tables["accuracy"], shown.tables["accuracy"])
    figures = re.compile(r"^demo: (?:[\d,]+ pictures|right|rightly).*$", re.MULTILINE)
    assert figures.findall(again.words) == figures.findall(shown.words)
    assert len(figures.findall(shown.words)) == 3
    assert "stray" not in again.files


def test_the_desk_shows_what_the_reviewer_has_left_by_the_command_that_was_printed(shown, monkeypatch):
    place, module = re.search(r"^  cd (\S+) && PYTHONPATH=\.\./\.\. \S+ -m (\S+)$", shown.words, re.MULTILINE).groups()
    assert module == "curation.desk"
    num_left = number(r"judge (\d+) answers", shown.words)
    assert num_left == len(shown.harvest) - len(shown.outcomes) > 0
    monkeypatch.chdir(place)
    with Server() as server:
        page = run("curl", "--silent", "--fail", f"{server.address}/production")
        image_id = re.search(r'data-image-id="([0-9a-f]{32})"', page)[1]
    left = shown.harvest[~shown.harvest["transaction_id"].isin(shown.outcomes["transaction"])]
    assert image_id in set(left["image_id"])
    assert f"Production <span>{left['image_id'].nunique()}</span>" in page


def test_without_an_export_it_says_what_to_do_and_makes_nothing(tmp_path):
    with surroundings(tmp_path):
        write_clone()
        shutil.rmtree("data/export")
        before = outside()
        done = demo()
        assert (done.returncode, done.stdout) == (1, "")
        assert re.fullmatch(r"error: data/export holds no export\. `make repro` writes an export, .*\n", done.stderr)
        assert outside() == before
        assert not Path("build/demo").exists()


def test_without_pictures_it_says_what_brings_them(tmp_path):
    with surroundings(tmp_path):
        write_clone()
        shutil.rmtree("data/library")
        done = demo()
        assert done.returncode == 1
        assert "of the 24 held-out pictures that data/splits.parquet names, none is in data/." in done.stderr
        assert not Path("build/demo").exists()


def test_a_folder_that_is_no_demo_is_left_alone(tmp_path):
    with surroundings(tmp_path):
        write_clone()
        write("build/demo/notes.txt", "mine")
        done = demo(f"--visits={NUM_VISITS}")
        assert done.returncode == 1
        assert "build/demo is there and was not left by an earlier demo. Move it away" in done.stderr
        assert [path.name for path in Path("build/demo").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("given", ["19", "-1", "many"])
def test_fewer_visits_than_a_week_needs_are_refused(clone, given):
    done = demo(f"--visits={given}")
    assert done.returncode == 1
    assert f"error: '{given}' is not a whole number of at least 20 visits." in done.stderr
