"""What every page of the desk shows around its own: the queues, the pace, what was decided last."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from curation.actions import Entry, action_id, page_of, pictures_of
from curation.forms import new_action
from curation.pages.page import Queue, found, nominated, short
from curation.standards import Example
from curation.state import Desk
from curation.upcoming import num_left
from intake.nominations import Nomination
from review.blind_answers import BlindAnswer
from review.markdown import visible
from runtime.errors import RetrainError
from serving.outcomes import Outcome
from stages.labels.decisions import Decision

OTHERS = (
    ("standards", "Standards"),
    ("people", "People"),
    ("blind", "Blind test"),
)  # pages without a queue: address and title
_NUM_FIRST = 6  # pages with a queue that are listed before those; what came later is last, so that digits stay
LAST = 10  # actions that a page lists
_MOST_WORDED = 4  # rows of an action that are each put in words
_PACED = 60  # actions of which the pace is
_PAUSE_SECONDS = 60  # a longer time between two keys is a pause, which does not slow the pace
Said = Sequence[Entry]


def frame(desk: Desk, person: str, name: str, pages: Sequence[Queue]) -> dict[str, Any]:
    """Collect what every page shows around its own: queues with numbers, pace, the last ten decisions, notices.

    Args:
        desk: its state.
        person: whose decisions are written.
        name: of the page.
        pages: with a queue, in the order in which they are listed.
    """
    with desk.lock:
        queues = [(page, num_left(desk, person, page, {})) for page in pages]
        return {
            "places": _places(queues),
            "person": person,
            "name": name,
            "uncommitted": uncommitted(desk, person),
            "action": new_action(),
            **after(desk, person),
        }


def news(desk: Desk, person: str) -> dict[str, Any]:
    """Collect what a person is told beside what they asked for.

    Args:
        desk: its state.
        person: who is told.

    Returns:
        `notices`, of which each is told once; those of `now`, as long as they are so; and `run`, which differs when the
        tables do.
    """
    with desk.lock:
        desk.tables.current()
        notices = []
        for file in desk.files_of(person):
            notices += file.notices
            file.notices.clear()
        now = [*filter(None, (desk.tables.notice, desk.tables.harvest_notice))]
        if desk.parting.team and person not in desk.parting.team:
            now.append(f"Queues are parted among {', '.join(desk.parting.team)}: none of it is for {person}.")
        return {"notices": notices, "now": now, "run": desk.tables.run}


def uncommitted(desk: Desk, person: str) -> int:
    """Count a person's rows, of whichever file, that the last commit does not hold; git is asked."""
    return (
        desk.uncommitted(person)
        + desk.uncommitted_outcomes(person)
        + desk.uncommitted_nominations(person)
        + desk.uncommitted_blind(person)
        + desk.standards.waiting(person).num_lines
    )


def _places(queues: Sequence[tuple[Queue, int]]) -> list[dict[str, Any]]:
    """List the pages in their order: address, title, what is left (None: no queue), what to do where nothing is."""
    places = [
        {"path": page.name, "title": page.title, "left": left, "hint": getattr(page, "hint", "")}
        for page, left in queues
    ]
    rest = [{"path": path, "title": title, "left": None, "hint": ""} for path, title in OTHERS]
    return [*places[:_NUM_FIRST], *rest, *places[_NUM_FIRST:]]


def after(desk: Desk, person: str) -> dict[str, Any]:
    """Collect what changes with a key: the pace, what was decided today, the last ten, how many rows there are, news.

    No total is counted here, and git is not asked: how many rows wait for a commit follows from how many there are.

    An answer in the blind test is listed, so that it can be taken back, and counts as no decision.
    """
    with desk.lock:
        today = datetime.now(UTC).date()
        recent: list[Said] = []
        for rows in desk.latest(person):
            if len(recent) >= _PACED and rows[0].on.date() < today:
                break
            recent.append(rows)
        acts = [(rows[0].on, action_id(rows[0].why), in_short(desk, rows)) for rows in recent[:LAST]]
        examples: list[Example] = []
        with suppress(RetrainError):  # a damaged file of rules must not make a decision that is written look refused
            examples = desk.standards.by(person)
        acts += [(each.on, each.action, each.words) for each in examples[-LAST:]]
        times = [rows[0].on for rows in recent if not isinstance(rows[0], BlindAnswer)]
        return {
            "pace": pace(times[:_PACED]),
            "decided": sum(1 for time in times if time.date() == today),
            "rows": sum(len(file.said) for file in desk.files_of(person)) + len(examples),
            "last": [{"id": action, "text": visible(text)} for _, action, text in sorted(acts)[-LAST:]],
            **news(desk, person),
        }


def pace(times: Sequence[datetime]) -> int | None:
    """Say how many actions an hour these are, pauses left out; None where there are too few."""
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(set(times)))]
    working = [gap for gap in gaps if gap <= _PAUSE_SECONDS]
    return round(3600 * len(working) / sum(working)) if len(working) >= 5 and sum(working) > 0 else None


def in_short(desk: Desk, rows: Said) -> str:
    """Say what the rows of an action decide, in a few words."""
    labels = desk.snapshot.images["sub_class"]
    few = rows if len(rows) <= _MOST_WORDED else rows[:1]
    texts = [_words(row, label if isinstance(label := labels.get(row.image_id), str) else None) for row in few]
    return ", ".join(dict.fromkeys(texts)) if few is rows else f"{texts[0]} and {len(rows) - 1:,} more"


def _words(row: Entry, before: str | None) -> str:
    if isinstance(row, BlindAnswer):
        return f"blind: {row.value or 'cannot tell'}"
    if isinstance(row, Nomination):
        return nominated(row)
    return found(row) if isinstance(row, Outcome) else short(row, before)


def undone(desk: Desk, rows: Said) -> dict[str, Any] | None:
    """Say what was taken back: of which page, which pictures; None where nothing was."""
    if not rows:
        return None
    return {
        "page": page_of(rows[0].why),
        "image_ids": sorted(set().union(*map(_about, rows))),
        "text": in_short(desk, rows),
    }


def _about(row: Entry) -> set[str]:
    return pictures_of([row]) if isinstance(row, Decision) else {row.image_id}
