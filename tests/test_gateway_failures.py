"""What fails behind the gateway: each answer has its row all the same, and nobody waits for what does not come."""

import asyncio
import json
import resource
import socket
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest
from exports import write_export
from gateways import Gateway as Running
from gateways import rows_of
from test_gateway import RED
from test_gateway_models import kserve, server, tensorflow_serving

from runtime.errors import InputError
from serving import gateway as module
from serving import late_feedback, transactions
from serving.advice import read_advice
from serving.gateway import Gateway, Sent
from serving.log import Log
from serving.models import Embedded
from serving.processes import DiedError, Processes
from serving.requests import Bodies, RefusedError
from serving.transaction_id import new_id
from stages.tables.exported import EXPORT, ONNX

pytestmark = pytest.mark.slow
SHADOW = "retrain"


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def shadowed(gateway, num: int) -> list[dict]:
    """Rows that the shadow has answered, waiting for so many."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        rows = [row for row in gateway.rows() if row["shadow_version"]]
        if len(rows) >= num:
            return rows
        time.sleep(0.1)
    raise AssertionError(f"the shadow answered {len(rows)} of {num}")


def test_a_shadow_that_is_away_or_silent_costs_no_answer_and_answers_as_soon_as_it_is_there(tmp_path):
    export = write_export(tmp_path / EXPORT)
    with Running(tmp_path, "--second", f"http://127.0.0.1:{free_port()}/v2/models/{SHADOW}") as gateway:
        assert [gateway.identify(RED)[0] for _ in range(3)] == [200] * 3
    speaks, answer = threading.Event(), kserve(export)

    def may_be_silent(path, body):
        speaks.wait(120)
        return answer(path, body)

    with server(may_be_silent) as url:
        options = ("--second", f"{url}/v2/models/{SHADOW}", "--timeout", "300")  # longer than we wait for an answer
        with Running(tmp_path, *options) as gateway:
            assert gateway.identify(RED)[0] == 200  # while the shadow says nothing
            speaks.set()
            assert [gateway.identify(RED)[0] for _ in range(3)] == [200] * 3
            assert {row["shadow_class"] for row in shadowed(gateway, 3)} == {"red"}


def test_while_all_places_are_taken_the_next_is_told_at_once_when_to_ask_again(tmp_path):
    export = write_export(tmp_path / EXPORT)
    speaks, answer = threading.Event(), tensorflow_serving(export)

    def silent(path, body):
        speaks.wait(120)
        return answer(path, body)

    with (
        server(silent) as url,
        ThreadPoolExecutor(1) as others,
        Running(tmp_path, "--model", f"{url}/v1/models/retrain", "--queue", "1", "--timeout", "300") as gateway,
    ):
        first = others.submit(gateway.identify, RED)
        end = time.monotonic() + 60
        while b"gateway_under_way 1.0" not in gateway.get("/metrics")[1] and time.monotonic() < end:
            time.sleep(0.05)
        status, body, headers = gateway.ask("POST", "/v1/identify", RED, Content_Type="image/jpeg")
        explained = gateway.get(f"/v1/explain/{new_id()}")
        assert not first.done()
        speaks.set()
        assert first.result()[0] == gateway.identify(RED)[0] == 200
    assert (status, headers["Retry-After"], json.loads(body)["transaction"]) == (429, "1", None)
    assert json.loads(body)["error"].startswith("More pictures wait than can be answered in time.")
    assert explained[0] == 404  # it takes no place of an answer
    assert [row["status"] for row in gateway.rows()] == ["answered", "answered"]


def test_pictures_that_are_slow_to_arrive_keep_no_other_out_until_there_is_no_room_for_more_of_them(tmp_path):
    write_export(tmp_path / EXPORT)
    most, head = 8, b"POST /v1/identify HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"

    def wait_for(num: int) -> None:
        end = time.monotonic() + 60
        while b"gateway_bodies %d.0" % num not in gateway.get("/metrics")[1]:
            assert time.monotonic() < end
            time.sleep(0.05)

    with Running(tmp_path, "--queue", "1") as gateway, ExitStack() as connections:
        stalled = [
            connections.enter_context(socket.create_connection(("127.0.0.1", gateway.port))) for _ in range(most)
        ]
        for connection in stalled[1:]:
            connection.sendall(head % len(RED) + RED[:10])
        wait_for(most - 1)
        assert gateway.identify(RED)[0] == 200
        stalled[0].sendall(head % len(RED) + RED[:10])
        wait_for(most)
        status, body, headers = gateway.ask("POST", "/v1/identify", RED, Content_Type="image/jpeg")
        assert (status, headers["Retry-After"]) == (429, "1")
        assert json.loads(body)["error"].startswith("More pictures wait")
        for connection in stalled:
            connection.sendall(RED[10:])
            assert connection.recv(12) == b"HTTP/1.1 200"
        wait_for(0)


def test_pictures_that_arrive_have_no_more_bytes_together_than_was_said_and_give_back_their_room():
    bodies = Bodies(3, 100)
    with bodies.one_more() as keep, bodies.one_more() as keep_too:
        keep(60)
        keep_too(40)
        with pytest.raises(RefusedError, match="More pictures wait"):
            keep_too(1)
    with bodies.one_more() as keep:
        keep(100)
    assert bodies.num == 0


@pytest.mark.parametrize(("kind", "path"), [(tensorflow_serving, "v1"), (kserve, "v2")])
def test_a_model_that_is_too_slow_is_no_answer_and_the_log_says_why(tmp_path, kind, path):
    speaks, answer = threading.Event(), kind(write_export(tmp_path / EXPORT))

    def slow(asked, body):
        if body is not None:  # what it takes, it says at once
            speaks.wait(120)
        return answer(asked, body)

    with (
        server(slow) as url,
        Running(tmp_path, "--model", f"{url}/{path}/models/retrain", "--timeout", "0.5") as gateway,
    ):
        status, body, headers = gateway.ask("POST", "/v1/identify", RED, Content_Type="image/jpeg")
        speaks.set()
    (row,) = gateway.rows()
    assert (status, headers["Retry-After"], json.loads(body)["transaction"]) == (503, "1", row["transaction_id"])
    assert (row["status"], row["http_status"]) == ("failed", 503)
    assert row["error"] == f"{url}/{path}/models/retrain does not answer: TimeoutError"


def test_while_the_model_cannot_be_started_all_are_told_so_at_once_and_logged(tmp_path):
    export = write_export(tmp_path / EXPORT)
    with Running(tmp_path) as gateway:
        model = (export / ONNX).read_bytes()
        (export / ONNX).write_bytes(b"damaged")
        kill_children(gateway)
        end, answers = time.monotonic() + 120, []  # the preparation was killed too, and comes back
        words = f"version 7 does not start: {Path(EXPORT, '007', ONNX)} is no model"
        while time.monotonic() < end and not (answers and words in str(gateway.rows()[-1]["error"])):
            answers.append(gateway.identify(RED))
        status, body = gateway.identify(RED)
        row = gateway.rows()[-1]
        assert status == 503
        assert words in row["error"]
        assert body["error"].startswith("The model does not answer")
        assert (row["transaction_id"], row["status"], row["http_status"]) == (body["transaction"], "failed", 503)
        assert gateway.get("/readyz")[0] == 503
        (export / ONNX).write_bytes(model)
        end = time.monotonic() + 120
        while time.monotonic() < end and gateway.identify(RED)[0] != 200:
            time.sleep(0.2)
        assert gateway.identify(RED)[0] == gateway.get("/readyz")[0] == 200


def kill_children(gateway) -> None:
    import os
    import signal

    for pid in gateway.children():
        os.kill(pid, signal.SIGKILL)


def test_where_nothing_can_be_written_the_gateway_is_not_ready_and_answers_nothing(tmp_path):
    write_export(tmp_path / EXPORT)
    with Running(tmp_path) as gateway:
        assert gateway.get("/readyz")[0] == 200
        before = len(gateway.rows())
        free = resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (0, free[1]))  # as on a full disk
        assert gateway.get("/readyz")[:2] == (503, b'{"ok":false}')
        status, body = gateway.identify(RED)
        assert (status, body["error"]) == (503, module.CANNOT_LOG)
        assert gateway.get("/healthz")[0] == 200
        resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, free)
        assert gateway.get("/readyz")[0] == gateway.identify(RED)[0] == 200
        assert len(gateway.rows()) == before + 1
        assert {path.name for path in (gateway.log / "pictures").glob("*/*")} == {gateway.rows()[-1]["image_id"]}


def test_a_large_or_foreign_feedback_is_refused_before_it_is_read_whole(tmp_path):
    write_export(tmp_path / EXPORT)
    with Running(tmp_path) as gateway:
        _, answer = gateway.identify(RED)
        said = {"transaction": answer["transaction"], "feedback": "wrong"}

        def say(body: bytes, kind: str = "application/json"):
            status, answered, _ = gateway.ask("POST", "/v1/feedback", body, Content_Type=kind)
            return status, json.loads(answered).get("error", "")

        assert say(b" " * 10**6 + json.dumps(said).encode())[0] == 413
        assert say(json.dumps(said).encode(), "text/plain") == (
            415,
            "This takes JSON (Content-Type: application/json).",
        )
        assert say(b"{")[0] == say(b"[]")[0] == say(b"")[0] == say(b'{"comment": "\\ud800"}')[0] == 422
        longest = json.dumps(said | {"comment": "\U0001f642" * 500}).encode()
        assert say(longest, "application/json; charset=utf-8") == (200, "")
        assert gateway.rows()[0]["comment"] == "\U0001f642" * 500


def broken():
    def work(_):
        return 1 // 0

    return work


@pytest.fixture
def gateway(tmp_path):
    """A gateway in this process, whose preparation has a bug."""
    folder = tmp_path / "log"
    model = Embedded(write_export(tmp_path / EXPORT), 10.0, 1)
    made = Gateway(folder, Log(folder), Processes("preparing", broken), model, None, read_advice())
    yield made
    asyncio.run(made.close())


SENT = Sent(RED, 1.0, "", "ann")


def test_feedback_is_noted_also_where_the_row_was_shipped_and_refused_where_there_never_was_one(gateway):
    shipped = new_id()
    insert = "INSERT INTO shipped VALUES (?, NULL, 'az://logs', 'day=2026-11-27/a_1-000001-0.parquet')"
    gateway.log.do(lambda connection: connection.execute(insert, [shipped])).result()
    assert asyncio.run(gateway.feedback(shipped, "wrong", "a bowl"))
    assert not asyncio.run(gateway.feedback(new_id(), "wrong", None))
    (row,) = gateway.log.do(late_feedback.waiting).result()
    assert (row["transaction_id"], row["feedback"], row["comment"], row["day"]) == (
        shipped, "wrong", "a bowl", "2026-11-27",
    )  # fmt: skip


def test_a_bug_of_ours_is_answered_in_words_and_has_a_row(gateway, tmp_path, caplog):
    answer = asyncio.run(gateway.identify(SENT))
    (row,) = rows_of(tmp_path / "log")
    assert (answer.status, answer.body["transaction"]) == (503, row["transaction_id"])
    assert (row["status"], row["http_status"], row["error"][:18]) == ("failed", 503, "ZeroDivisionError:")
    assert "a bug of ours" in caplog.text


def explained(gateway, folder: Path):
    """Ask the gateway to explain a transaction whose picture it has."""
    row = {"transaction_id": new_id(), "image_id": gateway.pictures.store(RED), "status": "answered", "version": 7}
    gateway.log.do(partial(transactions.insert, row=row | {"class_1": "red"})).result()
    return row["transaction_id"]


def test_a_start_of_explaining_that_failed_is_tried_again(gateway, tmp_path, monkeypatch):
    transaction = explained(gateway, tmp_path)

    async def ask_twice():
        with monkeypatch.context() as patch:
            patch.setattr(module, "explaining", partial(int, "no"))  # what the process is to start with
            with pytest.raises(DiedError, match="does not start"):
                await gateway.explain(transaction)
        return await gateway.explain(transaction)

    assert asyncio.run(ask_twice())[:4] == b"\x89PNG"


def refusing():
    raise InputError("there is nothing to explain with")


def test_a_start_of_explaining_that_was_refused_keeps_the_log_from_being_closed_as_little_as_another(
    gateway, tmp_path, monkeypatch
):
    transaction = explained(gateway, tmp_path)
    monkeypatch.setattr(module, "explaining", refusing)

    async def ask_and_close():
        with pytest.raises(InputError, match="nothing to explain with"):
            await gateway.explain(transaction)
        await gateway.close()

    asyncio.run(ask_and_close())
    Log(tmp_path / "log").close()  # nobody has it


def test_a_picture_that_is_gone_is_not_explained_and_a_class_that_the_export_lacks_is_said(gateway, tmp_path):
    transaction = explained(gateway, tmp_path)
    change = partial(transactions.update, transaction=transaction)
    gateway.log.do(partial(change, changes={"class_1": "a fish"})).result()

    async def ask():
        with pytest.raises(InputError, match="classes.json does not name 'a fish'"):
            await gateway.explain(transaction)
        gateway.pictures.remove(transactions_picture(tmp_path))
        return await gateway.explain(transaction)

    assert asyncio.run(ask()) is None


def transactions_picture(folder: Path) -> str:
    return rows_of(folder / "log")[0]["image_id"]


def test_a_log_that_fails_at_the_end_costs_the_answer_and_nothing_else(tmp_path):
    write_export(tmp_path / EXPORT)
    with Running(tmp_path) as gateway:
        gateway.identify(RED)
        # Somebody holds the database's lock for longer than the gateway waits for it.
        other = sqlite3.connect(gateway.log / "log.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        status, body = gateway.identify(RED)
        assert (status, body["error"]) == (503, module.CANNOT_LOG)
        assert gateway.get("/readyz")[0] == 503
        other.execute("ROLLBACK")
        other.close()
        assert gateway.identify(RED)[0] == 200
    assert [row["status"] for row in gateway.rows()] == ["answered", "answered"]
