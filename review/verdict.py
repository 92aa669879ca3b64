"""What was judged: the gate's verdict, and the new model against the base, as sections of Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from review.markdown import MOST_ROWS, Markup, table
from stages.models.base import BASE_METRICS
from stages.tables.scores import ALL_SETS, HELD_OUT, SUMMARY

CAUSED = (*SUMMARY, "num_classes", "balanced_accuracy")  # the figures whose causes are parted
CHANCE = 0.05  # below: a difference that is rarely chance
_HIGHER_IS_BETTER = {"accuracy": True, "balanced_accuracy": True, "coverage": True, "weighted_log_loss": False}
Row = Mapping[str, str]


def gate_section(gate: Mapping[str, Any] | None) -> str:
    """Say the verdict and the reason of each rule, those that failed first."""
    if gate is None:
        return "## Gate\n\nNo verdict yet: `make repro` writes it."
    rules = sorted(gate["rules"], key=lambda rule: rule["passed"])
    rows = [(_passed(rule), rule["set"], rule["metric"], rule["why"]) for rule in rules]
    failed = sum(not rule["passed"] for rule in rules)
    summary = f"{failed} of {len(rules)} rules failed." if failed else f"All {len(rules)} rules passed."
    return f"## Gate: {gate['verdict']}\n\n{summary}\n\n" + table(("passed", "set", "metric", "why"), rows)


def base_section(compared: Sequence[Row]) -> str:
    """Show wins, losses and differences of the new model against the base, by set, and the classes that differ.

    Args:
        compared: rows of against_base.csv; none without a base.
    """
    if not compared:
        return "## New against base\n\nThere is no base to compare with."
    sets = [row for row in compared if not row["class_name"] and row["set"] not in ("train", ALL_SETS)]
    counts = ("set", "pictures", "classes", "wins", "losses", "McNemar's p")
    headings = (*counts, "accuracy", "balanced accuracy", "coverage", "weighted log loss")
    rows = [_compared(row) for row in sets if row["num_pictures"] not in ("", "0")]
    differ = [row for row in compared if row["class_name"] and float(row["adjusted_p"] or 1) < CHANCE]
    parts = ["## New against base", "On the same pictures; new minus base, with 95 % intervals.", table(headings, rows)]
    if differ:
        cells = [(row["class_name"], row["set"], row["wins"], row["losses"], row["adjusted_p"]) for row in differ]
        parts += [table(("class that differs", "set", "wins", "losses", "adjusted p"), cells[:MOST_ROWS])]
        parts += [f"And {len(differ) - MOST_ROWS} more classes."] if len(differ) > MOST_ROWS else []
    else:
        parts += [f"No class differs by more than chance (adjusted p below {CHANCE})."]
    return "\n\n".join(parts)


def causes_section(base: Mapping[str, Any] | None, figures: Sequence[Row]) -> str:
    """Part what the pictures did to the held-out pictures' figures from what the model did; the metrics mix the two.

    Args:
        base: metrics.json of the base, on the pictures of its own time; None where it is not here.
        figures: rows of figures.csv: the base and the new model on the pictures of now.
    """
    held_out = {row["model"]: row for row in figures if row["set"] == HELD_OUT}
    if not {"base", "new"} <= held_out.keys():
        return ""
    lines = {
        "old model on old pictures": (base or {}).get(HELD_OUT, {}),
        "old model on new pictures": held_out["base"],
        "new model on new pictures": held_out["new"],
    }
    rows = [(line, *(_figure(values.get(name)) for name in CAUSED)) for line, values in lines.items()]
    note = "The first step is what the pictures did, the second what the model did."
    if base is None:
        note += f" The first line is in {BASE_METRICS}, which is not here: `dvc pull {BASE_METRICS}`."
    headings = ("held-out pictures", *CAUSED)
    return f"## What the pictures did, and what the model did\n\n{table(headings, rows)}\n\n{note}"


def _passed(rule: Mapping[str, Any]) -> Markup:
    return Markup("yes" if rule["passed"] else "**no**")


def _compared(row: Row) -> tuple[object, ...]:
    higher = dict(_HIGHER_IS_BETTER)
    if not row["accuracy_difference"]:  # of a set out of scope nothing should be shown
        higher["coverage"] = False
    differences = (_difference(row, name, better) for name, better in higher.items())
    counts = (row[name] for name in ("set", "num_pictures", "num_classes", "wins", "losses"))
    return *counts, _figure(row["mcnemar_p"]), *differences


def _difference(row: Row, name: str, higher_is_better: bool) -> Markup | None:
    values = [_figure(row[f"{name}_difference{end}"]) for end in ("", "_low", "_high")]
    difference, low, high = (value or 0.0 for value in values)
    if values[0] is None:
        return None
    if difference == low == high == 0:
        return Markup("0")
    interval = f"{difference:+.4f} ({low:+.4f} to {high:+.4f})"
    if None in values or low <= 0 <= high:
        return Markup(interval)
    return Markup(f"**{'better' if (difference > 0) == higher_is_better else 'worse'}** {interval}")


def _figure(value: object) -> float | None:
    return None if value in (None, "") else float(str(value))
