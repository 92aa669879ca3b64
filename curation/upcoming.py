"""What comes next on a page with a queue: its open items, those that a person left for later last."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from curation.ledger import Ledger
from curation.pages.classes import Classes
from curation.pages.double_check import DoubleCheck
from curation.pages.duplicates import Duplicates
from curation.pages.label import Label
from curation.pages.page import Queue
from curation.pages.second_look import SecondLook
from curation.repeats import num_to_come
from curation.state import Desk

LATER = " "  # the key
REPEATED = (DoubleCheck.name, Label.name)  # pages of which a person is asked some pictures again


def open_keys(desk: Desk, person: str, page: Queue, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Go through the open items of a page that are a person's to decide, in their order.

    A class that was asked for, to be looked at as a whole, is not parted; nor are second looks: whose picture it is by
    the hash may have nominated it.

    Args:
        desk: its state.
        person: who looks.
        page: with the queue.
        query: what the queue is filtered by.
    """
    if isinstance(page, Classes) or (isinstance(page, DoubleCheck) and query.get("class")):
        return page.keys(desk.snapshot, desk.ledger, query)
    if isinstance(page, SecondLook):
        return page.keys(desk.snapshot, ledger_of(desk, person, page), query)
    keys = page.keys(desk.snapshot, ledger_of(desk, person, page), query)
    return (key for key in keys if desk.parting.is_for(person, key))


def listed(desk: Desk, person: str, page: Queue) -> list[str]:
    """List what is open on a page, once for all pages that are shown before somebody says something."""
    return desk.ledger.remembered(
        f"open {page.name} {person}", desk.snapshot, lambda: list(open_keys(desk, person, page, {}))
    )


def num_left(desk: Desk, person: str, page: Queue, query: Mapping[str, Sequence[str]]) -> int:
    """Count what a person is still to be asked on a page: what is open, and where some is asked again, that too.

    Args:
        desk: its state.
        person: who looks.
        page: with the queue.
        query: what the queue is filtered by.
    """

    def counted() -> int:
        number = sum(1 for _ in open_keys(desk, person, page, query)) if query else len(listed(desk, person, page))
        if page.name not in REPEATED or query.get("class"):
            return number
        return number + num_to_come(desk.file(person).said, page.name, desk.repeats, desk.ledger, number)

    if query:
        return counted()
    return desk.ledger.remembered(f"left {page.name} {person}", desk.snapshot, counted)


def ledger_of(desk: Desk, person: str, page: Queue) -> Ledger:
    """Give the ledger that a page works with: of pictures that two people decide, without what the other one said.

    So each of the two gets those that the other has decided; of groups of duplicates, only where the two work in clones
    of their own.

    Args:
        desk: its state.
        person: who looks.
        page: with the queue.
    """
    if isinstance(page, SecondLook):
        return desk.ledger.seen_by(person)
    is_whole = isinstance(page, Classes | Duplicates)
    return desk.ledger if is_whole else desk.parting.view(desk.ledger, person)


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
    for key in open_keys(desk, person, page, query):
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
