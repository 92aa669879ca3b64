"""Progress of long work: a bar on a terminal, a plain line every ten seconds in a log."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], total: int, what: str) -> Iterator[T]:
    """Yield `items` unchanged while showing how many of `total` have passed.

    Args:
        items: what is worked on.
        total: how many there will be.
        what: the unit, such as "pictures".
    """
    terminal = sys.stderr.isatty()
    bar = tqdm(
        items,
        total=total,
        unit=f" {what}",
        disable=None if terminal else False,
        mininterval=0.1 if terminal else 10.0,
        delay=0.5 if terminal else 10.0,
        bar_format=None if terminal else "{n_fmt} of {total_fmt}{unit} [{elapsed}<{remaining},{rate_fmt}]\n",
    )
    yield from bar
