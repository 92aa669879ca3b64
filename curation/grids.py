"""The addresses of a page with a grid: the page, a part of its grid, and what a key sends about the marked pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode, urlsplit

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from curation.forms import form_of, new_action, one, query_of, wants_json
from curation.frame import after, frame, in_short, news
from curation.pages.grid import GridPage
from curation.pages.page import Pressed, Queue, read_pressed
from curation.security import Person
from curation.state import Desk
from curation.upcoming import LATER, leave_for_later, ledger_of, listed, upcoming
from runtime.errors import InputError

SIZE = 60  # pictures of a part of a grid
MOST_MARKED = 20_000  # pictures that one key decides about
CHANGED = "Nothing was written: it would be something else by now."
PART = "part"  # in an address: which part of the grid, the first is 1
_OWN = (PART, "show")

Query = Mapping[str, Sequence[str]]


def add_grid(app: FastAPI, page: GridPage, desk: Desk, templates: jinja2.Environment, queues: Sequence[Queue]) -> None:
    """Add the addresses of a page.

    Args:
        app: that gets them.
        page: with the grid.
        desk: its state.
        templates: `<page>.html`, `grid.html` and `ask.html`.
        queues: that every page lists.
    """

    def shown(person: str, query: Query) -> HTMLResponse:
        desk.refresh()
        with desk.lock:
            found = listed(desk, person, page)
            around = page.around(desk.snapshot, desk.ledger, query, found)
            parts = [
                _part(desk, person, page, grid["query"], "" if number else one(query, PART))
                for number, grid in enumerate(around["grids"])
            ]
        contents = frame(desk, person, page.name, queues) | around
        if parts:  # a page without a script turns its first grid
            parts[0]["links"] = _address(query, (*_OWN, "name"))
        grids = [{**grid, **part} for grid, part in zip(around["grids"], parts, strict=True)]
        names = sorted({*desk.snapshot.classes.class_names, *desk.snapshot.sub_classes})
        left = sum(each["total"] for each in grids) if grids else len(found)
        contents |= {"page": page, "grids": grids, "left": left, "names": names}
        return HTMLResponse(templates.get_template(f"{page.name}.html").render(**contents))

    @app.get(f"/{page.name}")
    def show(request: Request, person: Person) -> Response:
        return shown(person, query_of(request))

    if page.has_names:

        @app.get(f"/{page.name}/{{name:path}}")
        def show_named(request: Request, name: str, person: Person) -> Response:
            return shown(person, query_of(request) | {"name": [name]})

    @app.get(f"/cells/{page.name}")
    def cells(request: Request, person: Person) -> Response:
        desk.refresh()
        query = query_of(request)
        with desk.lock:
            part = _part(desk, person, page, query, one(query, PART), one(query, "show"))
        html = templates.get_template("cells.html").render(grid={"query": query, **part}, page=page)
        numbers = {"part": part["part"], "parts": part["num_parts"], "first": part["first"], "total": part["total"]}
        return JSONResponse({"html": html, **numbers, **news(desk, person)})

    @app.get(f"/ids/{page.name}")
    def ids(request: Request, person: Person) -> Response:
        desk.refresh()
        with desk.lock:
            return JSONResponse(_marked(desk, person, page, query_of(request)))

    @app.post(f"/{page.name}")
    async def decide(request: Request, person: Person) -> Response:
        form = await form_of(request)
        pressed = read_pressed(form, "no picture is marked. Mark one first.")
        if not wants_json(request) and not one(form, "sure"):  # "back" shows a page of before: no request is repeated
            pressed = replace(pressed, action=new_action())
        if len(pressed.image_ids) > MOST_MARKED:
            raise InputError(f"{len(pressed.image_ids):,} pictures are marked; expected at most {MOST_MARKED:,}.")
        answer = await run_in_threadpool(_decide, desk, person, page, pressed, one(form, "sure"))
        if wants_json(request):
            return JSONResponse(answer)
        back = _back(page, one(form, "back") or request.headers.get("referer", ""))
        if "ask" not in answer:
            return RedirectResponse(back, 303)
        contents = frame(desk, person, page.name, queues) | {"page": page, "pressed": pressed, "back": back, **answer}
        return HTMLResponse(templates.get_template("ask.html").render(**contents))


def _decide(desk: Desk, person: str, page: GridPage, pressed: Pressed, sure: str) -> dict[str, Any]:
    """Write what a key decides; about several pictures, say first what it would be.

    Args:
        desk: its state.
        person: who pressed the key.
        page: on which.
        pressed: the key.
        sure: digest of what was read and agreed to; if other rows would be written by now, that is asked anew.
    """
    with desk.lock:
        desk.refresh()
        if pressed.key == LATER:
            leave_for_later(desk, person, page, pressed.image_ids)
            return {"said": "later", **after(desk, person)}
        written = [each for each in desk.file(person).said if each.why.endswith(f":{pressed.action}")]
        if not written:  # else the answer to the same request was lost
            batch = page.batch(desk.snapshot, ledger_of(desk, person, page), pressed)
            if len(pressed.image_ids) > 1 and sure != batch.digest:
                words = [CHANGED, *batch.words] if sure else list(batch.words)
                return {"ask": words, "digest": batch.digest}
            written = desk.say(person, batch.rows)
        return {"said": in_short(desk, written), "number": len(written), **after(desk, person)}


def _marked(desk: Desk, person: str, page: GridPage, query: Query) -> dict[str, Any]:
    """List the pictures of a grid, as many as a key decides about, and say how many there are."""
    ids = list(upcoming(desk, person, page, query))
    return {"ids": ids[:MOST_MARKED], "total": len(ids)}


def _part(desk: Desk, person: str, page: GridPage, query: Query, part: str, shown: str = "") -> dict[str, Any]:
    """Collect a part of a grid: the one that was asked for, or the one that has a picture, or the last there is."""
    query = {name: values for name, values in query.items() if name not in _OWN}
    keys = list(upcoming(desk, person, page, query))
    wanted = keys.index(shown) // SIZE + 1 if shown in keys else int(part[:9]) if part.isdecimal() else 1
    num_parts = max(1, -(-len(keys) // SIZE))
    number = min(max(wanted, 1), num_parts)
    first = SIZE * (number - 1)
    return {
        "cells": [page.cell(desk.snapshot, desk.ledger, key) for key in keys[first : first + SIZE]],
        "part": number,
        "num_parts": num_parts,
        "first": first,
        "total": len(keys),
        "address": _address(query),
    }


def _address(query: Query, without: Sequence[str] = ()) -> str:
    return urlencode([(name, value) for name, values in query.items() if name not in without for value in values])


def _back(page: GridPage, address: str) -> str:
    """Give the path of an address of this page; never that of another site."""
    parts = urlsplit(address)
    path = parts.path if parts.path.startswith(f"/{page.name}/") else f"/{page.name}"
    return f"{path}?{parts.query}" if parts.query else path
