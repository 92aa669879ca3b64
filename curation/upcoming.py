"""What comes next on a page with a queue: its open items, those that a person left for later last."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from curation.pages.page import Queue
from curation.state import Desk

LATER = " "  # the key


def upcoming(
    desk: Desk, person: str, page: Queue, query: Mapping[str, Sequence[str]], skipped: Collection[str] = ()
) -> Iterator[str]:
    """Go through the open items of a page: those that were left for later come last.

    Args:
        desk: its state.
        person: who looks.
        page: with the queue.
        query: what the queue is filtered by.
        skipped: items that are not wanted.
    """
    later = desk.later[person, page.name]
    waiting = set()
    for key in page.keys(desk.snapshot, desk.ledger, query):
        if key in skipped:
            continue
        if key in later:
            waiting.add(key)
        else:
            yield key
    yield from (key for key in later if key in waiting)


def leave_for_later(desk: Desk, person: str, page: Queue, keys: Sequence[str]) -> None:
    """Put items at the end of a page's queue, until the desk is started again."""
    later = desk.later[person, page.name]
    for key in keys:
        later.pop(key, None)
        later[key] = None  # the last to come back
