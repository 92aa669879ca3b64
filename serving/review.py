"""Print the Markdown that a pull request needs: the gate, metrics, classes, parameters and decisions that changed.

    python -m serving.review --base main

Everything is read from Git: what a branch changed is what its commits say, and the working tree on top of them.

Reads: params.yaml, data/scores/metrics.json, data/scores/gate.json, data/class_counts.csv, data/decisions/, each now
    and where the branch left BASE; data/scores/figures.csv, data/base/metrics.json, now
"""

import argparse
import csv
import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from stages._command import run
from stages._errors import InputError, RepositoryError
from stages._repository import git, require_root
from stages.labels import decisions
from stages.tables.scores import BASE_METRICS, FIGURES, GATE, METRICS, SUMMARY
from stages.tables.splits import CLASS_COUNTS

PARAMS = "params.yaml"
COUNTED = ("real", "staged", "synthetic", "train", "validation", "test")
Flat = dict[str, Any]


def flatten(value: object, prefix: str = "") -> Flat:
    """Turn nested mappings into one with dotted names; anything else, lists too, is a value."""
    if not isinstance(value, Mapping):
        return {prefix: value}
    flat: Flat = {}
    for key, inner in value.items():
        flat |= flatten(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat


def changes(before: Flat, after: Flat) -> list[tuple[str, Any, Any]]:
    """List what differs: name, value before, value after, None for one that is not there; in the order of `after`."""
    names = [*after, *(name for name in before if name not in after)]
    return [(name, before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)]


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay rows out as a Markdown table; what a cell holds stays text, whatever characters it has."""
    lines = [headings, ["---"] * len(headings), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def gate_section(gate: Mapping[str, Any] | None) -> str:
    """Say the verdict and, of each rule, what it found."""
    if gate is None:
        return "## Gate\n\nNo verdict yet: `make repro` writes it."
    rows = [("yes" if rule["passed"] else "**no**", rule["set"], rule["metric"], rule["why"]) for rule in gate["rules"]]
    return f"## Gate: {gate['verdict']}\n\n" + table(("passed", "set", "metric", "why"), rows)


def metrics_section(before: Flat, after: Flat) -> str:
    """Show the metrics that changed, with their change; the names of those that did not are counted."""
    rows = []
    for name, old, new in changes(before, after):
        both = isinstance(old, int | float) and isinstance(new, int | float)
        rows.append((name, old, new, f"{new - old:+.6g}" if both else "-"))
    same = len(set(before) | set(after)) - len(rows)
    return _section("Metrics", ("metric", "before", "after", "change"), rows, f"{same} metrics are unchanged.")


def causes_section(base: Mapping[str, Any] | None, figures: Sequence[Mapping[str, str]]) -> str:
    """Part what the pictures did to the test set's figures from what the model did; the metrics above mix the two.

    Args:
        base: metrics.json of the base, on the pictures of its own time; None where it is not here.
        figures: rows of figures.csv: the base and the new model on the pictures of now.
    """
    of_test = {row["model"]: row for row in figures if row["set"] == "test"}
    if "base" not in of_test:
        return ""
    lines = {
        "old model on old pictures": (base or {}).get("test", {}),
        "old model on new pictures": of_test["base"],
        "new model on new pictures": of_test["new"],
    }
    rows = [(line, *(_figure(values.get(name)) for name in SUMMARY)) for line, values in lines.items()]
    note = "The first step is what the pictures did, the second what the model did."
    if base is None:
        note += f" The first line is in {BASE_METRICS}, which is not here: `dvc pull {BASE_METRICS}`."
    return f"## What the pictures did, and what the model did\n\n{table(('test set', *SUMMARY), rows)}\n\n{note}"


def counts_section(before: Sequence[Mapping[str, str]], after: Sequence[Mapping[str, str]]) -> str:
    """Show the classes that came, went or changed their counts."""
    old, new = ({row["class_name"]: row for row in rows} for rows in (before, after))
    rows = []
    for name in sorted(old.keys() | new.keys()):
        was, is_ = old.get(name, {}), new.get(name, {})
        if was != is_:
            counts = (_arrow(was.get(column, "0"), is_.get(column, "0")) for column in COUNTED)
            rows.append((name, _arrow(_state(was), _state(is_)), *counts))
    return _section("Classes", ("class", "state", *COUNTED), rows, f"{len(new)} classes in all.")


def decisions_section(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Count the decisions that were added, by person and kind.

    Args:
        before: a file's path to its text.
        after: likewise.
    """
    kinds = (*decisions.OF_ONE, *decisions.OF_TWO)
    rows = []
    for path in sorted(after):
        known = set(before.get(path, "").splitlines())
        added = [line for line in after[path].splitlines() if line and line not in known]
        said = [fields[1] for fields in csv.reader(added) if len(fields) > 1 and fields[1] in kinds]
        if said:
            rows.append((Path(path).stem, *(said.count(kind) or "" for kind in kinds)))
    return _section("Decisions added", ("person", *kinds), rows, "")


def _section(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], note: str) -> str:
    body = table(headings, rows) if rows else "No change."
    return "\n\n".join(part for part in (f"## {title}", body, note) if part)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
    return escaped if text.startswith("**") else escaped.replace("*", "\\*").replace("`", "\\`")


