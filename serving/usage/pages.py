"""Fill the pages' templates; whatever is put into them stays text."""

from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import markupsafe
import pandas as pd

from review.markdown import visible
from serving.usage import curves

NOTHING = "\N{EN DASH}"
_SPACE = "\N{NO-BREAK SPACE}"
PAGES = {
    "index.html": "How often",
    "accuracy.html": "How right",
    "drift.html": "What changed",
    "costs.html": "Costs and use",
    "models.html": "Models",
}


def number(value: Any, digits: int = 0) -> str:
    """Write a number with commas; a dash for none."""
    return NOTHING if is_absent(value) else f"{value:,.{digits}f}".replace("-", "\N{MINUS SIGN}")


def percent(value: Any, digits: int = 1) -> str:
    """Write a fraction from 0 to 1 in per cent; a dash for none."""
    return NOTHING if is_absent(value) else f"{100 * value:.{digits}f}".replace("-", "\N{MINUS SIGN}") + f"{_SPACE}%"


def milliseconds(value: Any) -> str:
    """Write milliseconds, as seconds where they are many; a dash for none."""
    if is_absent(value):
        return NOTHING
    return f"{value / 1000:.1f}{_SPACE}s" if value >= 10_000 else f"{value:,.0f}{_SPACE}ms"


def day(value: Any, zone: str) -> str:
    """Write the day of a moment in a zone; a dash for none."""
    if is_absent(value):
        return NOTHING
    local = value.astimezone(ZoneInfo(zone))
    return f"{local.day} {local:%b %Y}"


def moment(value: Any, zone: str) -> str:
    """Write a moment by the clock of a zone; a dash for none."""
    if is_absent(value):
        return NOTHING
    local = pd.Timestamp(value).to_pydatetime().astimezone(ZoneInfo(zone))
    return f"{local:%a} {local.day} {local:%b %Y, %H:%M}"


def is_absent(value: Any) -> bool:
    """Say whether there is no value."""
    return bool(value is None or value is pd.NaT or value is pd.NA or value != value)


def fill(template: str, **contents: Any) -> str:
    """Fill a template.

    Args:
        template: its name in templates/.
        contents: what it shows.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).with_name("templates"), encoding="utf-8")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_shown,
    )  # fmt: skip
    environment.filters |= {
        "number": number, "percent": percent, "ms": milliseconds, "day": day, "moment": moment,
    }  # fmt: skip
    environment.tests["absent"] = is_absent
    return environment.get_template(template).render(**contents, curves=curves, pages=PAGES, page=template)


def day_label(value: date | datetime) -> str:
    """Write a day below a chart."""
    return f"{value.day}{_SPACE}{value:%b}"


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value
