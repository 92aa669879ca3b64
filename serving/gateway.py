"""Answer pictures, and remember each answer before it is given.

Of one picture: it is prepared, then kept on the disk, then a row says that it is under way while the model looks at it,
then the row says what is answered, and only then is it answered.
"""

import asyncio
import logging
import random
import sqlite3
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from runtime.errors import InputError
from serving import late_feedback, transactions
from serving.activation import Task, explaining
from serving.advice import Advice
from serving.clients import Users
from serving.clock import MACHINE, Clock
from serving.log import Log, probe
from serving.models import Embedded, Model, ModelError, Reply
from serving.pictures import Pictures, image_id_of
from serving.prepare import Prepared, Refused
from serving.processes import DiedError, Processes
from serving.transaction_id import new_id
from serving.transactions import ANSWERED, FAILED, REFUSED, UNDER_WAY

log = logging.getLogger(__name__)

OK, UNAVAILABLE = 200, 503
CANNOT_LOG = "The answer cannot be kept in the log, and nothing is answered that is not. Try again later."
_NO_MODEL = "The model does not answer at the moment. Try again in a few seconds."
_NOT_PREPARED = "The picture could not be looked at. Try again in a few seconds, or with another picture."
# Longer than any phone's name and version.
_LONGEST_CLIENT = 100
_LONGEST_ERROR = 300
_MOST_SHADOWS = 16  # under way at once


class Sent(NamedTuple):
    """What somebody sent."""

    data: bytes
    read_ms: float
    client: str  # what it says of its build
    user: str  # whatever tells users apart


class Answer(NamedTuple):
    """What is answered."""

    status: int  # of HTTP
    body: dict[str, Any]


class Second(NamedTuple):
    """A second model beside the first.

    Attributes:
        model: the model.
        share: of the pictures that it answers in place of the first, 0 to 1; None for a shadow, which answers nobody.
    """

    model: Model
    share: float | None


class CannotLogError(Exception):
    """The log or the folder of pictures cannot be written."""


