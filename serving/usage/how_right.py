"""The page that says how right the answers are, and what nobody has looked at."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from serving.usage import accuracy, curves
from serving.usage.duck import Row, Tables
from serving.usage.pages import day_label, percent

NUM_CLASSES = 40
_BY = {"version": "version", "confidence": "confidence", "week": "week from", "class": "class"}


def contents(
    tables: Tables, found: Sequence[Row], second: Sequence[Row], represented: float, num_unknown: int
) -> dict[str, Any]:
    """Lay out the page.

    Args:
        tables: answers of usage.sql by name.
        found: rows of accuracy.ACCURACY.
        second: rows of accuracy.SECOND.
        represented: how many answers those judged stand for.
        num_unknown: outcomes whose probability of having been drawn is not known.
    """
    overall = {row["measure"]: row for row in found if row["by"] == "all"}
    return {
        "told": overall.get(accuracy.TOLD),
        "silent": overall.get(accuracy.SILENT),
        "represented": represented,
        "num_unknown": num_unknown,
        "drawn": sum(row["drawn"] for row in overall.values()),
        "judged": sum(row["judged"] for row in overall.values()),
        "answers": sum(row["answers"] for row in overall.values()),
        "trend": trend([row for row in found if row["by"] == "week" and row["measure"] == accuracy.TOLD]),
        "groups": [(words, _of(found, name)) for name, words in _BY.items()],
        "num_classes": NUM_CLASSES,
        "num_unjudged_classes": _num_unjudged(found),
        "both": tables["both"],
        "second": second,
    }


def trend(rows: Sequence[Row]) -> curves.Line | None:
    """Draw the share of right answers by week; None where nothing was judged."""
    if all(row["fraction"] is None for row in rows):
        return None
    words = [f"week from {row['name']}: {percent(row['fraction'])} of {row['judged']} judged" for row in rows]
    bounds = [None if row["fraction"] is None else (row["low"], row["high"]) for row in rows]
    labels = [day_label(date.fromisoformat(row["name"])) for row in rows]
    return curves.line([row["fraction"] for row in rows], labels, words, bounds, most=1.0)


def _of(found: Sequence[Row], by: str) -> list[Row]:
    """Choose the groups of one kind: of classes those with most answers, of which something was judged."""
    rows = [row for row in found if row["by"] == by and row["measure"] == accuracy.TOLD]
    if by != "class":
        return rows
    judged = [row for row in rows if row["judged"]]
    return sorted(judged, key=lambda row: (-row["answers"], row["name"]))[:NUM_CLASSES]


def _num_unjudged(found: Sequence[Row]) -> int:
    return sum(row["by"] == "class" and row["measure"] == accuracy.TOLD and not row["judged"] for row in found)
