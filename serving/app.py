"""The gateway over HTTP: its routes, what is refused before a picture is looked at, and the page."""

import asyncio
import math
import re
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.security import APIKeyHeader, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime.errors import InputError
from serving.clients import Keys, Places, Rates
from serving.gateway import CANNOT_LOG, UNAVAILABLE, Answer, CannotLogError, Gateway, Sent
from serving.keeper import Keeper
from serving.metrics import KIND, Metrics
from serving.processes import DiedError
from serving.requests import FULL, MAX_BYTES, Bodies, RefusedError, read_json, read_picture

_FOLDER = Path(__file__).parent
# Nothing from another host, nothing inline; a photo that was just taken is shown from the browser's memory.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_RETRY_SECONDS = 1
_EXPLANATIONS = 4  # that may be drawn at once: they take no place of an answer
_BODIES_PER_PLACE = 8  # a picture may take 30 s to arrive, and less than a second to be answered
_UNKNOWN = "There is no such transaction here."
_REFUSALS = (RefusedError, HTTPException, CannotLogError)
_NO_TRANSACTION = "There is no such transaction here, or it has gone to the archive."
_NOT_DRAWN = "The picture could not be drawn. Try again in a few seconds."
_TRANSACTION = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
Transaction = Annotated[str, Field(pattern=_TRANSACTION)]


class Told(BaseModel):
    """What the user is told that the picture shows."""

    model_config = ConfigDict(populate_by_name=True)
    class_name: Annotated[str, Field(alias="class")]
    confidence: Annotated[float, Field(ge=0, le=100)]
    note: str | None = None
    special: str | None = None


class Identified(BaseModel):
    """The answer to a picture: below the threshold `answer` is null, and `advice` says what makes a better picture."""

    transaction: Transaction
    version: int
    threshold: float
    answer: Told | None
    advice: list[str]


class Problem(BaseModel):
    """Why there is no answer, in words that users may be shown."""

    error: str
    transaction: Transaction | None = None


class Feedback(BaseModel):
    """What a user says of an answer."""

    model_config = ConfigDict(extra="forbid")
    transaction: Transaction
    feedback: Literal["right", "wrong"]
    comment: Annotated[str, Field(max_length=500)] | None = None


class Noted(BaseModel):
    """The feedback is in the log."""

    transaction: Transaction


class State(BaseModel):
    """Whether the gateway lives, or is ready."""

    ok: bool


_RETRY_AFTER = {"Retry-After": {"description": "Seconds after which to ask again", "schema": {"type": "integer"}}}
_KEY = {"WWW-Authenticate": {"description": "How a key may be sent", "schema": {"type": "string"}}}


def _problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    headers: dict[int, dict[str, Any]] = {401: _KEY, 429: _RETRY_AFTER, UNAVAILABLE: _RETRY_AFTER}
    return {status: {"model": Problem, "headers": headers.get(status, {})} for status in statuses}


# What people open as a table must not begin like a formula.
_BUILD = re.compile("[A-Za-z0-9][A-Za-z0-9 ._+/()-]{0,63}")


def _header(name: str, what: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": False, "description": what, "schema": {"type": "string"}}


# Described where keys are needed; it is the door that asks for one.
_BY_KEY = [Security(APIKeyHeader(name="X-API-Key", auto_error=False)), Security(HTTPBearer(auto_error=False))]
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}, "required": ["image"]}
_PICTURE = {
    "parameters": [
        _header("X-Client-Build", f"The client's build, for the log, where it matches {_BUILD.pattern}"),
        _header("X-Client-User", "Whatever tells the client's users apart; only a hash of it is kept, for a day"),
    ],
    "requestBody": {
        "required": True,
        "content": {"image/*": _BINARY, "multipart/form-data": {"schema": _FORM}},
    },
}


_SAID = {"requestBody": {"required": True, "content": {"application/json": {"schema": Feedback.model_json_schema()}}}}


