"""The page of the team's rules, and what sends a picture there as an example, from any page, or takes it back."""

from collections.abc import Sequence
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from curation.forms import action_of, form_of, is_image_id, new_action, one, wants_json
from curation.frame import after, frame, undone
from curation.pages.page import Queue
from curation.rules import blocks
from curation.security import Person
from curation.standards import KINDS, WITHDRAWN, Example, latest, standing
from curation.state import Desk
from runtime.errors import InputError


def add_standards(app: FastAPI, desk: Desk, templates: jinja2.Environment, pages: Sequence[Queue]) -> None:
    """Add the page and what is sent to it."""

    @app.get("/standards")
    def show(person: Person) -> Response:
        desk.refresh()
        contents = frame(desk, person, "standards", pages) | _contents(desk, person)
        return HTMLResponse(templates.get_template("standards.html").render(**contents))

    @app.post("/standards")
    async def send(request: Request, person: Person) -> Response:
        form = await form_of(request)
        kind, image_id = one(form, "key"), one(form, "image_id")
        said = await run_in_threadpool(_send, desk, person, kind, image_id, action_of(form))
        if not wants_json(request):
            return RedirectResponse(request.headers.get("referer") or "/standards", 303)
        return JSONResponse({"said": said.words, **after(desk, person)})


def take_back(desk: Desk, person: str, new_action: str, of: str | None) -> dict[str, Any] | None:
    """Take back an action of a person, be it decisions, outcomes or an example.

    Args:
        desk: its state.
        person: whose.
        new_action: id of the rows that answer, where a commit holds the action's.
        of: id of the action; by default the last one.

    Returns:
        What was taken back: of which page, which pictures, and in words; None where there was nothing.
    """
    with desk.lock:
        desk.refresh()
        example = latest(desk.standards.by(person), of)
        decided = next(desk.latest(person), None)
        if example is None or (of is None and decided and decided[0].on > example.on):
            return undone(desk, desk.undo(person, new_action, of))
        desk.standards.take_back(person, example.action)
        return {"page": "standards", "image_ids": [example.image_id], "text": example.words}


def _send(desk: Desk, person: str, kind: str, image_id: str, action: str) -> Example:
    if kind not in (*KINDS, WITHDRAWN):
        raise InputError(f"{kind!r} is neither a good nor a bad example.")
    if not is_image_id(image_id):
        raise InputError("a key names no picture. Reload the page.")
    if kind in KINDS and not desk.snapshot.paths(image_id):
        raise InputError("this desk knows no such picture.")
    with desk.lock:
        return desk.standards.show(person, kind, image_id, desk.label_of(image_id), action)


def _contents(desk: Desk, person: str) -> dict[str, Any]:
    with desk.lock:
        text, examples = desk.standards.text(), desk.standards.examples()
        shown = {each.line: each for each in standing(examples).values()}
        parts = blocks(text, shown, [each.line for each in examples if each.line not in shown])
        waiting = desk.standards.waiting(person)
        return {
            "parts": [(part.html, [_example(desk, shown[line]) for line in part.lines]) for part in parts],
            "waiting": waiting,
            "path": desk.standards.path,
        }


def _example(desk: Desk, example: Example) -> dict[str, Any]:
    return {
        "image_id": example.image_id,
        "kind": example.kind,
        "person": example.person,
        "label": desk.label_of(example.image_id),
        "action": new_action(),
    }
