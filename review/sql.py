"""Open DuckDB with every table, the decisions and classes.yaml as views, or print the answer to one question.

    python -m review.sql [--query "select ..."]

Views read the files when they are asked: after `dvc repro` in another terminal they show what it wrote. Decisions and
classes.yaml are those of when the command began, read as the stages read them. Nothing that is asked can change a file,
but for `copy ... to`.

Reads: every table, data/decisions/, data/classes.yaml, data/confused.csv
Writes: .dvc/tmp/retrain/views.sql, which opens them in any DuckDB: `.read .dvc/tmp/retrain/views.sql`;
    .dvc/tmp/retrain/decisions.parquet, every person's
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.command import run
from runtime.outputs import whole
from stages.labels import classes, confused, decisions
from stages.labels.labelling import list_sub_classes
from stages.tables import conflicts, disputes, scores
from stages.tables.alike import ALIKE
from stages.tables.candidates import CANDIDATES
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.predictions import ROWS
from stages.tables.review import REVIEW
from stages.tables.shards import INDEX
from stages.tables.splits import CLASS_COUNTS, SPLITS
from stages.tables.table import Table

log = logging.getLogger(__name__)

VIEWS = ".dvc/tmp/retrain/views.sql"
DECISIONS = ".dvc/tmp/retrain/decisions.parquet"
TABLES: dict[str, Table] = {
    "fingerprints": FINGERPRINTS,
    "duplicates": DUPLICATES,
    "alike": ALIKE,
    "images": IMAGES,
    "splits": SPLITS,
    "shards": INDEX,
    "lineage": LINEAGE,
    "predictions": ROWS,
    "review": REVIEW,
    "identified": IDENTIFIED,
    "candidates": CANDIDATES,
    "embeddings": EMBEDDED,
}
# Of each report, the columns that are text whatever stands in them: a class may be called 007.
REPORTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "counts": (CLASS_COUNTS, ("class_name", "why_out")),
    "conflicts": (conflicts.PATH, ("kind", "picture", "other", "image_id", "path", "class_name", "decide")),
    "disputes": (disputes.PATH, ("image_id", "other", "person", "decision", "value")),
    "confused": (confused.PATH, ("truth", "predicted")),
    "confused_pairs": (scores.CONFUSED_PAIRS, ("set", "truth", "predicted")),
    "per_class": (scores.PER_CLASS, ("set", "class_name", "missed_as", "wrong_guesses_of")),
    "benchmarks": (scores.BENCHMARKS, ("benchmark", "requirement")),
    "threshold_report": (scores.THRESHOLD_REPORT, ("set",)),
    "figures": (scores.FIGURES, ("model", "set")),
    "calibration": (scores.CALIBRATION_REPORT, ("set", "confidence")),
    "confidences": (scores.CONFIDENCES, ("model", "set", "confidence")),
    "against_base": (scores.AGAINST_BASE, ("set", "class_name")),
}


def of_table(path: str) -> str:
    """Write the query that reads a Parquet file."""
    return f"from read_parquet({_quoted(path)})"


def of_report(path: str, texts: Iterable[str]) -> str:
    """Write the query that reads a CSV file.

    Args:
        path: of the file.
        texts: columns that are text whatever stands in them; DuckDB infers the types of the others.
    """
    types = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in texts)
    return f"from read_csv({_quoted(path)}, header = true, types = {{{types}}})"


def write_decisions(said: Iterable[decisions.Decision], path: str) -> None:
    """Write every person's decisions as a Parquet file, the columns of their files after the person's name."""
    columns = ("person", *decisions.COLUMNS)
    # Times are UTC: a zone would have DuckDB show them in the machine's.
    rows = [
        {name: getattr(decision, name) for name in columns} | {"on": decision.on.replace(tzinfo=None)}
        for decision in said
    ]
    schema = pa.schema([(name, pa.timestamp("ms") if name == "on" else pa.string()) for name in columns])
    with whole(path) as partial:
        pq.write_table(pa.Table.from_pylist(rows, schema), partial)


def of_merges(merges: classes.Classes) -> str:
    """Write the query that gives one row per sub-class: `sub_class`, `class_name` (null: unknown) and `origin`."""
    rows = ", ".join(
        f"({_quoted(name)}, {'null' if class_name is None else _quoted(class_name)}, {_quoted(merges.origins[name])})"
        for name, class_name in merges.class_names.items()
    )
    return f"from (values {rows}) as merges(sub_class, class_name, origin)"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def views() -> dict[str, str]:
    """Write the query of each view whose file is there; the others are passed over with a line."""
    queries = {name: of_table(table.path) for name, table in TABLES.items() if Path(table.path).exists()}
    queries |= {name: of_report(*report) for name, report in REPORTS.items() if Path(report[0]).exists()}
    renamed: dict[str, str] = {}
    sub_classes = list_sub_classes(FINGERPRINTS.read()["path"]) if "fingerprints" in queries else []
    if sub_classes:
        class_table = classes.read_classes(classes.PATH, sub_classes)
        queries["merges"], renamed = of_merges(class_table), class_table.renamed
    if said := decisions.read_decisions(decisions.FOLDER, None, renamed=renamed):
        write_decisions(said, DECISIONS)
        queries["decisions"] = of_table(DECISIONS)
    absent = {*TABLES, *REPORTS, "decisions", "merges"} - queries.keys()
    if absent:
        log.info("sql: not there yet, `make repro` or a decision writes them: %s", ", ".join(sorted(absent)))
    return queries


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m review.sql", description="Query the tables.")
    parser.add_argument("--query", default="", help="answer this, and end")
    query = parser.parse_args().query
    queries = views()

    with whole(VIEWS) as partial:
        lines = (f"create view {name} as {text};\n" for name, text in sorted(queries.items()))
        partial.write_text("".join(lines), encoding="utf-8")

    command = [sys.executable, "-m", "duckdb_cli", "-cmd", f".read {VIEWS}"]
    if not query:
        log.info("sql: %s. `describe images;` shows columns, `.help` more, `.quit` ends.", ", ".join(sorted(queries)))
    sys.stderr.flush()
    os.execv(sys.executable, [*command, *(["-c", query] if query else [])])  # noqa: S606


if __name__ == "__main__":
    run(main)