class Door:
    """Who comes in: those with a key, each not too often, and not more at once than can be answered in time.

    Args:
        keys: of the API.
        rates: of clients.
        most: pictures that may be under way at once.
        within: seconds in which an answer should be there: no more come in than that allows; 0 for `most`.
    """

    def __init__(self, keys: Keys, rates: Rates, most: int, within: float) -> None:
        self._keys, self._rates = keys, rates
        self.needs_key = keys.are_needed
        self.answers, self.explanations = Places(most, within), Places(_EXPLANATIONS, 0)
        self.bodies = Bodies(_BODIES_PER_PLACE * most, (most + 1) * MAX_BYTES)

    def require(self, request: Request) -> str:
        """Refuse who has no key, or asks too often.

        Returns:
            What tells clients apart.
        """
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        key = request.headers.get("x-api-key", bearer)
        if not self._keys.allow(key):
            raise HTTPException(
                401, "This needs a key: send it as the header X-API-Key.", {"WWW-Authenticate": "Bearer"}
            )
        # Where no key is needed, one that is made up is no other client.
        client = key if self._keys.are_needed else request.client.host if request.client else ""
        wait = self._rates.wait_seconds(client)
        if wait:
            seconds = math.ceil(wait)
            raise HTTPException(429, f"You ask too often. Try again in {seconds} s.", {"Retry-After": str(seconds)})
        return client


@contextmanager
def _taken(places: Places) -> Iterator[None]:
    """Take a place, or refuse at once."""
    _require(places)
    with places.one_more():
        yield


def _require(places: Places) -> None:
    """Refuse at once where no place is free."""
    if not places.is_free():
        raise RefusedError(429, FULL)


