"""The desk's addresses: pages, their items, pictures, and what a key sends."""

import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from curation import home
from curation.actions import ACTION_ID
from curation.pages.double_check import DoubleCheck
from curation.pages.duplicates import Duplicates
from curation.pages.label import Label
from curation.pages.page import Page, Pressed, short
from curation.pictures import Pictures
from curation.renditions import SIDES, Renditions
from curation.security import guard
from curation.state import Desk
from review.markdown import visible
from runtime import parameters
from runtime.errors import InputError, RetrainError
from stages.images.errors import UnreadableError
from stages.labels.decisions import Decision

HERE = Path(__file__).parent
PAGES: tuple[Page, ...] = (DoubleCheck(), Duplicates(), Label())
MOST_ITEMS = 8  # that a page asks for at once
LAST = 10  # actions that a page lists
LATER = " "
_PAUSE_SECONDS = 60  # a longer time between two keys is a pause, which does not slow the pace
_MOST_BYTES = 2**20  # of what a form sends


def make(desk: Desk, person: str, ours: Collection[str]) -> FastAPI:
    """Make the application.

    Args:
        desk: its state.
        person: whose decisions are written.
        ours: names by which a browser may call the desk.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    templates, pictures, renditions = _templates(), Pictures(), Renditions()

    @app.middleware("http")
    async def guarded(request: Request, handle: Any) -> Response:
        return await guard(request, handle, ours)

    @app.exception_handler(RetrainError)
    async def mendable(request: Request, error: RetrainError) -> Response:
        if _wants_json(request):
            return JSONResponse({"error": str(error)}, 409)
        page = templates.get_template("error.html").render(message=str(error), **_frame(desk, person, ""))
        return HTMLResponse(page, 409)

    @app.get("/")
    def show_home() -> Response:
        desk.refresh()
        contents = home.contents(desk, person, PAGES)
        return HTMLResponse(templates.get_template("home.html").render(**_frame(desk, person, "home"), **contents))

    @app.post("/commit")
    def commit() -> Response:
        home.commit(desk, person)
        return RedirectResponse("/", 303)

    @app.post("/undo")
    async def undo(request: Request) -> Response:
        form = await _form(request)
        done = await run_in_threadpool(desk.undo, person, _action(form), _one(form, "of") or None)
        if not _wants_json(request):
            return RedirectResponse(_path(_one(form, "page")), 303)
        return JSONResponse({"undone": _undone(desk, done), **_after(desk, person)})

    @app.get("/picture/{side}/{image_id}")
    def picture(side: int, image_id: str) -> Response:
        if side not in SIDES or not _is_image_id(image_id):
            return Response(status_code=404)
        files = desk.snapshot.paths.get(image_id, [])
        limit = parameters.read(parameters.Fingerprint).max_pixels
        try:
            data = renditions.get(image_id, side, lambda: pictures.read(image_id, files), limit)
        except (UnreadableError, InputError):
            return Response(status_code=404)
        return Response(
            data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"}
        )

    for page in PAGES:
        _add_page(app, page, desk, person, templates)
    return app


def _add_page(app: FastAPI, page: Page, desk: Desk, person: str, templates: jinja2.Environment) -> None:
    template = f"{page.name.replace('-', '_')}.html"

    def items(query: Mapping[str, Sequence[str]], most: int, skipped: Collection[str] = ()) -> list[dict[str, Any]]:
        with desk.lock:
            keys = _upcoming(desk, person, page, query, skipped)
            first = [key for key in query.get("first", ()) if _is_image_id(key)]
            chosen = list(islice(dict.fromkeys([*first, *keys]), most))
            return [{**page.item(desk.snapshot, desk.ledger, key), "action": new_action()} for key in chosen]

    @app.get(f"/{page.name}")
    def show(request: Request) -> Response:
        desk.refresh()
        query = _query(request)
        found = items(query, 1)
        with desk.lock:
            left = sum(1 for _ in page.keys(desk.snapshot, desk.ledger, query))
        contents = _frame(desk, person, page.name) | {
            "page": page,
            "left": left,
            "item": found[0] if found else None,
            "template": template,
            "names": sorted({*desk.snapshot.classes.class_names, *desk.snapshot.sub_classes}),
        }
        return HTMLResponse(templates.get_template("queue.html").render(**contents))

    @app.get(f"/{page.name}/items")
    def more(request: Request) -> Response:
        desk.refresh()
        query = _query(request)
        skipped = {key for value in query.get("skip", ()) for key in value.split(",")}
        most = min(MOST_ITEMS, int(query.get("most", ["1"])[0]))
        fragment = templates.get_template(template)
        found = items(query, most, skipped)
        rendered = [{"key": each["image_id"], "html": fragment.render(item=each, page=page)} for each in found]
        return JSONResponse({"items": rendered})

    @app.post(f"/{page.name}")
    async def decide(request: Request) -> Response:
        form = await _form(request)
        pressed = Pressed(_one(form, "key"), form.get("image_id", []), _one(form, "name"), _action(form))
        if not pressed.image_ids or not all(map(_is_image_id, pressed.image_ids)):
            raise InputError("a key names no picture. Reload the page.")
        said = await run_in_threadpool(_decide, desk, person, page, pressed)
        if not _wants_json(request):
            return RedirectResponse(request.headers.get("referer") or f"/{page.name}", 303)
        return JSONResponse({"said": said, **_after(desk, person)})


def _decide(desk: Desk, person: str, page: Page, pressed: Pressed) -> str:
    with desk.lock:
        if pressed.key == LATER:
            later = desk.later[person, page.name]
            later.pop(pressed.image_ids[0], None)
            later[pressed.image_ids[0]] = None  # the last to come back
            return "later"
        known = [each for each in desk.file(person).said if each.why.endswith(f":{pressed.action}")]
        if known:  # the answer to the same request was lost
            return _short(desk, known)
        rows = page.rows(desk.snapshot, desk.ledger, pressed)
        return _short(desk, desk.say(person, rows))


def _upcoming(
    desk: Desk, person: str, page: Page, query: Mapping[str, Sequence[str]], skipped: Collection[str]
) -> Iterator[str]:
    """Go through the open items: those that were left for later come last."""
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


def _frame(desk: Desk, person: str, name: str) -> dict[str, Any]:
    """What every page shows around its own: queues with numbers, pace, the last ten decisions, notices."""
    with desk.lock:
        file = desk.file(person)
        notices, file.notices[:] = list(file.notices), []
        if desk.tables.notice:
            notices.append(desk.tables.notice)
        queues = [(page, sum(1 for _ in page.keys(desk.snapshot, desk.ledger, {}))) for page in PAGES]
        return {
            "queues": queues,
            "person": person,
            "name": name,
            "notices": notices,
            "uncommitted": desk.uncommitted(person),
            "action": new_action(),
            **_after(desk, person),
        }


def _after(desk: Desk, person: str) -> dict[str, Any]:
    """What changes with a key: the pace and the last ten; no total is counted here."""
    with desk.lock:
        said = desk.file(person).said
        actions = desk.last_actions(person, LAST)
        today = datetime.now(UTC).date()
        return {
            "pace": pace([each.on for each in said[-60:]]),
            "decided": sum(1 for each in said[-2000:] if each.on.date() == today),
            "last": [{"id": rows[0].why.rpartition(":")[2], "text": _short(desk, rows)} for rows in actions],
        }


def pace(times: Sequence[datetime]) -> int | None:
    """Say how many actions an hour these are, pauses left out; None where there are too few."""
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(sorted(set(times)))]
    working = [gap for gap in gaps if gap <= _PAUSE_SECONDS]
    return round(3600 * len(working) / sum(working)) if len(working) >= 5 and sum(working) > 0 else None


def _short(desk: Desk, rows: Sequence[Decision]) -> str:
    labels = desk.snapshot.images["sub_class"]
    texts = [
        short(row, labels.get(row.image_id) if isinstance(labels.get(row.image_id), str) else None) for row in rows
    ]
    return ", ".join(dict.fromkeys(texts)) if len(rows) < 4 else f"{texts[0]} and {len(rows) - 1} more"


def _undone(desk: Desk, rows: Sequence[Decision]) -> dict[str, Any] | None:
    if not rows:
        return None
    return {
        "page": rows[0].why.partition(";")[0],
        "image_ids": sorted(r.image_id for r in rows),
        "text": _short(desk, rows),
    }


def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    environment.filters["number"] = lambda value: f"{value:,}"
    return environment


def new_action() -> str:
    """Draw the id of an action."""
    return secrets.token_hex(6)


async def _form(request: Request) -> dict[str, list[str]]:
    body = await request.body()
    if len(body) > _MOST_BYTES:
        raise InputError("the form is too large.")
    return parse_qs(body.decode(errors="replace"), keep_blank_values=True)


def _query(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query)


def _one(form: Mapping[str, Sequence[str]], name: str) -> str:
    return form.get(name, [""])[0]


def _action(form: Mapping[str, Sequence[str]]) -> str:
    action = _one(form, "action")
    return action if ACTION_ID.fullmatch(action) else new_action()


def _path(page: str) -> str:
    return f"/{page}" if page in {each.name for each in PAGES} else "/"


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _is_image_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")
