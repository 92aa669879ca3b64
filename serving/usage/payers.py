"""Two pages for those who pay: what it costs, what it does, how it stands beside people, one risk and one request."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from review.beside_people import BESIDE_PEOPLE, Beside
from review.wilson import interval
from serving.usage import accuracy
from serving.usage.costs import EXAMPLE, Costs, People
from serving.usage.duck import Row, Tables
from serving.usage.period import Period
from serving.usage.weighing import UNKNOWN, Share

DAYS_PER_MONTH = 365.25 / 12


class Amounts(NamedTuple):
    """What is paid and what is gained in a month, or in the days of the log where they are fewer.

    Attributes:
        days: how many those are.
        lines: what is paid for, hours where it is work (else None), and the cost.
        total: of all lines.
        shown: answers that users were shown.
        right: of these, how many are right.
        hours: that the right ones save; UNKNOWN where that is not known.
        value: of these hours.
    """

    days: float
    lines: list[tuple[str, float | None, float]]
    total: float
    shown: float
    right: Share
    hours: Share
    value: Share

    @property
    def month_fraction(self) -> float:
        """How much of a month the days are."""
        return self.days / DAYS_PER_MONTH


def amounts(costs: Costs, shown: int, told: Share, period: Period) -> Amounts:
    """Reckon a month, as the period was on average; of a shorter period, that period and no more.

    Args:
        costs: prices and hours.
        shown: answers that were shown in the period.
        told: what share of them is right.
        period: of which length.
    """
    days = min(period.num_days, DAYS_PER_MONTH)
    lines: list[tuple[str, float | None, float]] = [
        (each.what, None, each.cost * days / DAYS_PER_MONTH) for each in costs.monthly
    ]
    for work in costs.hours:
        hours = work.hours_per_week * days / 7
        lines.append((work.who, hours, hours * work.cost_per_hour))
    answers = shown * days / period.num_days
    right = _times(told, answers)
    hours_saved = _times(right, costs.saved.minutes_per_answer / 60) if costs.saved else UNKNOWN
    value = _times(hours_saved, costs.saved.cost_per_hour) if costs.saved else UNKNOWN
    return Amounts(days, lines, sum(cost for *_, cost in lines), answers, right, hours_saved, value)


def of_people(people: People) -> Share:
    """Say how often people are right, with an interval."""
    return Share(people.right / people.of, *interval(people.right, people.of))


def contents(
    costs: Costs, tables: Tables, found: Sequence[Row], period: Period, blind: Beside | None, version: int
) -> dict[str, Any]:
    """Lay out the pages.

    Args:
        costs: what data/costs.yaml holds.
        tables: answers of usage.sql by name.
        found: rows of accuracy.ACCURACY.
        period: that they are about.
        blind: how people and the model of this clone did in the blind test; None where there was none.
        version: of the predictions of this clone, which the blind test compares people with.
    """
    overall = next((row for row in found if row["by"] == "all" and row["measure"] == accuracy.TOLD), None)
    told = Share(overall["fraction"], overall["low"], overall["high"]) if overall else UNKNOWN
    summary = tables["summary"][0]
    return {
        "known": costs,
        "example": EXAMPLE.read_text(encoding="utf-8"),
        "amounts": amounts(costs, summary["shown"], told, period),
        "told": told,
        "judged": overall["judged"] if overall else 0,
        "people": of_people(costs.people) if costs.people else UNKNOWN,
        "blind": blind,
        "blind_version": version,
        "blind_other": blind.num_other_version(version) if blind else 0,
        "num_versions": len(tables["versions"]),
        "other_versions": [row["version"] for row in tables["versions"] if row["version"] != version],
        "blind_people": Share(blind.people.fraction, *blind.people.ends) if blind else UNKNOWN,
        "blind_model": Share(blind.model.fraction, *blind.model.ends) if blind else UNKNOWN,
        "summary": summary,
        "level": tables["service_level"][0],
        "median_ms": next((row["median_ms"] for row in tables["latency"] if row["part"] == BESIDE_PEOPLE), None),
    }


def _times(each: Share, factor: float) -> Share:
    return Share(*(None if value is None else value * factor for value in each))
