"""Frame: one picture, cropped and turned. Its copy takes its place, tied to it, so that neither leaks nor is lost.

The copy lies beside the original, in data/; `make intake` puts it under DVC. Pictures of benchmarks are
not framed: they stay as users send them, for a crop would make a test easier than the work is.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import jinja2
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from curation import copies
from curation.actions import FRAME, Row, page_of, why
from curation.crop import LEAST_SIDE, TURNED, Crop, cropped
from curation.forms import action_of, form_of, is_image_id, new_action, one, query_of, wants_json
from curation.frame import after, frame
from curation.ledger import Ledger
from curation.pages.page import Queue
from curation.pictures import Pictures
from curation.security import Person
from curation.snapshot import Snapshot
from curation.state import Desk
from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from stages.labels.decisions import Decision
from stages.labels.folders import DATA

NO_PICTURE = "this desk knows no such picture."


def add_framing(
    app: FastAPI, desk: Desk, pictures: Pictures, templates: jinja2.Environment, pages: Sequence[Queue]
) -> None:
    """Add the page and what is sent to it."""

    @app.get("/frame")
    def show_marked(request: Request, person: Person) -> Response:
        image_id = one(query_of(request), "image_id")
        if not is_image_id(image_id):
            raise InputError("no picture is marked. Mark one first.")
        return RedirectResponse(f"/frame/{image_id}", 303)

    @app.get("/frame/{image_id}")
    def show(request: Request, image_id: str, person: Person) -> Response:
        desk.refresh()
        contents = frame(desk, person, FRAME, pages) | _contents(desk, image_id)
        contents["back"] = _back(request.headers.get("referer", ""), pages)
        return HTMLResponse(templates.get_template("frame.html").render(**contents))

    @app.post("/frame")
    async def send(request: Request, person: Person) -> Response:
        form = await form_of(request)
        image_id, crop, back = one(form, "image_id"), _crop(form), _back(one(form, "back"), pages)
        path = await run_in_threadpool(frame_picture, desk, pictures, person, image_id, crop, action_of(form))
        if not wants_json(request):
            return RedirectResponse(back or f"/frame/{image_id}", 303)
        return JSONResponse({"said": "framed", "path": f"data/{path}", **after(desk, person)})


def frame_picture(desk: Desk, pictures: Pictures, person: str, image_id: str, crop: Crop, action: str) -> str:
    """Write the copy of a picture and what ties it to the original, as one action.

    Args:
        desk: its state.
        pictures: reads the original.
        person: who decides.
        image_id: of the original.
        crop: what is kept of it.
        action: id of the rows; one that is written already is not written twice.

    Returns:
        Path of the copy, relative to data/.

    Raises:
        RetrainError: the picture cannot be framed, or the disk refused; nothing was decided then.
    """
    with desk.lock:
        desk.refresh()
        snapshot = desk.snapshot
        path = file_of(snapshot, image_id)
        known = [each for each in desk.file(person).said if each.why.endswith(f":{action}")]
    if known:  # the answer to the same request was lost
        return copies.path_of(path, _copy_of(known))
    content = cropped(pictures.read(image_id, [path]), crop, snapshot.max_pixels)
    tie = image_id, md5_of_bytes(content)
    with desk.lock, desk.copies.changing([tie], desk.ties):
        if framed(desk.ledger, image_id):
            raise InputError("this picture was framed meanwhile. Nothing was written; look at it again.")
        target = copies.path_of(path, tie[1])
        copies.write(target, content)
        desk.say(person, _rows(desk, tie, crop, action))
        return target


def file_of(snapshot: Snapshot, image_id: str) -> str:
    """Choose the file beside which a picture's copy belongs, relative to data/.

    Raises:
        InputError: there is no such picture, its file is not here, or it judges the model.
    """
    paths = snapshot.paths(image_id)
    if not paths or image_id not in snapshot.files.index:
        raise InputError(NO_PICTURE)
    if any(path.startswith("benchmarks/") for path in paths):
        raise InputError(
            "this picture is in a benchmark, which stays as users send pictures: "
            "cropped, it would be an easier test than their work is."
        )
    used = snapshot.images["path"].get(image_id)
    found = next((path for path in [*filter(None, [used]), *paths] if (DATA / path).is_file()), None)
    if found is None:
        raise InputError(f"data/{paths[0]} is not here, so its copy has no place. `make pull` fetches it.")
    return str(found)


def framed(ledger: Ledger, image_id: str) -> str | None:
    """Give the copy that took the place of a picture; None where none did."""
    for (_, question), said in ledger.standing(image_id).items():
        last = list(said.values())[-1]
        is_tie = question == "pair" and last.decision == "duplicate" and page_of(last.why) == FRAME
        if is_tie and last.image_id == image_id:
            return last.value
    return None


def _rows(desk: Desk, tie: tuple[str, str], crop: Crop, action: str) -> list[Row]:
    """Write what people said of the original for the copy, tie the two, and take the original out of use."""
    original, copy = tie
    text = why(FRAME, crop.words, f"model {desk.snapshot.version}", action=action)
    label, fate = desk.ledger.answer(original, "label"), desk.ledger.answer(original, "fate")
    rows = [Row(copy, "relabel", label.value, text)] if label else []
    rows += [Row(copy, "keep", "", text)] if fate and fate.decision == "keep" else []
    return [*rows, Row(original, "duplicate", copy, text), Row(original, "remove", "", text)]


def _copy_of(rows: Sequence[Decision]) -> str:
    return next(each.value for each in rows if each.decision == "duplicate")


def _crop(form: dict[str, list[str]]) -> Crop:
    """Read a crop from a form.

    Raises:
        InputError: something is no number.
    """
    numbers = [one(form, name) for name in Crop._fields]
    if not all(each.isascii() and each.isdecimal() and len(each) < 7 for each in numbers):
        raise InputError("a crop is four whole numbers of pixels, and 0 to 3 quarter turns.")
    return Crop(*map(int, numbers))


def _contents(desk: Desk, image_id: str) -> dict[str, Any]:
    with desk.lock:
        path = file_of(desk.snapshot, image_id) if is_image_id(image_id) else None
        if path is None:
            raise InputError(NO_PICTURE)
        files = desk.snapshot.files
        copy = framed(desk.ledger, image_id)
        return {
            "image_id": image_id,
            "label": desk.label_of(image_id),
            "path": f"data/{path}",
            "width": int(files["width"][image_id]),
            "height": int(files["height"][image_id]),
            "least": LEAST_SIDE,
            "turned": TURNED,
            "copy": f"data/{copies.path_of(path, copy)}" if copy else None,
            "sent": new_action(),
        }


def _back(address: str, pages: Sequence[Queue]) -> str:
    """Give the path of an address of a page with a queue, from which somebody came; empty for any other."""
    parts = urlsplit(address)
    if not parts.path.startswith("/") or parts.path.split("/")[1] not in {page.name for page in pages}:
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