def _figure(value: object) -> float | None:
    return None if value in (None, "") else float(str(value))


def _arrow(old: str, new: str) -> str:
    return new if old == new else f"{old} → {new}"


def _state(row: Mapping[str, str]) -> str:
    return {"True": "in", "False": "out"}.get(row.get("included", ""), "-")


def _at(revision: str, path: str) -> str | None:
    try:
        return git("show", f"{revision}:{path}")
    except RepositoryError:
        return None  # the file did not exist then


def _now(path: str) -> str | None:
    return Path(path).read_text(encoding="utf-8") if Path(path).is_file() else None


def _left(base: str) -> str:
    try:
        commit = git("rev-parse", "--verify", "--quiet", f"{base}^{{commit}}").strip()
    except RepositoryError:
        raise InputError(f"there is no commit {base!r}: name a branch, a tag or a commit, as in BASE=main.") from None
    try:
        return git("merge-base", commit, "HEAD").strip()
    except RepositoryError:
        return commit  # a shallow clone does not know where the branch left


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m serving.review", description="Print a pull request's Markdown.")
    parser.add_argument("--base", default="main", help="what the branch is compared with")
    require_root()
    base = _left(parser.parse_args().base)

    metrics = [flatten(json.loads(text or "{}")) for text in (_at(base, METRICS), _now(METRICS))]
    params = [flatten(yaml.safe_load(text or "{}")) for text in (_at(base, PARAMS), _now(PARAMS))]
    counts = [list(csv.DictReader(io.StringIO(text or ""))) for text in (_at(base, CLASS_COUNTS), _now(CLASS_COUNTS))]
    listed = git("ls-tree", "--name-only", base, f"{decisions.FOLDER}/").splitlines()
    said_before = {path: _at(base, path) or "" for path in listed if path.endswith(".csv")}
    said_after = {str(path): path.read_text(encoding="utf-8") for path in Path(decisions.FOLDER).glob("*.csv")}

    gate, of_base = _now(GATE), _now(BASE_METRICS)
    figures = list(csv.DictReader(io.StringIO(_now(FIGURES) or "")))
    sections = (
        gate_section(json.loads(gate) if gate else None),
        metrics_section(*metrics),
        causes_section(json.loads(of_base) if of_base else None, figures),
        counts_section(*counts),
        decisions_section(said_before, said_after),
        _section("Parameters", ("parameter", "before", "after"), changes(*params), ""),
    )
    sys.stdout.write("\n\n".join(filter(None, sections)) + "\n")


if __name__ == "__main__":
    run(main)
