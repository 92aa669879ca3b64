"""A decision of a day that has not come is refused by the commands that start a run or show one."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import ROOT

from intake import dates
from runtime.errors import InstructionError


def decide(on):
    text = f"image_id,decision,value,on,why\n{'a' * 32},remove,,{on:%Y-%m-%dT%H:%M:%S.000Z},\n"
    Path("data/decisions/ann.csv").write_text(text)


@pytest.mark.parametrize("ahead", [timedelta(days=-400), timedelta(0), timedelta(hours=23)])
def test_what_was_decided_and_what_another_clock_says_is_taken(workspace, ahead):
    decide(datetime.now(UTC) + ahead)
    dates.main()


def test_a_day_that_has_not_come_is_named(workspace):
    decide(datetime.now(UTC) + timedelta(hours=25))
    with pytest.raises(InstructionError, match=r"ann\.csv, line 2: .*Z has not come, it is .*Correct the time, or"):
        dates.main()


def test_make_repro_asks_before_it_runs_anything():
    recipe = (ROOT / "Makefile").read_text().partition("\nrepro:")[2].partition("\n\n")[0]
    assert recipe.index("intake.dates") < recipe.index("runtime.repro")