class Gateway:
    """What answers pictures.

    Args:
        folder: of the log and the pictures.
        log: open in that folder.
        preparing: processes that prepare pictures.
        model: that answers.
        second: a second one, for comparing the two.
        advice: what users are told.
        clock: by which rows and identities have their times.
    """

    def __init__(
        self,
        folder: Path,
        log: Log,
        preparing: Processes,
        model: Model,
        second: Second | None,
        advice: Advice,
        clock: Clock = MACHINE,
    ) -> None:
        self.log, self.preparing, self.model, self.second = log, preparing, model, second
        self.pictures = Pictures(folder / "pictures")
        self._users = Users(folder / "salt.json", clock.now)
        self._advice, self._clock = advice, clock
        self._explaining: asyncio.Future[Processes] | None = None
        self._shadows: set[asyncio.Task[None]] = set()
        self._shadow_sides: set[int] = set()  # of what the shadow takes, once it has said so
        self._probing: asyncio.Future[bool] | None = None
        self.observe: Callable[[str, float], None] = lambda part, milliseconds: None
        self.replica = log.replica()

    async def identify(self, sent: Sent) -> Answer:
        """Answer a picture.

        Raises:
            CannotLogError: nothing was answered.
        """
        started = time.perf_counter() - sent.read_ms / 1000
        received = self._clock.now()
        row: dict[str, Any] = {
            "transaction_id": new_id(received, self._clock.random_bits),
            "received_at": received,
            "replica": self.replica,
            "bytes": len(sent.data),
            "client": sent.client[:_LONGEST_CLIENT] or None,
            "read_ms": sent.read_ms,
        }
        row["user_hash"] = self._user_hash(sent.user)
        model = self._chosen()
        try:
            sides = {await model.side(), *self._shadow_sides} - {None}
            prepared = await self._timed(row, "prepare_ms", self._prepare(sent.data, sides))
        except Exception as error:
            words = _NO_MODEL if isinstance(error, ModelError) else _NOT_PREPARED
            return await self._without_picture(row, FAILED, UNAVAILABLE, words, started, _reason(error))
        if isinstance(prepared, Refused):
            return await self._without_picture(row, REFUSED, prepared.status, prepared.words, started, prepared.words)
        return await self._answer(row, model, prepared, started)

    async def feedback(self, transaction: str, feedback: str, comment: str | None) -> bool:
        """Note what a user says of an answer, also where its row was shipped.

        Returns:
            Whether the log knows the transaction.

        Raises:
            CannotLogError: nothing was noted.
        """
        said = {"feedback": feedback, "comment": comment, "feedback_at": self._clock.now()}
        noted: bool = await self._logged(partial(late_feedback.note, transaction=transaction, said=said))
        return noted

    async def explain(self, transaction: str) -> bytes | None:
        """Draw over a picture where the model saw its best class.

        Returns:
            A PNG; None where there is no such transaction with a picture here.

        Raises:
            InputError: the export that answered is not here, or cannot be explained.
            DiedError: the process that draws ended.
            CannotLogError: the log cannot be read.
        """
        row = await self._logged(partial(_answered, transaction=transaction))
        if row is None:
            return None
        processes = await self._explainer()
        try:
            picture = await asyncio.to_thread(self.pictures.path(row["image_id"]).read_bytes)
        except FileNotFoundError:  # shipped or forgotten meanwhile
            return None
        folders = [model.export(row["version"]) for model in self._models()]
        export = next((folder for folder in folders if folder.exists()), folders[0])
        try:
            drawn: bytes = await asyncio.wrap_future(processes.do(Task(export, row["class_1"], picture)))
        except InputError:
            raise
        except Exception as error:
            raise DiedError(_reason(error)) from error
        return drawn

    async def is_ready(self) -> bool:
        """Say whether a picture would be answered: by writing, on the log's disk, what is then removed again."""
        if self._probing is None or self._probing.done():  # however many ask at once, it is tried once
            self._probing = asyncio.ensure_future(self._probe())
        return await asyncio.shield(self._probing)

    def restarts(self) -> int:
        """Count the processes that were started again."""
        models = [each for each in self._models() if isinstance(each, Embedded)]
        return self.preparing.restarts + sum(each.processes.restarts for each in models)

    async def close(self) -> None:
        """Wait for shadows, and end what was started, the log last."""
        async with AsyncExitStack() as ends:  # the last is ended first, and each of them whatever another one raises
            ends.push_async_callback(asyncio.to_thread, self.log.close)
            for model in self._models():
                ends.push_async_callback(model.close)
            ends.push_async_callback(asyncio.to_thread, self.preparing.close)
            ends.push_async_callback(self._end_explaining)
            if self._shadows:
                await asyncio.wait(self._shadows, timeout=10)

    async def _end_explaining(self) -> None:
        if self._explaining is None:
            return
        try:
            processes = await self._explaining
        except Exception:  # it did not start, which whoever asked was told
            return
        await asyncio.to_thread(processes.close)

    async def _explainer(self) -> Processes:
        """Give the process that draws, which the first who asks starts; one that failed to start is tried again."""
        starting = self._explaining
        if starting is None or (starting.done() and starting.exception()):
            starting = self._explaining = asyncio.ensure_future(asyncio.to_thread(Processes, "explaining", explaining))
        return await asyncio.shield(starting)

    async def _probe(self) -> bool:
        try:
            await self._logged(probe)
            await asyncio.to_thread(self.pictures.probe)
        except (CannotLogError, OSError):
            return False
        return bool(self.preparing.pids) and await self.model.is_ready()

    def _models(self) -> list[Model]:
        return [self.model, self.second.model] if self.second else [self.model]

    def _chosen(self) -> Model:
        if self.second and self.second.share is not None and random.random() < self.second.share:
            return self.second.model
        return self.model

    def _user_hash(self, user: str) -> str:
        try:
            return self._users.hash_of(user)
        except OSError as error:
            raise CannotLogError(str(error)) from error

    async def _prepare(self, data: bytes, sides: set[int | None]) -> Prepared | Refused:
        prepared: Prepared | Refused = await asyncio.wrap_future(self.preparing.do((data, sides)))
        return prepared

    async def _timed(self, row: dict[str, Any], part: str, work: Any) -> Any:
        """Await work, and put into the row how long it took."""
        started = time.perf_counter()
        try:
            return await work
        finally:
            row[part] = 1000 * (time.perf_counter() - started)

    async def _answer(self, row: dict[str, Any], model: Model, prepared: Prepared, started: float) -> Answer:
        row |= {
            "width": prepared.width,
            "height": prepared.height,
            "format": prepared.format,
            "faults": ", ".join(prepared.faults) or None,
            "image_id": image_id_of(prepared.kept),
        }
        with self.pictures.in_use(row["image_id"]):
            try:
                await self._timed(row, "store_ms", asyncio.to_thread(self.pictures.store, prepared.kept))
            except OSError as error:
                raise CannotLogError(str(error)) from error
            begun = self.log.do(partial(transactions.insert, row=row | {"status": UNDER_WAY}))
            changes: dict[str, Any] = {}
            try:
                reply = await self._timed(changes, "model_ms", model.answer(prepared))
                answer = Answer(OK, self._body(row["transaction_id"], reply, prepared))
                changes |= _columns(reply)
            except Exception as error:
                changes |= {"status": FAILED, "error": _reason(error)}
                answer = _failed(UNAVAILABLE, _NO_MODEL, row["transaction_id"])
            except BaseException as error:  # the server ends: the row says so
                self._finish(row, changes | {"status": FAILED, "error": type(error).__name__}, 500, started)
                raise
            try:
                await asyncio.wrap_future(begun)
                await asyncio.wrap_future(self._finish(row, changes, answer.status, started))
            except sqlite3.Error as error:
                raise CannotLogError(str(error)) from error
        self._cast_shadow(row["transaction_id"], prepared)
        return answer

    def _finish(self, row: dict[str, Any], changes: dict[str, Any], status: int, started: float) -> Any:
        changes |= {
            "answered_at": self._clock.now(),
            "http_status": status,
            "total_ms": 1000 * (time.perf_counter() - started),
        }
        for part, value in (row | changes).items():
            if part.endswith("_ms"):
                self.observe(part.removesuffix("_ms"), value)
        return self.log.do(partial(transactions.update, transaction=row["transaction_id"], changes=changes))

    async def _without_picture(
        self, row: dict[str, Any], status: str, http_status: int, words: str, started: float, error: str
    ) -> Answer:
        """Log and answer what has no picture that could be kept."""
        total = 1000 * (time.perf_counter() - started)
        row |= {"status": status, "http_status": http_status, "error": error, "total_ms": total}
        await self._logged(partial(transactions.insert, row=row | {"answered_at": self._clock.now()}))
        return _failed(http_status, words, row["transaction_id"])

    async def _logged(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        try:
            return await asyncio.wrap_future(self.log.do(work))
        except sqlite3.Error as error:
            raise CannotLogError(str(error)) from error

    def _body(self, transaction: str, reply: Reply, prepared: Prepared) -> dict[str, Any]:
        answer, advice = None, self._advice.texts(prepared.faults, reply.in_scope is not False)
        if reply.shown:
            note = self._advice.classes.get(reply.classes[0])
            told = note.model_dump(exclude_none=True) if note else {}
            answer, advice = {"class": reply.classes[0], "confidence": reply.confidences[0], **told}, []
        return {
            "transaction": transaction,
            "version": reply.version,
            "threshold": reply.threshold,
            "answer": answer,
            "advice": advice,
        }

    def _cast_shadow(self, transaction: str, prepared: Prepared) -> None:
        """Have the shadow answer for the log, unless it is still busy with so many that it would never catch up."""
        if self.second and self.second.share is None and len(self._shadows) < _MOST_SHADOWS:
            task = asyncio.create_task(self._shadow(self.second.model, transaction, prepared))
            self._shadows.add(task)
            task.add_done_callback(self._shadows.discard)

    async def _shadow(self, model: Model, transaction: str, prepared: Prepared) -> None:
        try:
            side = await model.side()
            if side is not None and side not in prepared.pixels:  # it had not said so when the picture was prepared
                self._shadow_sides = {side}
                again = await self._prepare(prepared.kept, {side})
                prepared = again if isinstance(again, Prepared) else prepared
            reply = await model.answer(prepared)
        except Exception as error:
            log.info("gateway: the shadow did not answer (%s)", _reason(error))
            return
        changes = {
            "shadow_version": reply.version,
            "shadow_class": reply.classes[0],
            "shadow_confidence": reply.confidences[0],
            "shadow_shown": reply.shown,
        }
        self.log.do(partial(transactions.update, transaction=transaction, changes=changes))


def _columns(reply: Reply) -> dict[str, Any]:
    best = enumerate(zip(reply.classes, reply.confidences, strict=True), start=1)
    ranked = {
        name: value
        for rank, (class_name, confidence) in best
        for name, value in ((f"class_{rank}", class_name), (f"confidence_{rank}", confidence))
    }
    return {
        "version": reply.version,
        "threshold": reply.threshold,
        **ranked,
        "scores": reply.scores,
        "embedding": reply.embedding,
        "in_scope": reply.in_scope,
        "scope_distance": reply.scope_distance,
        "shown": reply.shown,
        "status": ANSWERED,
    }


def _reason(error: Exception) -> str:
    """Say in the row why there is no answer; what is neither of the two kinds that are expected is a bug of ours."""
    if isinstance(error, DiedError | ModelError):
        return str(error)
    log.error("gateway: a bug of ours; a picture was not answered", exc_info=error)
    return f"{type(error).__name__}: {error}"[:_LONGEST_ERROR]


def _failed(status: int, words: str, transaction: str) -> Answer:
    return Answer(status, {"transaction": transaction, "error": words})


def _answered(connection: sqlite3.Connection, transaction: str) -> sqlite3.Row | None:
    found: sqlite3.Row | None = connection.execute(
        "SELECT image_id, version, class_1 FROM transactions WHERE transaction_id = ? AND status = ?",
        [transaction, ANSWERED],
    ).fetchone()
    return found
