"""The page of the rules for groups of duplicates: what each would do, and how often the person agreed with it."""

from collections.abc import Sequence
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from curation.forms import action_of, form_of, new_action, one
from curation.frame import frame
from curation.grids import CHANGED
from curation.group_rules import FEWEST, FEWEST_OF_RULE, Preview, answers, batch, previews, rule_named
from curation.pages.duplicates import groups
from curation.pages.page import Queue
from curation.security import Person
from curation.state import Desk
from runtime.errors import InputError


def add_ruling(app: FastAPI, desk: Desk, templates: jinja2.Environment, pages: Sequence[Queue]) -> None:
    """Add the page and what is sent to it."""

    def page(person: str, **asked: Any) -> Response:
        desk.refresh()
        contents = frame(desk, person, "rules", pages)
        with desk.lock:
            number, found = _previews(desk, person)
        contents |= {
            "previews": found,
            "num_answers": number,
            "fewest": FEWEST,
            "fewest_of_rule": FEWEST_OF_RULE,
            "sent": new_action(),
            "ask": None,
        }
        return HTMLResponse(templates.get_template("rules.html").render(**(contents | asked)))

    @app.get("/duplicates/rules")
    def show(person: Person) -> Response:
        return page(person)

    @app.post("/duplicates/rules")
    async def apply(request: Request, person: Person) -> Response:
        form = await form_of(request)
        name, sure, action = one(form, "rule"), one(form, "sure"), action_of(form)
        asked = await run_in_threadpool(_apply, desk, person, name, sure, action)
        if asked is None:
            return RedirectResponse("/duplicates", 303)
        return await run_in_threadpool(page, person, **asked)


def _apply(desk: Desk, person: str, name: str, sure: str, action: str) -> dict[str, Any] | None:
    """Write what a rule decides, where the person has read just that and agreed; else give what is to be read."""
    with desk.lock:
        desk.refresh()
        if any(each.why.endswith(f":{action}") for each in desk.file(person).said):
            return None  # the answer to the same request was lost
        number, found = _previews(desk, person)
        if number < FEWEST:
            raise InputError(f"rules are offered after {FEWEST} answers of your own on Duplicates; these are {number}.")
        written = batch(rule_named(found, name), desk.snapshot.version, action)
        if sure == written.digest:
            desk.say(person, written.rows)
            return None
        words = [CHANGED, *written.words] if sure else list(written.words)
        return {"ask": words, "rule": name, "digest": written.digest, "sent": action}


def _previews(desk: Desk, person: str) -> tuple[int, list[Preview]]:
    """Give how many groups the person decided, and what each rule would do."""
    answered = answers(desk.snapshot, desk.file(person).said)
    opened = [pairs for key, pairs in groups(desk.snapshot, desk.ledger).items() if desk.parting.is_for(person, key)]
    return len(answered), previews(desk.snapshot, answered, opened)
