"""Progress of long work: a bar on a terminal, a plain line every ten seconds in a log."""

import logging
import time
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, TypeVar

from tqdm import tqdm

from runtime.terminal import command_name, terminal

T = TypeVar("T")
# Seconds between lines of a log; work that ends sooner has none.
INTERVAL = 10.0
# Seconds before a bar appears.
DELAY = 0.5

log = logging.getLogger(__name__)


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `items` unchanged while showing how many of `total` have passed.

    Args:
        items: what is worked on.
        total: how many there will be.
        what: the unit, such as "pictures".
    """
    stream = terminal()
    if stream.isatty():
        layout = f"{command_name()}: {{n:,}} of {{total:,}} {what} {{bar:20}}{{estimate}}"
        yield from _Bar(items, total=total, file=stream, bar_format=layout, delay=DELAY, leave=False)
    else:
        yield from _logged(items, total, what)


def estimate(done: int, total: int, seconds: float) -> str:
    """Say how long the rest will take, or nothing while that cannot be known.

    Args:
        done: how many have passed.
        total: how many there will be.
        seconds: how long those that have passed took.
    """
    if not done or seconds < 1:
        return ""
    left = round(seconds / done * (total - done))
    if left < 60:
        return f", {left} s left"
    return f", {left // 60} min left" if left < 3600 else f", {left // 3600} h {left % 3600 // 60} min left"


class _Bar(tqdm):  # type: ignore[type-arg]
    @property
    def format_dict(self) -> MutableMapping[str, Any]:
        state = super().format_dict
        state["estimate"] = estimate(state["n"], state["total"], state["elapsed"])
        return state


def _logged(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    start = due = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if now >= due + INTERVAL:
            left = estimate(number, total, now - start)
            log.info("%s: %s of %s %s%s", command_name(), f"{number:,}", f"{total:,}", what, left)
            due = now
        yield item
