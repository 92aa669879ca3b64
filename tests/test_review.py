import json
import subprocess

import pytest

from serving import review, summary
from stages._errors import InputError


def test_what_changed_is_listed_by_dotted_name():
    before, after = review.flatten({"a": {"b": 1, "c": [1]}}), review.flatten({"a": {"b": 2, "c": [1]}, "d": None})
    assert review.changes(before, after) == [("a.b", 1, 2)]
    assert review.changes(after, {}) == [("a.b", 2, None), ("a.c", [1], None)]


def test_a_cell_stays_text_whatever_it_holds():
    assert review.table(("name",), [("<script>|`*x*`",)]).splitlines()[2] == "| &lt;script>\\|\\`\\*x\\*\\` |"


def test_metrics_show_their_change_and_a_missing_one_a_dash():
    text = review.metrics_section({"test.a": 0.5, "test.b": 1.0, "c": None}, {"test.a": 0.75, "test.b": 1.0, "c": 2})
    assert "| test.a | 0.5 | 0.75 | +0.25 |" in text
    assert "| c | - | 2 | - |" in text
    assert "1 metrics are unchanged" in text


FIGURES = [
    {"model": model, "set": name, "num_pictures": "40", "top_1_accuracy": accuracy, "log_loss": ""}
    for name in ("train", "test")
    for model, accuracy in (("new", "0.95"), ("base", "0.9"))
]


def test_three_lines_part_what_the_pictures_did_from_what_the_model_did():
    text = review.causes_section({"test": {"num_pictures": 30, "top_1_accuracy": 0.925, "log_loss": None}}, FIGURES)
    assert text.splitlines()[4:7] == [
        "| old model on old pictures | 30 | 0.925 | - | - | - | - |",
        "| old model on new pictures | 40 | 0.9 | - | - | - | - |",
        "| new model on new pictures | 40 | 0.95 | - | - | - | - |",
    ]
    assert "dvc pull" not in text


def test_a_base_that_is_not_here_leaves_a_line_open_and_none_at_all_leaves_no_section():
    text = review.causes_section(None, FIGURES)
    assert "| old model on old pictures | - | - | - | - | - | - |" in text
    assert "`dvc pull data/base/metrics.json`" in text
    assert review.causes_section(None, [row for row in FIGURES if row["model"] == "new"]) == ""


def test_a_class_that_came_in_is_shown_with_its_counts():
    row = dict.fromkeys(review.COUNTED, "40") | {"class_name": "x", "included": "True"}
    out = row | {"included": "False", "train": "0"}
    text = review.counts_section([out], [row, row | {"class_name": "y"}])
    assert "| x | out → in | 40 | 40 | 40 | 0 → 40 | 40 | 40 |" in text
    assert "| y | - → in |" in text


def test_decisions_that_were_added_are_counted_by_person():
    line = "0" * 32 + ",remove,,2026-01-01T00:00:00.000Z,x"
    text = review.decisions_section(
        {"d/ann.csv": f"header\n{line}\n"}, {"d/ann.csv": f"header\n{line}\n{line[:-1]}y\n"}
    )
    assert "| ann |  | 1 |  |  |  |  |" in text


GATE = {"verdict": "no", "rules": [{"set": "hard", "metric": "coverage", "passed": False, "why": "0.1 is below 0.5"}]}


@pytest.fixture
def repository(workspace):
    (workspace / "data/scores").mkdir()
    for path, value in (("metrics", {"test": {"log_loss": 0.5, "auc": None}}), ("gate", GATE)):
        (workspace / f"data/scores/{path}.json").write_text(json.dumps(value))
    for command in (["init", "-qb", "main"], ["add", "."], ["commit", "-qm", "one"]):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *command], check=True)
    return workspace


def test_review_prints_what_the_branch_changed(repository, monkeypatch, capsys):
    path = repository / "params.yaml"
    path.write_text(path.read_text().replace("minimum: 40", "minimum: 35"))
    (repository / "data/scores/metrics.json").write_text(json.dumps({"test": {"log_loss": 0.25}}))
    monkeypatch.setattr("sys.argv", ["review", "--base", "main"])
    review.main()
    text = capsys.readouterr().out
    assert "## Gate: no" in text
    assert "| test.log_loss | 0.5 | 0.25 | -0.25 |" in text
    assert "| split.minimum | 40 | 35 |" in text
    assert "## Decisions added\n\nNo change." in text


def test_an_unknown_base_is_named(repository, monkeypatch):
    monkeypatch.setattr("sys.argv", ["review", "--base", "nowhere"])
    with pytest.raises(InputError, match="there is no commit 'nowhere': name a branch"):
        review.main()


def test_the_summary_shows_metrics_verdict_and_what_to_do(repository, capsys):
    summary.main()
    text = capsys.readouterr().out
    assert "Gate: no\n  FAILED  hard coverage: 0.1 is below 0.5" in text
    assert 'make promote REASON="..."' in text
    assert "git add --all && git commit -m 'Model 1'" in text  # after adoption git knows none of the reports yet
    assert "data/export/001/" in text
    assert "log_loss 0.5000" in " ".join(text.split())


def test_without_scores_the_summary_says_what_writes_them(workspace):
    with pytest.raises(InputError, match="`make repro` writes it"):
        summary.main()
