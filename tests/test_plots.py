"""The plots of dvc.yaml: each is drawn by Vega from tables of a few rows, and shows what it is there to show."""

import re
import shutil

import pytest
import yaml
from conftest import ROOT
from repositories import commit, run, surroundings, write

from review.plots import draw, main, specifications
from runtime.errors import RepositoryError
from stages.tables import scores
from stages.tables.splits import COUNT_COLUMNS

pytestmark = pytest.mark.slow

PLOTS = {name: plot for each in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"] for name, plot in each.items()}
CLASSES = [f"class_{number:02d}" for number in range(25)]
# Those of the last named have fewest pictures.
COUNTS = [(f"counted_{number}", True, "", 60 - number, *[60 - number] * 10) for number in range(50)]
HISTORY = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
# "odd" is out of scope: right answers and their risk mean nothing there.
TABLES = {
    "data/model/history.csv": (HISTORY, [(1, 2.2, 0.2, 2.0, 0.3, 0.01), (2, 1.5, 0.6, 1.9, 0.5, 0.01)]),
    scores.THRESHOLD_PLOT: (
        scores.THRESHOLD_PLOT_COLUMNS,
        [
            (name, threshold, 8, 0, right, 0.0, shown, risk, 95.0)
            for name, right, risk in (("train", 0.9, 0.1), ("test", 0.9, 0.1), ("odd", "", ""))
            for threshold, shown in ((50.0, 0.9), (95.0, 0.5), (99.9, 0.0))
        ],
    ),
    scores.RELIABILITY_PLOT: (
        scores.RELIABILITY_PLOT_COLUMNS,
        [("test", 95, 100, 63, 100, 8), ("test", 40, 0, 0, 90, 1)],
    ),
    scores.RECALL_PLOT: (
        scores.RECALL_PLOT_COLUMNS,
        [(place + 1, name, place / 30, 0.0, 1.0, 7) for place, name in enumerate(CLASSES)],
    ),
    scores.CONFUSED_PLOT: (scores.CONFUSED_PLOT_COLUMNS, [("a taken for <b>", 2), ("b taken for a", 1)]),
    "data/class_counts.csv": (COUNT_COLUMNS, COUNTS),
}


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository with the tables that the plots read."""
    folder = tmp_path_factory.mktemp("plots") / "clone"
    folder.mkdir()
    with surroundings(folder):
        shutil.copytree(ROOT / ".dvc/plots", ".dvc/plots")
        write(".dvc/config", "[core]\n    analytics = false\n")
        write("dvc.yaml", yaml.safe_dump({"plots": [{name: plot} for name, plot in PLOTS.items()]}))
        for path, (columns, rows) in TABLES.items():
            lines = [",".join(map(str, row)) for row in (columns, *rows)]
            write(path, "\n".join(lines) + "\n")
        run("git", "init", "--quiet")
        commit("Plots")
        yield folder


@pytest.fixture(scope="module")
def drawn(clone):
    """The words of each plot, in the order in which they are drawn."""
    return {name: re.findall(r">([^<>]+)</text>", draw(each)) for name, each in specifications().items()}


def test_the_page_shows_every_plot_of_two_models_without_a_network(clone, monkeypatch, browser):
    monkeypatch.setattr("sys.argv", ["plots", "--against", "HEAD"])
    main()
    page, asked = browser.new_page(), []
    page.context.set_offline(True)
    page.on("request", lambda request: asked.append(request.url))
    page.goto((clone / "build/plots.html").as_uri())
    shown = page.evaluate("[...document.images].filter(image => image.naturalWidth > 100).map(image => image.alt)")
    assert shown == sorted(name.replace("_", " ") for name in PLOTS)
    assert [url for url in asked if not url.startswith("data:")] == [(clone / "build/plots.html").as_uri()]


def test_a_plot_against_a_commit_has_both_models(clone):
    drawn = specifications("loss", against="HEAD")["loss"]
    assert {row["rev"] for row in drawn["data"]["values"]} == {"HEAD", "workspace"}


def test_a_commit_that_is_not_there_is_said(clone):
    with pytest.raises(RepositoryError, match="`dvc plots diff` failed: .*nowhere"):
        specifications(against="nowhere")


@pytest.mark.parametrize("damaged", [b"\xff\xfe", b"rank,class_name\n<<<<<<< HEAD\n1,x,0.5,9,9,9\n"])
def test_a_plot_whose_table_a_merge_or_a_disk_damaged_is_named_and_the_others_are_drawn(clone, caplog, damaged):
    path = clone / scores.RECALL_PLOT
    whole = path.read_bytes()
    path.write_bytes(damaged)
    try:
        assert set(specifications()) == set(PLOTS) - {"recall"}
    finally:
        path.write_bytes(whole)
    assert "plots: recall cannot be drawn: " in caplog.text


def test_every_plot_reads_columns_that_its_table_has():
    for name, plot in PLOTS.items():
        for path, columns in plot["y"].items():
            wanted = {plot["x"], *([columns] if isinstance(columns, str) else columns)}
            assert wanted <= set(TABLES[path][0]), name


def test_every_plot_is_drawn_with_its_title(drawn):
    assert set(drawn) == set(PLOTS)
    for name, plot in PLOTS.items():
        assert plot["title"] in drawn[name]


@pytest.mark.parametrize("name", [name for name in PLOTS if name.endswith("_over_threshold")])
def test_over_the_threshold_each_set_but_the_training_set_has_a_panel(drawn, name):
    assert "test" in drawn[name]
    assert "train" not in drawn[name]
    assert ("odd" in drawn[name]) == (name in ("false_positives_over_threshold", "coverage_over_threshold"))
    assert {"50", "95", "99.9"} <= set(drawn[name])


def test_of_many_classes_the_worst_twenty_are_named_worst_first(drawn):
    assert [word for word in drawn["recall"] if word in CLASSES] == CLASSES[:20]


def test_of_many_classes_the_forty_with_fewest_pictures_are_counted_fewest_first(drawn):
    fewest = [name for name, *_ in sorted(COUNTS, key=lambda row: (row[3], row[0]))][:40]
    assert len(COUNTS) > len(fewest)
    assert [word for word in drawn["class_counts"] if word.startswith("counted_")] == fewest


def test_pairs_stand_in_the_order_of_their_count_and_stay_text(drawn):
    pairs = [word for word in drawn["confused_pairs"] if "taken for" in word and "," not in word]
    assert pairs == ["a taken for &lt;b&gt;", "b taken for a"]


@pytest.mark.parametrize(("name", "marks"), [("confused_pairs", ["0", "1", "2"]), ("loss", ["1", "2"])])
def test_counts_are_marked_at_whole_numbers_and_each_once(drawn, name, marks):
    assert [word for word in drawn[name] if re.fullmatch(r"\d+", word)] == marks


def test_the_plot_in_the_guide_is_there():
    assert "](coverage.png)" in (ROOT / "docs/guide/review.md").read_text()
    assert (ROOT / "docs/guide/coverage.png").stat().st_size < 60_000