def make_app(gateway: Gateway, door: Door, keeper: Keeper) -> FastAPI:
    """Make the application.

    Args:
        gateway: that answers; it is closed with the application.
        door: who comes in.
        keeper: of the log; likewise.
    """
    metrics, by_key = Metrics(), _BY_KEY if door.needs_key else []
    gateway.observe = metrics.observe
    metrics.watch("gateway_under_way", "Pictures under way", lambda: door.answers.num)
    metrics.watch("gateway_bodies", "Pictures that arrive or are under way", lambda: door.bodies.num)
    metrics.watch("gateway_restarts", "Processes that were started again", gateway.restarts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(keeper.close)
        await gateway.close()

    app = FastAPI(
        title="Retrain gateway",
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # what is no path of ours is refused, as is described
    )
    _handle_errors(app)
    page = jinja2.Environment(autoescape=True).from_string((_FOLDER / "page.html").read_text(encoding="utf-8"))

    async def asked(request: Request) -> Answer:
        client = door.require(request)
        _require(door.answers)  # before a picture is sent in vain
        with door.bodies.one_more() as keep:
            sent = await _sent(request, client, keep)
            with _taken(door.answers):  # not while it arrives: slow ones would keep all others out
                return await gateway.identify(sent)

    async def identified(request: Request) -> Answer:
        try:
            answer = await asked(request)
        except _REFUSALS as error:
            metrics.answers.labels(str(_problem_of(error)[0])).inc()
            raise
        metrics.answers.labels(str(answer.status)).inc()
        if "version" in answer.body:
            metrics.shown.labels(answer.body["version"], answer.body["answer"] is not None).inc()
        return answer

    @app.post(
        "/v1/identify", response_model=Identified, openapi_extra=_PICTURE, dependencies=by_key,
        responses=_problems(400, 401, 408, 413, 415, 422, 429, 503),
    )  # fmt: skip
    async def identify(request: Request) -> Response:
        """Say what a picture shows, and keep both in the log."""
        answer = await identified(request)
        return JSONResponse(answer.body, answer.status, _retry(answer.status))

    @app.post(
        "/v1/feedback", openapi_extra=_SAID, dependencies=by_key,
        responses=_problems(400, 401, 404, 408, 413, 415, 422, 429, 503),
    )  # fmt: skip
    async def feedback(request: Request) -> Noted:
        """Note what a user says of an answer."""
        door.require(request)
        said = _feedback(await read_json(request))
        if not await gateway.feedback(said.transaction, said.feedback, said.comment):
            raise HTTPException(404, _UNKNOWN)
        return Noted(transaction=said.transaction)

    @app.get(
        "/v1/explain/{transaction}", response_class=Response, dependencies=by_key,
        responses={200: {"content": {"image/png": {}}}, **_problems(401, 404, 422, 429, 503)},
    )  # fmt: skip
    async def explain(request: Request, transaction: Transaction) -> Response:
        """Draw over a picture where the model saw its best class, as PNG."""
        door.require(request)
        with _taken(door.explanations):
            try:
                drawn = await gateway.explain(transaction)
            except InputError as error:
                raise HTTPException(404, f"The export that answered cannot explain itself: {error}") from None
            except DiedError:
                raise HTTPException(UNAVAILABLE, _NOT_DRAWN, _retry(UNAVAILABLE)) from None
        if drawn is None:
            raise HTTPException(404, _NO_TRANSACTION)
        return Response(drawn, media_type="image/png")

    @app.get("/healthz")
    async def healthz() -> State:
        """Say that the gateway lives."""
        return State(ok=True)

    @app.get("/readyz", response_model=State, responses={503: {"model": State}})
    async def readyz() -> Response:
        """Say whether a picture would be answered: the log can be written, and the model answers."""
        ok = await gateway.is_ready()
        return JSONResponse({"ok": ok}, 200 if ok else UNAVAILABLE)

    @app.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Give counts and times to Prometheus."""
        with suppress(sqlite3.Error):  # then they are those of before
            num_rows, seconds = await asyncio.to_thread(keeper.unshipped)
            metrics.unshipped_rows.set(num_rows)
            metrics.unshipped_seconds.set(seconds)
        return Response(metrics.text(), media_type=KIND)

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return HTMLResponse(page.render(answer=None))

    @app.post("/", include_in_schema=False)
    async def index_without_script(request: Request) -> HTMLResponse:
        try:
            answer = await identified(request)
        except _REFUSALS as error:
            status, words = _problem_of(error)
            answer = Answer(status, {"error": words})
        return HTMLResponse(page.render(answer=answer.body), answer.status)

    @app.get("/favicon.ico", include_in_schema=False, status_code=204)
    async def no_icon() -> None: ...

    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        app.add_api_route(f"/{name}", _file(name, kind), include_in_schema=False)
    return app


def _feedback(body: bytes) -> Feedback:
    try:
        return Feedback.model_validate_json(body)
    except ValidationError as error:
        raise RefusedError(422, _first_of(error.errors(include_url=False))) from None


def _first_of(problems: Sequence[Any]) -> str:
    """Say the first of what is wrong with a request, and where."""
    return f"{'.'.join(map(str, problems[0]['loc'])) or 'body'}: {problems[0]['msg']}"


async def _sent(request: Request, client: str, keep: Callable[[int], None]) -> Sent:
    started = time.perf_counter()
    data = await read_picture(request, keep)
    build, user = request.headers.get("x-client-build", ""), request.headers.get("x-client-user", client)
    kept = build if _BUILD.fullmatch(build) else ""
    return Sent(data, 1000 * (time.perf_counter() - started), kept, user)


def _retry(status: int) -> dict[str, str]:
    return {"Retry-After": str(_RETRY_SECONDS)} if status in (429, UNAVAILABLE) else {}


def _file(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    content = (_FOLDER / name).read_bytes()

    async def give() -> Response:
        return Response(content, media_type=kind)

    return give


class _Headers:
    """Gives every response the headers that it has not set itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_more(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_more)


def _problem_of(error: RefusedError | HTTPException | CannotLogError) -> tuple[int, str]:
    """Say with which status a request is refused, and why."""
    if isinstance(error, RefusedError):
        return error.status, error.words
    return (error.status_code, error.detail) if isinstance(error, HTTPException) else (UNAVAILABLE, CANNOT_LOG)


def _handle_errors(app: FastAPI) -> None:
    """Give every refusal in one form, and every answer the same headers."""

    def problem(status: int, words: str, headers: dict[str, str] | None = None) -> JSONResponse:
        return JSONResponse({"error": words, "transaction": None}, status, headers)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return problem(error.status, error.words, _retry(error.status))

    @app.exception_handler(CannotLogError)
    async def cannot_log(_: Request, error: CannotLogError) -> JSONResponse:
        return problem(UNAVAILABLE, CANNOT_LOG, _retry(UNAVAILABLE))

    @app.exception_handler(HTTPException)
    async def not_so(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, error.detail, dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, _first_of([each | {"loc": each["loc"][1:]} for each in error.errors()]))

    app.add_middleware(_Headers)
