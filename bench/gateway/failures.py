"""Failures under load, one after another: the disk full, the place to ship to away, the model slow, wrong and gone.

A failure begins after a third of the seconds, and ends after two. Rows are shipped each second all the while, see
bench/gateway/hourly.py. At the end the gateway is started again, and everything is shipped.
"""

import asyncio
import resource
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import fsspec
import pyarrow.parquet as pq

from bench.gateway.kept import Kept, Row, Shipped
from bench.gateway.load import Outcome, load, open_loop, photos
from bench.gateway.stub import RIGHT, SLOW, WRONG, Stub
from bench.harness import print_table
from runtime.digest import md5_of_bytes
from tests.azurite import Azurite, why_absent
from tests.exports import write_export
from tests.gateways import Gateway

RATE = 10.0  # requests a second
TIMEOUT_SECONDS = 1.0  # that the model may take
CONTAINER = "logs"
SHIPPED_SECONDS = 300.0  # within which all is shipped at the end; the client of Azure waits longer each time


class Failure(NamedTuple):
    """Something that fails, and is well again."""

    begin: Callable[[], object]
    end: Callable[[], object]


class Logged(NamedTuple):
    """Transactions that the log knows: those that are there, and those that it shipped."""

    waiting: set[str]
    shipped: set[str]


def failures(folder: Path, seconds: float) -> None:
    """Have one after another fail, and compare the place with the log."""
    if reason := why_absent():
        raise SystemExit(reason)
    write_export(folder / "data/export", threshold=0)
    with Azurite(folder / "azurite") as azurite, Stub() as stub:
        azurite.service().create_container(CONTAINER)
        options = ("--model", stub.url, "--timeout", f"{TIMEOUT_SECONDS:g}", "--ship-to", f"az://{CONTAINER}")
        gateway = Gateway(folder, *options, module="bench.gateway.hourly")
        gateway.environment["AZURE_STORAGE_CONNECTION_STRING"] = azurite.connection()
        with gateway:
            logged: set[str] = set()
            outcomes: list[Outcome] = []
            rows = []
            for name, failure in _failures(gateway, azurite, stub).items():
                sent, moments = asyncio.run(_failing(gateway.url, failure, seconds))
                known = _logged(gateway)
                now = known.waiting | known.shipped
                told = {outcome.body["transaction"] for outcome in sent if outcome.body.get("transaction")}
                rows.append((name, *_by_moment(sent, moments), len(now - logged), len(told - now), len(known.waiting)))
                logged |= now
                outcomes += sent
        with gateway:
            _wait_until_shipped(gateway)
        there = _rows_there(azurite)
        pictures = _pictures_there(azurite)
    print(f"{RATE:g} photos a second, {seconds:g} s of each, {load()}")
    columns = ["what fails", "before", "while it lasts", "after", "rows logged", "not logged", "not shipped yet"]
    print_table(columns, rows)
    print()
    _print_shipped(outcomes, logged, there, pictures)


def _failures(gateway: Gateway, azurite: Azurite, stub: Stub) -> Mapping[str, Failure]:
    assert gateway.process
    limit = partial(resource.prlimit, gateway.process.pid, resource.RLIMIT_FSIZE)
    free = limit()
    return {
        "nothing": Failure(lambda: None, lambda: None),
        "the disk is full": Failure(lambda: limit((0, free[1])), lambda: limit(free)),  # no file may grow
        "the place to ship to is away": Failure(azurite.stop, azurite.start),
        "the model is slow": Failure(partial(stub.become, manner=SLOW), partial(stub.become, manner=RIGHT)),
        "the model is wrong": Failure(partial(stub.become, manner=WRONG), partial(stub.become, manner=RIGHT)),
        "the model is gone": Failure(stub.kill, stub.start),
    }


async def _failing(url: str, failure: Failure, seconds: float) -> tuple[list[Outcome], tuple[float, float]]:
    """Send photos; gives what became of them, and when the failure began and ended."""
    loaded = asyncio.create_task(open_loop(url, RATE, int(RATE * seconds), photos()))
    moments = []
    for work in failure:
        await asyncio.sleep(seconds / 3)
        moments.append(time.perf_counter())
        await asyncio.to_thread(work)
    return await loaded, (moments[0], moments[1])


def _by_moment(outcomes: Sequence[Outcome], moments: tuple[float, float]) -> list[str]:
    """Count statuses before a failure, while it lasts, and after it."""
    counts: list[Counter[int]] = [Counter(), Counter(), Counter()]
    for outcome in outcomes:
        counts[sum(outcome.due > moment for moment in moments)][outcome.status] += 1
    return [", ".join(f"{number} x {status}" for status, number in sorted(each.items())) for each in counts]


def _logged(gateway: Gateway) -> Logged:
    connection = sqlite3.connect(f"file:{gateway.log / 'log.db'}?mode=ro", uri=True, isolation_level=None)
    try:
        connection.execute("BEGIN")  # a row that is shipped meanwhile is seen once
        tables = ("SELECT transaction_id FROM transactions", "SELECT transaction_id FROM shipped")
        return Logged(*({row[0] for row in connection.execute(table)} for table in tables))
    finally:
        connection.close()


def _wait_until_shipped(gateway: Gateway) -> None:
    end = time.monotonic() + SHIPPED_SECONDS
    while _logged(gateway).waiting:
        if time.monotonic() > end:
            raise SystemExit(f"not all is shipped after {SHIPPED_SECONDS:g} s; {gateway.folder / 'errors'} says why")
        time.sleep(1)


def _rows_there(azurite: Azurite) -> list[Row]:
    storage = fsspec.filesystem("az", connection_string=azurite.connection())
    files = [path for path in storage.find(CONTAINER) if path.endswith(".parquet")]
    return [row for path in files for row in pq.read_table(storage.open(path)).to_pylist()]


def _pictures_there(azurite: Azurite) -> set[str]:
    """List the pictures whose name has the digest of their bytes."""
    storage = fsspec.filesystem("az", connection_string=azurite.connection())
    digests = {path: md5_of_bytes(storage.cat_file(path)) for path in storage.find(f"{CONTAINER}/pictures")}
    return {digest for path, digest in digests.items() if path.endswith(f"/{digest}")}


def _print_shipped(outcomes: Sequence[Outcome], logged: set[str], there: Sequence[Row], pictures: set[str]) -> None:
    shipped = Shipped.of(logged, [row["transaction_id"] for row in there])
    kept = Kept.of(outcomes, there)
    lacking = [row for row in there if row["image_id"] and row["image_id"] not in pictures]
    print_table(["row at the place", "number"], sorted(Counter(row["status"] for row in there).items()))
    print()
    print_table(
        ["at the end", "number"],
        [
            ("transactions that the log had", len(logged)),
            ("not at the place", len(shipped.missing)),
            ("there more than once", len(shipped.repeated)),
            ("there, and never in the log", len(shipped.foreign)),
            ("answers", kept.num_answers),
            ("answers without a row there that says so", len(kept.unlogged)),
            ("rows whose picture is not there, or has another digest", len(lacking)),
        ],
    )
