"""The desk's addresses: pages, their items, pictures, and what a key sends."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

from curation import home
from curation.actions import Entry, PageRow
from curation.blind import add_blind
from curation.blind_round import ROUND_SIZE
from curation.examples import add_standards, take_back
from curation.forms import action_of, form_of, is_image_id, new_action, number_of_items, one, query_of, wants_json
from curation.frame import after, frame, in_short, news, uncommitted
from curation.framing import add_framing
from curation.grids import add_grid
from curation.looking import add_looking
from curation.pages.classes import Classes
from curation.pages.double_check import DoubleCheck
from curation.pages.duplicates import Duplicates
from curation.pages.grid import GridPage
from curation.pages.label import Label
from curation.pages.page import Page, Pressed, Queue, read_pressed
from curation.pages.production import Production
from curation.pages.second_look import SecondLook
from curation.pages.sort import Sort
from curation.people import add_people
from curation.pictures import Pictures
from curation.renditions import SIDES, Renditions, render
from curation.repeats import due, marked
from curation.ruling import add_ruling
from curation.security import COOKIE, Door, Person, guard
from curation.state import Desk
from curation.upcoming import LATER, REPEATED, leave_for_later, ledger_of, num_left, upcoming
from intake.harvest import PICTURES as HARVESTED
from review.markdown import visible
from runtime.errors import InputError, RetrainError
from serving.outcomes import Outcome
from stages.images.errors import UnreadableError

HERE = Path(__file__).parent
GRIDS: tuple[GridPage, ...] = (Sort(), Classes())
PAGES: tuple[Page, ...] = (DoubleCheck(), Duplicates(), Label(), Production(), SecondLook())
QUEUES: tuple[Queue, ...] = (*PAGES[:3], *GRIDS, *PAGES[3:])


def make(desk: Desk, door: Door, round_size: int = ROUND_SIZE) -> FastAPI:
    """Make the application.

    Args:
        desk: its state.
        door: who comes in.
        round_size: pictures of a round of the blind test.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    templates, pictures, renditions = _templates(), Pictures(), Renditions()

    @app.middleware("http")
    async def guarded(request: Request, handle: Any) -> Response:
        return await guard(request, handle, door, stranger)

    def stranger(link_ended: bool = False) -> Response:
        return HTMLResponse(templates.get_template("stranger.html").render(link_ended=link_ended), 401)

    @app.exception_handler(RetrainError)
    async def mendable(request: Request, error: RetrainError) -> Response:
        if wants_json(request):
            return JSONResponse({"error": str(error)}, 409)
        return HTMLResponse(templates.get_template("error.html").render(message=str(error)), 409)

    @app.get("/")
    def show_home(person: Person) -> Response:
        desk.refresh()
        contents = home.contents(desk, person)
        return HTMLResponse(
            templates.get_template("home.html").render(**frame(desk, person, "home", QUEUES), **contents)
        )

    @app.post("/commit")
    def commit(person: Person) -> Response:
        home.commit(desk, person)
        return RedirectResponse("/", 303)

    @app.post("/undo")
    async def undo(request: Request, person: Person) -> Response:
        form = await form_of(request)
        undone = await run_in_threadpool(take_back, desk, person, action_of(form), one(form, "of") or None)
        if not wants_json(request):
            return RedirectResponse(request.headers.get("referer") or "/", 303)
        counted = await run_in_threadpool(uncommitted, desk, person)
        changed = await run_in_threadpool(_after, desk, person, one(form, "page"))
        return JSONResponse({"undone": undone, "uncommitted": counted, **changed})

    @app.get("/invited/{secret}")
    def invited(secret: str) -> Response:
        invite = door.invites.find(secret)
        if invite is None:
            return stranger(link_ended=True)
        return HTMLResponse(templates.get_template("invited.html").render(person=invite.person, secret=secret))

    @app.post("/invited")
    async def come_in(request: Request) -> Response:
        secret = one(await form_of(request), "secret")
        invite = door.invites.find(secret)
        if invite is None:
            return stranger(link_ended=True)
        response = RedirectResponse("/", 303)
        is_secure = request.headers.get("origin", "").startswith("https:")
        response.set_cookie(COOKIE, secret, expires=invite.until, secure=is_secure, httponly=True, samesite="strict")
        return response

    @app.get("/picture/{side}/{image_id}")
    def picture(side: int, image_id: str) -> Response:
        if side not in SIDES or not is_image_id(image_id):
            return Response(status_code=404)
        snapshot = desk.snapshot
        files = snapshot.paths(image_id)
        try:
            data = renditions.get(image_id, side, lambda: pictures.read(image_id, files), snapshot.max_pixels)
        except (UnreadableError, InputError):
            return Response(status_code=404)
        return Response(
            data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=31536000, immutable"}
        )

    @app.get("/production/picture/{side}/{image_id}")
    def sent_picture(side: int, image_id: str) -> Response:
        if side not in SIDES or image_id not in desk.snapshot.harvested.of_picture:
            return Response(status_code=404)
        try:
            data = (HARVESTED / image_id).read_bytes()
            shown = render(data, side, desk.snapshot.max_pixels)
        except (OSError, UnreadableError):
            return Response(status_code=404)
        # What is forgotten must not stay elsewhere: neither in our cache nor in the browser's.
        return Response(shown, media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    for page in PAGES:
        _add_page(app, page, desk, templates)
    for grid in GRIDS:
        add_grid(app, grid, desk, templates, QUEUES)
    add_standards(app, desk, templates, QUEUES)
    add_people(app, desk, templates, QUEUES)
    add_blind(app, desk, templates, QUEUES, round_size)
    add_looking(app, desk, pictures)
    add_ruling(app, desk, templates, QUEUES)
    add_framing(app, desk, pictures, templates, QUEUES)
    return app


def _add_page(app: FastAPI, page: Page, desk: Desk, templates: jinja2.Environment) -> None:
    template = f"{page.name.replace('-', '_')}.html"

    def items(
        person: str, query: Mapping[str, Sequence[str]], most: int, skipped: Collection[str] = ()
    ) -> list[dict[str, Any]]:
        with desk.lock:
            first = _asked_for(desk, person, page, query)
            if not first and not query.get("class") and page.name in REPEATED:
                first = _again(desk, person, page, skipped)
            keys = (key for key in upcoming(desk, person, page, query, skipped) if key not in first)
            rest = (page.item(desk.snapshot, ledger_of(desk, person, page), key) for key in keys)
            return [{**item, "action": new_action()} for item in islice(chain(first.values(), rest), most)]

    @app.get(f"/{page.name}")
    def show(request: Request, person: Person) -> Response:
        desk.refresh()
        query = query_of(request)
        found = items(person, query, 1)
        with desk.lock:
            left = num_left(desk, person, page, query)
        contents = frame(desk, person, page.name, QUEUES) | {
            "page": page,
            "left": left,
            "item": found[0] if found else None,
            "template": template,
            "names": sorted({*desk.snapshot.classes.class_names, *desk.snapshot.sub_classes}),
        }
        wanted = {*query.get("first", ()), *query.get("pair", ())}
        there = {image_id for each in found for image_id in each.get("image_ids", [each["image_id"]])}
        if wanted and wanted.isdisjoint(there):
            contents["notices"].append("What you asked for cannot be shown here: it is gone, or has its answer.")
        return HTMLResponse(templates.get_template("queue.html").render(**contents))

    @app.get(f"/{page.name}/items")
    def more(request: Request, person: Person) -> Response:
        desk.refresh()
        query = query_of(request)
        skipped = {key for value in query.get("skip", ()) for key in value.split(",")}
        fragment = templates.get_template(template)
        found = items(person, query, number_of_items(query), skipped)
        rendered = [{"key": each["image_id"], "html": fragment.render(item=each, page=page)} for each in found]
        return JSONResponse({"items": rendered, **news(desk, person)})

    @app.post(f"/{page.name}")
    async def decide(request: Request, person: Person) -> Response:
        pressed = read_pressed(await form_of(request), "a key names no picture. Reload the page.")
        said = await run_in_threadpool(press, desk, person, page, pressed, not wants_json(request))
        if not wants_json(request):
            return RedirectResponse(request.headers.get("referer") or f"/{page.name}", 303)
        return JSONResponse({"said": said, **await run_in_threadpool(_after, desk, person, page.name)})


def _after(desk: Desk, person: str, name: str) -> dict[str, Any]:
    """Collect what changes with a key; of groups, which a key may leave open or part, also how many are left."""
    with desk.lock:
        left = {"left": num_left(desk, person, Duplicates(), {})} if name == Duplicates.name else {}
        return {**left, **after(desk, person)}


def press(desk: Desk, person: str, page: Page, pressed: Pressed, is_form: bool) -> str:
    """Write what a key decides; what was written already, because the answer was lost, is not written twice.

    Where no script sends it (`is_form`), "back" may show an item of before with its old action: another answer to it is
    an action of its own.
    """
    with desk.lock:
        desk.refresh()
        if pressed.key == LATER:
            leave_for_later(desk, person, page, pressed.image_ids[:1])
            return "later"
        known = desk.of_action(person, pressed.action)
        # A desk that was killed may have written the decision without the outcome, which comes last.
        is_half = bool(pressed.transactions) and not any(isinstance(each, Outcome) for each in known)
        if known and not is_form and not is_half:
            return in_short(desk, known)
        ledger = desk.ledger.seen_by(person)
        rows = page.rows(desk.snapshot, ledger, pressed)
        if not rows:
            raise InputError("this key decides nothing here. Nothing was written; look at it again.")
        before, wanted = set(map(_content, known)), set(map(_content, rows))
        if known and before == wanted:
            return in_short(desk, known)
        if known and not (is_half and before < wanted):
            rows = page.rows(desk.snapshot, ledger, replace(pressed, action=new_action()))
        return in_short(desk, desk.write(person, marked(rows) if pressed.again else rows))


def _content(row: PageRow | Entry) -> tuple[str, str, str, str]:
    said: str = getattr(row, "decision", "") or getattr(row, "outcome", "") or getattr(row, "said", "")
    return row.image_id, said, getattr(row, "benchmark", ""), row.value


def _again(desk: Desk, person: str, page: Page, skipped: Collection[str]) -> dict[str, dict[str, Any]]:
    """Give the item, by its key, that a person has decided and is asked again; it looks like any other."""
    for key in due(desk.file(person).said, page.name, desk.repeats, desk.ledger):
        if key in skipped:
            return {}  # the page holds it ready
        if key not in desk.later[person, page.name]:
            with suppress(InputError):  # it is no picture of this page any more
                return {key: {**page.item(desk.snapshot, desk.ledger, key), "again": True}}
    return {}


def _asked_for(desk: Desk, person: str, page: Page, query: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Give the items, by their keys, that an address asks for by a picture of theirs: what was undone, for example."""
    if isinstance(page, Duplicates) and query.get("pair"):
        with suppress(InputError):  # it is said that it cannot be shown
            item = page.pair(desk.snapshot, desk.ledger, query["pair"])
            return {item["image_id"]: item}
    wanted = dict.fromkeys(filter(is_image_id, query.get("first", ())))
    keys = [key for key in page.keys(desk.snapshot, desk.ledger.seen_by(person), {}) if key in wanted] if wanted else []
    found = {}
    for key in keys or wanted:
        with suppress(InputError):  # it is no picture of this page
            found[key] = page.item(desk.snapshot, ledger_of(desk, person, page), key)
    return found


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
