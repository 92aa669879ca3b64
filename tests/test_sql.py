import csv
import io
import os
import re
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
from conftest import ROOT

from review.sql import REPORTS, TABLES, VIEWS
from stages.tables import conflicts
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.predictions import ROWS
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS
from stages.tables.table import Table

pytestmark = pytest.mark.slow

A, B = "a" * 32, "b" * 32
QUESTIONS = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/guide/outputs.md").read_text(), re.DOTALL)


def ask(query):
    """What `make sql QUERY=...` prints, and what it says beside it."""
    command = [sys.executable, "-m", "review.sql", "--query", query]
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=os.environ | {"PYTHONPATH": str(ROOT)})


def answer(query):
    """The rows of an answer, as any DuckDB gives them that reads the views."""
    command = [sys.executable, "-m", "duckdb_cli", "-csv", "-nullvalue", "", "-cmd", f".read {VIEWS}", "-c", query]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    return list(csv.reader(io.StringIO(done.stdout)))[1:]


def write(table, rows):
    """Write the columns that matter; the others are null."""
    table.write(pd.DataFrame(rows).reindex(columns=table.schema.names).astype(object))


@pytest.fixture
def tables(workspace):
    files = [("a", "library/dress/1.jpg"), ("b", "library/dress_kids/2.jpg"), ("c", "library/007/3.jpg")]
    write(FINGERPRINTS, [{"path": path, "image_id": image_id} for image_id, path in files])
    Path("data/classes.yaml").write_text("merge:\n  dress: [dress, dress_kids]\norigin:\n  unknown: ['007']\n")
    write(IMAGES, [{"path": path, "image_id": image_id, "sub_class": path.split("/")[1],
                    "class_name": "dress"} for image_id, path in files])  # fmt: skip
    write(DUPLICATES, [
        {"image_a": "a", "image_b": "c", "kind": "near", "distance": 3, "label_conflict": True},
        {"image_a": "a", "image_b": "b", "kind": "near", "distance": 1, "label_conflict": False},
    ])  # fmt: skip
    write(ROWS, [{"image_id": image_id, "split": "test", "truth": "dress", "predicted": predicted}
                 for image_id, predicted in (("a", "dress"), ("b", "hat"))])  # fmt: skip
    found = (("x", True, False), ("y", False, False), ("z", False, True))
    write(IDENTIFIED, [{"image_id": name, "path": name, "class_1": "007", "high": high, "low": low, "wanted": True}
                       for name, high, low in found])  # fmt: skip
    conflict = ["same pixels", "a", "", "a", "library/dress/1.jpg", "dress", "a,keep,"]
    pd.DataFrame([conflict], columns=conflicts.COLUMNS).to_csv(conflicts.PATH, index=False)
    counts = pd.DataFrame([{"class_name": "007", "included": True, "real": 12}]).reindex(columns=COUNT_COLUMNS)
    counts.to_csv(CLASS_COUNTS, index=False)
    Path("data/decisions/ann.csv").write_text(
        "image_id,decision,value,on,why\n"
        f'{A.upper()},keep,,2026-11-02T09:15:00.250Z,"good, sharp",,\n\nimage_id,decision,value,on,why\n'
        f"{B},relabel,007,2026-11-03T00:00:00.000Z,copied\u2028from a page\n"
    )
    Path("data/decisions/bob.csv").write_text("image_id,decision,value,on,why\n")


def test_every_table_and_report_is_a_view():
    modules = [import_module(f"stages.tables.{path.stem}") for path in (ROOT / "stages/tables").glob("[a-z]*.py")]
    values = [value for module in modules for value in vars(module).values()]
    tables = {table.path for table in values if isinstance(table, Table)}
    reports = {path for path in values if isinstance(path, str) and re.fullmatch(r"data/\S+\.csv", path)}
    assert tables == {table.path for table in TABLES.values()}
    # What a plot draws stands in a report too.
    assert {path for path in reports if "/plot_" not in path} <= {path for path, _ in REPORTS.values()}


def test_the_questions_of_the_guide_are_answered(tables):
    assert ask("from counts").returncode == 0
    assert [answer(question) for question in QUESTIONS] == [
        [["dress", "dress_kids", "1", "1.0"], ["dress", "dress", "1", "0.0"]],
        [["same pixels", "library/dress/1.jpg", "dress", "a,keep,"]],
        [["007", "12", "1", "2"]],
    ]


def test_decisions_and_classes_are_tables_too(tables):
    ask("from counts")
    query = 'select person, image_id, value, month("on"), why from decisions order by "on"'
    assert answer(query) == [
        ["ann", A, "", "11", "good, sharp"],
        ["ann", B, "007", "11", "copied\u2028from a page"],
    ]
    assert answer("from merges order by sub_class") == [
        ["007", "", "unknown"], ["dress", "dress", "real"], ["dress_kids", "dress", "real"]
    ]  # fmt: skip


def test_what_is_not_there_is_passed_over_with_a_line(tables):
    done = ask("select 42 as answer")
    assert "42" in done.stdout
    assert re.search("not there yet, .*: .*benchmarks.*review.*splits", done.stderr)


def test_an_empty_workspace_has_no_view_but_confused(workspace):
    shutil.rmtree("data/embeddings")
    done = ask("select view_name from duckdb_views() where not internal")
    assert "confused" in done.stdout
    assert ", ".join(sorted({*TABLES, *REPORTS, "decisions", "merges"} - {"confused"})) in done.stderr


def test_a_query_that_cannot_be_answered_fails(tables):
    done = ask("select nothing")
    assert done.returncode == 1
    assert "nothing" in done.stderr


def test_without_a_query_questions_are_read_from_the_terminal(tables):
    command = [sys.executable, "-m", "review.sql"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, input="select 6 * 7;", capture_output=True, encoding="utf-8", env=environment)
    assert "42" in done.stdout
    assert "sql: conflicts, confused, counts, decisions, duplicates, " in done.stderr
