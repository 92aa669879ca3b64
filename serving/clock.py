"""What time it is, and what is drawn by chance: of this machine, or made up where a past week is played."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple


class Clock(NamedTuple):
    """What a gateway writes down that is not in the picture.

    Attributes:
        now: the time, in UTC.
        random_bits: draws a number of so many bits, for identities.
    """

    now: Callable[[], datetime]
    random_bits: Callable[[int], int]


MACHINE = Clock(lambda: datetime.now(UTC), secrets.randbits)
