"""The period that a report is about, in the zone of the site."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo


class Period(NamedTuple):
    """From a midnight of the zone to a moment.

    Attributes:
        zone: name of the time zone.
        since: the first moment, in UTC.
        until: the first moment after it, in UTC.
    """

    zone: str
    since: datetime
    until: datetime

    @property
    def num_days(self) -> float:
        """How long it is."""
        return (self.until - self.since) / timedelta(days=1)


def midnight(moment: datetime, zone: str) -> datetime:
    """Give the beginning of a moment's day in a zone; in UTC, since a day may have 23 or 25 hours.

    Where clocks are turned at midnight so that there is none, it is the first moment of that day.
    """
    local = moment.astimezone(ZoneInfo(zone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0, fold=0).astimezone(UTC)


def last_days(days: int, zone: str, now: datetime) -> Period:
    """Give the last days: today as far as it has come, and whole days before."""
    today = now.astimezone(ZoneInfo(zone)).replace(hour=12, minute=0, second=0, microsecond=0)
    return Period(zone, midnight(today - timedelta(days=days - 1), zone), now.astimezone(UTC))


def from_first(period: Period, first: datetime | None) -> Period:
    """Let a period begin with the day of the first transaction: before that, nobody could ask."""
    return period if first is None else period._replace(since=max(period.since, midnight(first, period.zone)))
