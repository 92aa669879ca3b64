"""The page of the people who decide: how many, how fast, and how often two of them agree."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jinja2
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, Response

from curation.agreement import FEWEST, SITTING, agreements, first_answers, in_disputes, pace, with_oneself
from curation.frame import frame, in_short
from curation.pages.page import Queue
from curation.security import Person
from curation.state import Desk
from stages.labels.decisions import Decision

MOST_DISPUTES = 50


def add_people(app: FastAPI, desk: Desk, templates: jinja2.Environment, pages: tuple[Queue, ...]) -> None:
    """Add the page."""

    @app.get("/people")
    def show(person: Person) -> Response:
        desk.refresh()
        contents = frame(desk, person, "people", pages) | _contents(desk)
        return HTMLResponse(templates.get_template("people.html").render(**contents))


def _contents(desk: Desk) -> dict[str, Any]:
    with desk.lock:
        said, disputes = desk.said, desk.ledger.disputes()
        parts = in_disputes(disputes)
        return {
            "people": [
                {
                    "name": person,
                    "pace": (paced := pace(own)),
                    "days": _days(paced.first, paced.last),
                    "disputes": parts.get(person, (0, 0)),
                }
                for person, own in said.items()
                if own
            ],
            "repeats": {person: found for person, own in said.items() if (found := with_oneself(own))},
            "agreements": agreements({person: first_answers(own) for person, own in said.items()}),
            "disputes": [_dispute(desk, each) for each in disputes[:MOST_DISPUTES]],
            "num_disputes": len(disputes),
            "fewest": FEWEST,
            "pause": round(SITTING.total_seconds() / 60),
            "team": desk.parting.team,
            "share": desk.parting.share,
        }


def _days(first: datetime | None, last: datetime | None) -> str:
    days = [f"{each:%Y-%m-%d}" for each in (first, last) if each]
    return " to ".join(dict.fromkeys(days))


def _address(desk: Desk, image_ids: Sequence[str]) -> str:
    """Give the address at which a dispute is decided again."""
    if len(image_ids) > 1:
        return f"/duplicates?{'&'.join(f'pair={each}' for each in image_ids)}"
    page = "label" if image_ids[0] in desk.snapshot.identified.index else "double-check"
    return f"/{page}?first={image_ids[0]}"


def _dispute(desk: Desk, said: list[Decision]) -> dict[str, Any]:
    image_ids = [image_id for image_id in said[-1].subject if image_id]
    return {
        "image_ids": image_ids,
        "label": desk.label_of(image_ids[0]),
        "address": _address(desk, image_ids),
        "said": [(each.person, in_short(desk, [each])) for each in said],
    }
