"""What a branch changed: metrics, classes, decisions and parameters, as sections of Markdown."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from review.markdown import folded, section, table
from runtime.wording import counted, listed
from stages.labels import decisions
from stages.labels.person_files import read_lines

COUNTED = ("real", "staged", "synthetic", "train", "validation", "test")
# How the reason of each row ends that one key of the desk wrote for several pictures.
_BATCH = re.compile(r"; bulk:([0-9a-f]{12})$")
Flat = dict[str, Any]
Row = Mapping[str, str]


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


def metrics_section(before: Flat, after: Flat) -> str:
    """Show the metrics that changed, with their change; the names of those that did not are counted."""
    rows = []
    for name, old, new in changes(before, after):
        both = isinstance(old, int | float) and isinstance(new, int | float)
        rows.append((name, old, new, f"{new - old:+.6g}" if both else "-"))
    same = len(set(before) | set(after)) - len(rows)
    body = section("Metrics", ("metric", "before", "after", "change"), rows, f"{same} metrics are unchanged.")
    return folded(body) if rows else body


def counts_section(before: Sequence[Row], after: Sequence[Row]) -> str:
    """Show the classes that came, went or changed their counts: those first, then the largest changes."""
    old, new = ({row["class_name"]: row for row in rows} for rows in (before, after))
    rows = []
    for name in sorted(old.keys() | new.keys()):
        was, is_ = ({"state": _state(row), **_counts(row)} for row in (old.get(name, {}), new.get(name, {})))
        if was != is_:
            moved = max(abs(int(is_[column]) - int(was[column])) for column in COUNTED)
            cells = [was[key] if was[key] == is_[key] else f"{was[key]} → {is_[key]}" for key in was]
            rows.append((was["state"] == is_["state"], -moved, (name, *cells)))
    ordered = [cells for _, _, cells in sorted(rows)]
    return section("Classes", ("class", "state", *COUNTED), ordered, f"{len(new)} classes in all.")


def decisions_section(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Count the decisions that were added, by person and kind, and list them.

    Args:
        before: a file's path to its text.
        after: the same, after the change.
    """
    kinds = (*decisions.OF_ONE, *decisions.OF_TWO)
    counts, rows = [], []
    for path in sorted(after):
        known = {tuple(fields) for _, fields in read_lines(before.get(path, ""), path, decisions.COLUMNS)}
        lines = [fields for _, fields in read_lines(after[path], path, decisions.COLUMNS) if tuple(fields) not in known]
        added = [fields for fields in lines if len(fields) == len(decisions.COLUMNS) and fields[1] in kinds]
        if added:
            said = [fields[1] for fields in added]
            counts.append((Path(path).stem, *(said.count(kind) or "" for kind in kinds)))
            rows += [(Path(path).stem, *line) for line in _with_batches_as_one(added)]
    if not rows:
        return section("Decisions added", (), ())
    listed = section("Each decision", ("person", "decision", "image_id", "value", "why"), rows)
    return f"## Decisions added\n\n{table(('person', *kinds), counts)}\n\n{folded(listed)}"


def _with_batches_as_one(added: Sequence[Sequence[str]]) -> list[tuple[str, str, str, str]]:
    """Give decision, picture, value and reason of each row; a batch of the desk is one, with what its rows share."""
    batches: dict[tuple[str, str], list[Sequence[str]]] = {}
    for number, fields in enumerate(added):
        found = _BATCH.search(fields[4])
        batches.setdefault((found[1] if found else str(number), fields[1]), []).append(fields)
    return [_line(rows) for rows in batches.values()]


def _line(rows: Sequence[Sequence[str]]) -> tuple[str, str, str, str]:
    image_id, kind, value, _, why = rows[0]
    if len(rows) == 1:
        return kind, image_id, value, why
    shared = set.intersection(*(set(row[4].split("; ")) for row in rows))
    values = Counter(row[2] for row in rows if row[2])
    named = listed([f"{name} ({number})" for name, number in values.most_common()])
    return kind, counted(len(rows), "picture"), named, "; ".join(part for part in why.split("; ") if part in shared)


def params_section(before: Flat, after: Flat) -> str:
    """Show the parameters that changed."""
    return section("Parameters", ("parameter", "before", "after"), changes(before, after))


def _counts(row: Row) -> dict[str, str]:
    return {column: row.get(column, "0") for column in COUNTED}


def _state(row: Row) -> str:
    return {"True": "in", "False": "out"}.get(row.get("included", ""), "-")
