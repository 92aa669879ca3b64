"""What is paid and what is gained: by hand, for a month, and nothing claimed that is not known."""

from datetime import UTC, datetime, timedelta

import pytest

from serving.usage import payers
from serving.usage.costs import Costs, People
from serving.usage.period import Period
from serving.usage.weighing import UNKNOWN, Share

NOW = datetime(2026, 11, 27, tzinfo=UTC)
QUARTER = Period("UTC", NOW - timedelta(days=91.3125), NOW)
COSTS = Costs.model_validate(
    {
        "monthly": [{"what": "node", "cost": 100}],
        "hours": [{"who": "engineer", "hours_per_week": 7, "cost_per_hour": 10}],
        "saved": {"minutes_per_answer": 3, "cost_per_hour": 20},
    }
)


def test_a_month_is_the_period_on_average():
    found = payers.amounts(COSTS, 9000, Share(0.9, 0.8, 0.95), QUARTER)
    assert found.shown == pytest.approx(3000)
    assert found.right == pytest.approx((2700, 2400, 2850))
    assert found.hours == pytest.approx((135, 120, 142.5))
    assert found.value == pytest.approx((2700, 2400, 2850))
    assert found.lines == [("node", None, 100), ("engineer", pytest.approx(30.4375), pytest.approx(304.375))]
    assert found.total == pytest.approx(404.375)


def test_a_period_shorter_than_a_month_stands_for_itself_and_is_no_month():
    found = payers.amounts(COSTS, 60, Share(0.9, 0.8, 0.95), Period("UTC", NOW - timedelta(days=3.04375), NOW))
    assert found.month_fraction == pytest.approx(0.1)
    assert found.shown == 60
    assert found.right == pytest.approx((54, 48, 57))
    assert found.lines == [
        ("node", None, pytest.approx(10)),
        ("engineer", pytest.approx(3.04375), pytest.approx(30.4375)),
    ]
    assert found.total == pytest.approx(40.4375)


def test_no_hours_are_claimed_where_nobody_judged_or_nobody_said_what_an_answer_saves():
    assert payers.amounts(COSTS, 9000, UNKNOWN, QUARTER).hours == UNKNOWN
    assert payers.amounts(Costs(), 9000, Share(0.9, 0.8, 1.0), QUARTER).hours == UNKNOWN


def test_people_have_the_interval_that_wilson_gives():
    found = payers.of_people(People(right=81, of=263, source="Wilson's interval in Newcombe 1998, table I"))
    assert found == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
