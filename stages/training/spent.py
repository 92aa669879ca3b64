"""What the time of an epoch is spent on: it says whether a device stands still, and what for."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")
WAITING, VALIDATION, CHECKPOINTS = "waiting for pictures", "validation", "checkpoints"


class Spent:
    """Seconds by what they are spent on; what is none of the three is steps."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._seconds: dict[str, float] = defaultdict(float)

    @property
    def total(self) -> float:
        """Seconds since this was made."""
        return time.perf_counter() - self._started

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Count the seconds of a block."""
        started = time.perf_counter()
        yield
        self._seconds[what] += time.perf_counter() - started

    def waiting_for(self, items: Iterable[T]) -> Iterator[T]:
        """Give the items, and count the seconds until each of them is there."""
        ahead = iter(items)
        while True:
            try:
                with self.on(WAITING):
                    item = next(ahead)
            except StopIteration:
                return
            yield item

    def describe(self, num_pictures: int) -> str:
        """Say in one line how many pictures a second these were, and which share of the time went where."""
        total = max(self.total, 1e-9)
        shares = {what: self._seconds[what] / total for what in (WAITING, VALIDATION, CHECKPOINTS)}
        parts = {"steps": 1 - sum(shares.values()), **shares}
        return f"{num_pictures / total:,.0f} pictures/s; " + ", ".join(f"{what} {x:.0%}" for what, x in parts.items())
