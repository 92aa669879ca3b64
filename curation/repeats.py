"""Hidden repeats: a small share of what a person decided is asked of them again, to tell how sure answers are.

Which picture, and when, follows from the person's decisions alone, so a restart changes nothing. The answer is a row as
any other, and its `why` says that it is one to a repeat. Where it is the same, what stands stays: no picture is asked
again of which another person has said something, whose answer would count less after it. Where it differs, it counts,
as the latest answer does everywhere, and the page of the people shows how often that was so.
"""

import math
from collections.abc import Iterator, Sequence
from hashlib import blake2b

from curation.actions import BATCH, PageRow, in_effect, noted, page_of
from curation.ledger import Ledger
from stages.labels.decisions import Decision

AGAIN = "asked again"
APART = 30  # decisions between an answer and its repeat: long enough to forget the picture


def marked(rows: Sequence[PageRow]) -> list[PageRow]:
    """Say of rows that they answer a repeat."""
    return [row._replace(why=noted(row.why, AGAIN)) for row in rows]


def is_repeat(decision: Decision) -> bool:
    """Say whether a decision answers a repeat."""
    return f"; {AGAIN}; " in decision.why


def due(said: Sequence[Decision], page: str, share: float, ledger: Ledger) -> Iterator[str]:
    """Go through the pictures of which one is to be asked again now, in the order in which they are tried.

    Args:
        said: the person's decisions, in the order of time.
        page: on which pictures are decided one by one.
        share: of the decisions that are repeated, from 0 to 1.
        ledger: what everybody said.

    Yields:
        image_ids; none where no repeat is due.
    """
    if not share:
        return
    of_page, since = _one_by_one(said, page)
    repeated = {each.image_id for each in of_page if is_repeat(each)}
    gap = math.ceil(1 / share)
    if since < gap:
        return
    # Not with each decision anew: what is held ready by a page stays the one that is due.
    num_looked_at = len(of_page) - since % gap - APART
    candidates = {each.image_id for each in of_page[: max(0, num_looked_at)]} - repeated
    for image_id in sorted(candidates, key=lambda each: _place(said[0].person, each)):
        if _is_alone(ledger, image_id, said[0].person):
            yield image_id


def num_to_come(said: Sequence[Decision], page: str, share: float, ledger: Ledger, num_open: int) -> int:
    """Count the repeats among what is left: so each answer lowers that by one, and no repeat is told by it.

    Args:
        said: the person's decisions, in the order of time.
        page: on which pictures are decided one by one.
        share: of the decisions that are repeated, from 0 to 1.
        ledger: what everybody said.
        num_open: pictures of the page that are open.
    """
    if not share:
        return 0
    of_page, since = _one_by_one(said, page)
    gap = math.ceil(1 / share)
    first = gap * (APART // gap + 1)  # decisions before the first repeat
    num_before = max(0, (gap if since < len(of_page) else first) - since)
    is_none_due = not num_before and next(due(said, page, share, ledger), None) is None
    return 0 if num_open < num_before or is_none_due else 1 + (num_open - num_before) // gap


def _one_by_one(said: Sequence[Decision], page: str) -> tuple[list[Decision], int]:
    """Give what a person decided one by one on a page, and how much of it after the last repeat."""
    of_page = [each for each in in_effect(said) if page_of(each.why) == page and not BATCH.search(each.why)]
    since = next((number for number, each in enumerate(reversed(of_page)) if is_repeat(each)), len(of_page))
    return of_page, since


def _is_alone(ledger: Ledger, image_id: str, person: str) -> bool:
    """Say whether the person's answer about a picture stands, and nobody else has said anything of it."""
    answers = [said for (subject, _), said in ledger.standing(image_id).items() if subject == (image_id, "")]
    return bool(answers) and all(set(said) == {person} for said in answers)


def _place(person: str, image_id: str) -> bytes:
    return blake2b(f"{person}\0{image_id}".encode(errors="surrogateescape"), digest_size=8).digest()
