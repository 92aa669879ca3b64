"""The page that says how often people ask, what they get, and whether that holds what was promised."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from serving.usage import curves
from serving.usage.costs import Costs
from serving.usage.duck import Row, Tables
from serving.usage.pages import day_label, percent

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUM_CLASSES = 40
PARTS = {
    "whole": "all of it, once the picture has arrived",
    "prepare": "decode, check and prepare the picture",
    "store": "keep the picture on the disk",
    "model": "the model",
    "arrival": "before that: the picture arrives over the user's network",
}
_LISTED = ("classes", "versions", "latency", "errors", "faults", "clients", "minutes")


def contents(tables: Tables, costs: Costs) -> dict[str, Any]:
    """Lay out the page.

    Args:
        tables: answers of usage.sql by name.
        costs: what data/costs.yaml holds.
    """
    return {
        "summary": tables["summary"][0],
        "level": tables["service_level"][0],
        "again": tables["again"][0],
        "capacity": costs.capacity_per_second,
        "days": days(tables["days"]),
        "reached": reached(tables["days"], costs.service_level.objective),
        "week": week(tables["hours"]),
        "confidences": confidences(tables["confidences"]),
        "num_classes": NUM_CLASSES,
        "parts": PARTS,
        **{name: tables[name] for name in _LISTED},
    }


def days(rows: Sequence[Row]) -> curves.Bars:
    """Draw the pictures of each day, and of these the answers that were shown."""
    labels = [day_label(row["day"]) for row in rows]
    words = [
        f"{label}: {row['pictures']:,} pictures, {row['shown']:,} of them shown an answer"
        for label, row in zip(labels, rows, strict=True)
    ]
    return curves.bars([row["pictures"] for row in rows], [row["shown"] for row in rows], labels, words)


def reached(rows: Sequence[Row], objective: float) -> curves.Line:
    """Draw what share of each day's pictures was answered in time, beside what was promised."""
    shares = [row["in_time"] / row["counted"] if row["counted"] else None for row in rows]
    labels = [day_label(row["day"]) for row in rows]
    words = [f"{label}: {percent(share)} answered in time" for label, share in zip(labels, shares, strict=True)]
    return curves.line(shares, labels, words, rule=objective, most=1.0)


def week(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Lay out the pictures per hour by weekday and hour.

    Returns:
        Of each weekday `name` and 24 `cells`, each with `per_hour` (None where the period has no such hour) and
        `shade`, from 0 to 1.
    """
    by_place = {(row["weekday"], row["hour"]): row["per_hour"] for row in rows}
    most = max((value for value in by_place.values() if value), default=1.0)

    def cell(weekday: int, hour: int) -> dict[str, float | None]:
        value = by_place.get((weekday, hour))
        return {"per_hour": value, "shade": (value or 0.0) / most}

    return [
        {"name": name, "cells": [cell(weekday, hour) for hour in range(24)]}
        for weekday, name in enumerate(WEEKDAYS, start=1)
    ]


def confidences(rows: Sequence[Row]) -> list[tuple[int, curves.Bars]]:
    """Draw how sure each version was; `rows` are in the order of versions."""
    return [(version, _confidences(list(each))) for version, each in groupby(rows, lambda row: int(row["version"]))]


def _confidences(rows: Sequence[Row]) -> curves.Bars:
    answers, shown = ({int(row["at_least"]): row[name] for row in rows} for name in ("answers", "shown"))
    lows = range(0, 100, 5)
    words = [
        f"confidence {low} to {low + 5}: {answers.get(low, 0):,} answers, {shown.get(low, 0):,} shown" for low in lows
    ]
    values, parts = ([found.get(low, 0) for low in lows] for found in (answers, shown))
    return curves.bars(values, parts, list(map(str, lows)), words)
