"""Model cards: what the tag holds, what production says, and names that stay text."""

import csv
import io
import json
import re
from datetime import timedelta

import pytest
from conftest import ROOT
from repositories import commit, run, surroundings, write
from test_usage import NOW, asked, written
from test_usage_page import Text
from visitors import row_times, ship

from serving.usage import model_cards
from stages.tables import scores
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS

HOSTILE = "<b>cup</b> | `x` [a](javascript:b)"


def rows_of(columns, *rows) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="0")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository with one promoted model, another tag, and pages about three days."""
    folder = tmp_path_factory.mktemp("cards") / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet")
        write("params.yaml", re.sub(r"version: \d+", "version: 7", (ROOT / "params.yaml").read_text()))
        write(
            scores.METRICS,
            json.dumps(
                {
                    "held_out": {"num_pictures": 412, "top_1_accuracy": 0.9712},
                    "out_of_scope": {"num_pictures": 36, "false_positive_fraction": 0.0556},
                }
            ),
        )
        rule = {
            "set": HOSTILE,
            "metric": "num_errors",
            "bound": "at most 0",
            "figure": 1,
            "passed": False,
            "why": "1 is more",
        }
        write(scores.GATE, json.dumps({"verdict": "no", "rules": [rule]}))
        counts = {"included": "True", "train": 90, "train_real": 80, "train_staged": 10}
        out = {"class_name": "urn", "included": "False", "why_out": "too few"}
        write(
            CLASS_COUNTS, rows_of(COUNT_COLUMNS, counts | {"class_name": HOSTILE}, counts | {"class_name": "jug"}, out)
        )
        weak = {
            "set": "held_out",
            "class_name": HOSTILE,
            "support": 12,
            "num_missed": 3,
            "missed_as": "jug",
            "wrong_guesses_of": "",
        }
        write(scores.PER_CLASS, rows_of(scores.PER_CLASS_COLUMNS, weak))
        write("dvc.lock", "stages:\n  train:\n    outs:\n    - {path: data/model, size: 1234567}\n")
        commit("A model")
        run(
            "git",
            "tag",
            "--annotate",
            "model-007",
            "--message",
            f"model-007: the gate says no\n\nPromoted because: {HOSTILE}",
        )
        run("git", "tag", "model-new")
        moments = row_times(NOW - timedelta(days=3), 60, 40)
        written(folder, ship(asked(moments, shown=[True] * 30 + [False] * 10), folder / "place"))
    return folder


def test_a_card_says_what_its_tag_holds(clone):
    card = (clone / "out/models/model-007.md").read_text()
    said = Text(str(model_cards.as_html(card, "model-007"))).text
    for words in (
        "It names one of 2 classes in a photo. Users see the class from a confidence of 95 of 100",
        "Promoted because: <b>cup</b> | `x` [a](javascript:b)",
        "180 pictures: 160 real, 20 staged, 0 synthetic",
        "The model has 1.2 MB",
        "held out 412 97.1 %",
        "Of 36 pictures of other things, 5.6 % were shown an answer all the same",
        "which it does not know: urn",
    ):
        assert words in said, words
    assert re.search(r"weakest classes .* 12 3 jug", said, re.IGNORECASE)
    assert re.search(r"train\.network small", said)
    assert f"{HOSTILE}, num_errors: 1 is more" in said


def test_a_card_says_how_the_version_does_in_production(clone):
    card = (clone / "out/models/model-007.md").read_text()
    assert (
        "40 answers in the time of this report, 75.0\N{NO-BREAK SPACE}% of them shown. None was judged by people."
        in card
    )


def test_the_page_has_a_card_for_each_promoted_version_and_no_markup_of_others(clone):
    page = Text((clone / "out/models.html").read_text())
    assert "b" not in page.tags
    assert [link for link in page.links if link.startswith("models/")] == ["models/model-007.md"]
    assert not [link for link in page.links if "javascript" in link]


def test_every_promoted_version_has_a_card_however_many_there_are_the_newest_first(tmp_path):
    with surroundings(tmp_path):
        run("git", "init", "--quiet")
        write("a.txt", "a")
        commit("A model")
        for version in range(1, 16):
            run("git", "tag", f"model-{version:03d}")
        assert [tagged.version for tagged in model_cards.read_tagged()] == [*range(15, 0, -1)]


def test_without_tags_or_a_repository_the_page_says_what_makes_one(workspace):
    written(workspace, ship(asked([NOW - timedelta(hours=1)]), workspace / "place"))
    assert "make promote" in (workspace / "out/models.html").read_text()


@pytest.mark.parametrize(
    "files",
    [
        {"a.txt": "a"},
        {"params.yaml": "score: 95\ntrain: [1]\n", "dvc.lock": "stages: [train]\n"},
        {"params.yaml": "score: null\n", "dvc.lock": "stages: {train: {outs: [{path: data/model}]}}\n"},
        {"params.yaml": "- 1\n", "dvc.lock": "stages: null\n"},
    ],
)
def test_a_tag_that_holds_nothing_of_a_model_has_a_card_that_says_so(tmp_path, files):
    with surroundings(tmp_path):
        run("git", "init", "--quiet")
        for name, content in files.items():
            write(name, content)
        commit("Nothing")
        run("git", "tag", "model-001")
        [tagged] = model_cards.read_tagged()
    card = model_cards.card(tagged, {"versions": []}, [])
    assert "The tag holds no metrics." in card
    assert "The tag holds no parameters." in card
    assert "It gave no answer in the time of this report." in card
