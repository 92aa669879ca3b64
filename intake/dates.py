"""Refuse decisions of a day that has not come: until that day they would count more than any other.

    python -m intake.dates

The present is no input of a stage, which must write the same tomorrow; so commands ask, before they start a run.

Reads: data/decisions/
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from runtime.command import run
from runtime.errors import InstructionError
from stages.labels import decisions

ALLOWANCE = timedelta(days=1)  # clocks differ, and people write local times


def require_past(said: Iterable[decisions.Decision], now: datetime) -> None:
    """Refuse decisions of a later day.

    Args:
        said: decisions.
        now: with a time zone.

    Raises:
        InstructionError: one is more than ALLOWANCE ahead.
    """
    for decision in said:
        if decision.on > now + ALLOWANCE:
            raise InstructionError(
                f"{decisions.FOLDER}/{decision.person}.csv, line {decision.line}: {decision.on:%Y-%m-%dT%H:%M:%SZ} "
                f"has not come, it is {now:%Y-%m-%dT%H:%M:%SZ}. Correct the time, or this machine's clock."
            )


def main() -> None:
    """Run the command."""
    require_past(decisions.read_decisions(decisions.FOLDER, None), datetime.now(UTC))


if __name__ == "__main__":
    run(main)
