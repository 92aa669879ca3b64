"""The blind test: a person names held-out pictures and sees neither label nor model; then the two stand side by side.

Nothing here is a decision. What a page is sent of a picture is its image_id and its pixels.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, NamedTuple

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from curation.actions import BlindRow, why
from curation.blind_result import result
from curation.blind_round import Round, order
from curation.forms import action_of, form_of, is_image_id, new_action, number_of_items, one, query_of, wants_json
from curation.frame import after, frame, in_short
from curation.naming import as_written
from curation.pages.page import Queue
from curation.security import Person
from curation.snapshot import Snapshot
from curation.state import Desk
from review.blind_answers import CANNOT_TELL, NAMED, standing
from runtime.errors import InputError

NAME = "blind"
MOST_SECONDS = 120.0  # what takes longer was a break
_ANSWERED = "this was answered before, maybe in another window. Nothing was written. Backspace takes an answer back."

Query = Mapping[str, Sequence[str]]


class Sent(NamedTuple):
    """What a key sends.

    Attributes:
        number: of the round.
        turn: of the round.
        image_id: of the picture.
        key: t, or u where the person cannot tell.
        name: what was typed.
        seconds: from the painted picture to the key; None where the page does not know them.
        action: id of the action.
    """

    number: int
    turn: int
    image_id: str
    key: str
    name: str
    seconds: float | None
    action: str


def add_blind(app: FastAPI, desk: Desk, templates: jinja2.Environment, pages: Sequence[Queue], round_size: int) -> None:
    """Add the page, its items, what keys send, and the result.

    Args:
        app: that gets them.
        desk: its state.
        templates: `blind.html`, `blind_item.html` and `blind_result.html`.
        pages: with a queue, that every page lists.
        round_size: pictures of a round.
    """
    rounds = Rounds(desk, round_size)

    @app.get("/blind")
    def show(request: Request, person: Person) -> Response:
        desk.refresh()
        contents = frame(desk, person, NAME, pages) | rounds.contents(person, query_of(request))
        return HTMLResponse(templates.get_template("blind.html").render(**contents))

    @app.get("/blind/items")
    def more(request: Request, person: Person) -> Response:
        desk.refresh()
        fragment = templates.get_template("blind_item.html")
        found = rounds.items(person, query_of(request))
        items = [{"key": each["image_id"], "html": fragment.render(item=each, page={"name": NAME})} for each in found]
        return JSONResponse({"items": items})

    @app.post("/blind")
    async def answer(request: Request, person: Person) -> Response:
        sent = _read(await form_of(request))
        said = await run_in_threadpool(rounds.answer, person, sent)
        if not wants_json(request):
            return RedirectResponse(request.headers.get("referer") or "/blind", 303)
        return JSONResponse({"said": said, **after(desk, person)})

    @app.get("/blind/result")
    def show_result(person: Person) -> Response:
        desk.refresh()
        contents = frame(desk, person, "blind-result", pages) | result(desk, person)
        return HTMLResponse(templates.get_template("blind_result.html").render(**contents))


class Rounds:
    """Everybody's rounds, as the files and the newest tables have them.

    Args:
        desk: its state.
        size: pictures of a round.
    """

    def __init__(self, desk: Desk, size: int):
        self._desk, self._size = desk, size
        self._orders: dict[str, tuple[Mapping[str, str], int, list[str]]] = {}

    def contents(self, person: str, query: Query) -> dict[str, Any]:
        """Collect what the page shows besides the frame."""
        with self._desk.lock:
            asked = self._asked_for(person, query)
            open_turns, snapshot = asked.open_turns(), self._desk.snapshot
            return {
                "page": {"name": NAME},
                "item": next(iter(_items(asked.number, open_turns, query)), None),
                "number": asked.number,
                "answered": len(asked.answered),
                "left": len(open_turns),
                "is_last": asked.is_last(),
                "num_held_out": len(snapshot.held_out),
                "names": _names(snapshot),
            }

    def items(self, person: str, query: Query) -> list[dict[str, Any]]:
        """List what comes next, as many as are asked for; what the page has already is left out."""
        wanted = number_of_items(query)
        with self._desk.lock:
            asked = self._asked_for(person, query)
            open_turns = asked.open_turns()
        return list(islice(_items(asked.number, open_turns, query), wanted))

    def answer(self, person: str, sent: Sent) -> str:
        """Write an answer; returns it in a few words when it is on the disk.

        Raises:
            InputError: there is no such class, or the picture is not one that may be answered at this turn.
        """
        desk = self._desk
        with desk.lock:
            desk.refresh()
            row = _row(desk.snapshot, sent)
            if known := desk.of_action(person, sent.action):  # the answer to the same request was lost
                if {each.image_id for each in known} != {row.image_id}:
                    raise InputError(_ANSWERED)
                return in_short(desk, known)
            asked = self._round(person, sent.number)
            if sent.turn in asked.answered:
                raise InputError(_ANSWERED)
            if not asked.may_answer(sent.turn, sent.image_id):
                raise InputError("this picture is not asked here any more. Nothing was written; reload the page.")
            return in_short(desk, desk.answer_blind(person, [row]))

    def _asked_for(self, person: str, query: Query) -> Round:
        """Give the round that an address names, else the last one that was begun.

        Raises:
            InputError: it is no round, or one that cannot begin yet.
        """
        numbers = {each.round for each in standing(self._desk.blind(person).said)}
        last = max(numbers, default=1)
        text = one(query, "round")
        if not text:
            return self._round(person, last)
        number = _number(text, f"round={text} is no round: rounds are counted from 1.")
        if number > last + 1 or (number == last + 1 and self._round(person, last).open_turns()):
            raise InputError(f"round {number} begins when round {last} is done. The page /blind goes on with that.")
        return self._round(person, number)

    def _round(self, person: str, number: int) -> Round:
        groups = self._desk.snapshot.held_out
        answers = standing(self._desk.blind(person).said)
        answered = {each.turn: each.image_id for each in answers if each.round == number}
        elsewhere = {each.image_id for each in answers if each.round != number}
        return Round(person, number, self._size, self._ordered(person, number, groups), groups, answered, elsewhere)

    def _ordered(self, person: str, number: int, groups: Mapping[str, str]) -> list[str]:
        known = self._orders.get(person)
        if known is None or known[0] is not groups or known[1] != number:
            known = self._orders[person] = (groups, number, order(person, number, groups))
        return known[2]


def _items(number: int, open_turns: Mapping[int, str], query: Query) -> Iterator[dict[str, Any]]:
    """Go through what comes next in a round; a picture that the address names by `first` before the others."""
    skipped = {key for value in query.get("skip", ()) for key in value.split(",")}
    first = query.get("first", ())
    found = [(turn, image_id) for turn, image_id in open_turns.items() if image_id not in skipped]
    for turn, image_id in sorted(found, key=lambda each: each[1] not in first):
        sent = {"round": number, "turn": turn, "seconds": ""}
        yield {"image_id": image_id, "action": new_action(), "sent": sent}


def _row(snapshot: Snapshot, sent: Sent) -> BlindRow:
    if sent.key not in ("t", "u"):
        raise InputError(f"the key {sent.key!r} means nothing on this page. `?` lists the keys.")
    name = _class_named(snapshot, sent.name) if sent.key == "t" else ""
    note = why(NAME, f"model {snapshot.version}", action=sent.action)
    answer = NAMED if name else CANNOT_TELL
    return BlindRow(sent.number, sent.turn, sent.image_id, answer, name, sent.seconds, note)


def _class_named(snapshot: Snapshot, name: str) -> str:
    """Find the class that was named, maybe by a sub-class of it.

    Raises:
        InputError: there is none of this name.
    """
    name = as_written(snapshot, name)
    found = snapshot.classes.of_benchmark(name) or (name if name in snapshot.class_names else None)
    if found is None:
        raise InputError(f"there is no class {name!r}. Choose one of the list; Space says that you cannot tell.")
    return found


def _names(snapshot: Snapshot) -> list[str]:
    """List what may be named: classes of the model, and those of now with their sub-classes."""
    classes = snapshot.classes.class_names
    return sorted({*snapshot.class_names, *snapshot.sub_classes, *(each for each in classes if classes[each])})


def _read(form: Mapping[str, Sequence[str]]) -> Sent:
    """Read what a key sends.

    Raises:
        InputError: it names no picture, or no turn.
    """
    otherwise = "a key names no picture of the blind test. Reload the page."
    number, turn = (_number(one(form, name), otherwise) for name in ("round", "turn"))
    image_id = one(form, "image_id")
    if not is_image_id(image_id):
        raise InputError(otherwise)
    return Sent(
        number, turn, image_id, one(form, "key"), one(form, "name"), _seconds(one(form, "seconds")), action_of(form)
    )


def _seconds(text: str) -> float | None:
    seconds = math.nan
    with suppress(ValueError):
        seconds = float(text)
    return round(seconds, 2) if 0 <= seconds <= MOST_SECONDS else None


def _number(text: str, otherwise: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", text, re.ASCII):
        raise InputError(otherwise)
    return int(text)
