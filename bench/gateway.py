"""Measure the gateway: its own share of an answer, what it does under twice its load, and what kills cost.

    python -m bench.gateway [share overload kills embedding] [--seconds 30] [--rate 50] [--kills 50]

Requests are sent at fixed times whatever became of those before (open loop), and each one's time counts from when it
should have been sent: a gateway that stalls is not spared the requests that waited. Photos are drawn, of 640 x 480
pixels. `share` asks a stub that speaks TensorFlow Serving's protocol and answers at once; `overload` and `kills` ask a
small embedded model. `embedding` asks the newest of data/export, with and without the embedding that the log keeps, in
turn; what counts is processor time of one thread.

Everything runs on this machine: client, gateway and model share its cores.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import aiohttp
import numpy as np
from aiohttp import web

from bench.harness import print_table
from serving.models import Exports
from serving.onnx_model import OnnxModel
from stages.tables.exported import EXPORT
from tests.exports import CLASSES, write_export
from tests.gateways import Gateway
from tests.pictures import draw, saved

NUM_PHOTOS = 40
SIZE = (640, 480)
PARTS = ("share", "overload", "kills", "embedding")
NUM_ANSWERS = 100  # of each kind, for the embedding
KILLED_RATE = 10.0  # requests a second while something is killed
AFTER_START_SECONDS = 1.0  # that a gateway answers before something of it is killed again, at most


class Outcome(NamedTuple):
    """What became of a request: the HTTP status, 0 where the connection ended, and what was answered."""

    status: int
    seconds: float
    body: dict[str, Any]


def photos() -> list[bytes]:
    """Draw photos."""
    return [saved(draw(seed, SIZE), "JPEG", quality=92) for seed in range(NUM_PHOTOS)]


async def open_loop(url: str, rate: float, num: int, data: Sequence[bytes]) -> list[Outcome]:
    """Send requests at fixed times, and wait for all."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        started = time.perf_counter()

        async def send(number: int) -> Outcome:
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            return await ask(session, url, data[number % len(data)], due)

        return await asyncio.gather(*(send(number) for number in range(num)))


async def closed_loop(url: str, clients: int, seconds: float, data: Sequence[bytes]) -> float:
    """Let clients ask one after the other; give the answers per second."""
    async with aiohttp.ClientSession() as session:
        end, num = time.perf_counter() + seconds, 0

        async def keep_asking(client: int) -> int:
            num = 0
            while time.perf_counter() < end:
                outcome = await ask(session, url, data[(client + num) % len(data)], time.perf_counter())
                num += outcome.status == 200
            return num

        num = sum(await asyncio.gather(*map(keep_asking, range(clients))))
        return num / seconds


async def ask(session: aiohttp.ClientSession, url: str, data: bytes, due: float) -> Outcome:
    """Send a photo."""
    try:
        async with session.post(f"{url}/v1/identify", data=data) as response:
            body = json.loads(await response.read())
            return Outcome(response.status, time.perf_counter() - due, body)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return Outcome(0, time.perf_counter() - due, {})


def serve_stub(port: int) -> None:
    """Answer as TensorFlow Serving does, always the same."""
    row = {"classes": CLASSES, "confidences": [90.0, 6.0, 4.0], "scores": [0.9, 0.06, 0.04], "version": 7}

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"predictions": [row]})

    async def status(_: web.Request) -> web.Response:
        return web.json_response({"model_version_status": [{"version": "7", "state": "AVAILABLE"}]})

    app = web.Application(client_max_size=2**26)
    app.add_routes([web.get("/v1/models/stub", status), web.post("/v1/models/stub:predict", answer)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


@contextmanager
def stub(port: int) -> Iterator[str]:
    """Run the stub in a process."""
    process = multiprocessing.get_context("spawn").Process(target=serve_stub, args=(port,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{port}/v1/models/stub"
    finally:
        process.kill()


def share(folder: Path, rate: float, seconds: float) -> None:
    """Measure the gateway's own share at a rate."""
    write_export(folder / "data/export")
    with stub(random.randrange(20_000, 30_000)) as url, Gateway(folder, "--model", url) as gateway:
        data = photos()
        asyncio.run(open_loop(gateway.url, rate, int(rate), data))  # warm
        before, processor = len(gateway.rows()), _processor_seconds(gateway)
        outcomes = asyncio.run(open_loop(gateway.url, rate, int(rate * seconds), data))
        processor = _processor_seconds(gateway) - processor
        rows = gateway.rows()[before:]
    models = np.array([row["model_ms"] for row in rows])
    totals = np.array([outcome.seconds * 1000 for outcome in outcomes])
    print(f"{rate:g} photos a second for {seconds:g} s, {_load()}: {_statuses(outcomes)}")
    print(f"{1000 * processor / len(outcomes):.1f} ms of processor time for each answer, all of its processes together")
    logged = {part: np.array([row[f"{part}_ms"] for row in rows]) for part in ("read", "prepare", "store", "total")}
    own = logged["total"] - models
    figures = {"as the client sees it": totals, "in the gateway": logged["total"], "the model (stub)": models}
    figures |= {"in the gateway without the model": own}
    figures |= {f"of that, {part}": logged[part] for part in ("read", "prepare", "store")}
    print_table(
        ["milliseconds", "median", "95th percentile", "99th percentile"],
        [(name, *map(float, np.percentile(values, [50, 95, 99]))) for name, values in figures.items()],
    )


def overload(folder: Path, seconds: float) -> None:
    """Send twice what it can carry."""
    write_export(folder / "data/export")
    with Gateway(folder) as gateway:
        data = photos()
        asyncio.run(closed_loop(gateway.url, 8, 3, data))  # warm
        carried = asyncio.run(closed_loop(gateway.url, 8, seconds / 2, data))
        before = _bytes(gateway)
        outcomes = asyncio.run(open_loop(gateway.url, 2 * carried, int(2 * carried * seconds), data))
        after, rows = _bytes(gateway), {row["transaction_id"]: row for row in gateway.rows()}
        unlogged = [each for each in outcomes if each.status == 200 and each.body["transaction"] not in rows]
    print(f"it carries {carried:.0f} photos a second ({_load()}); sent twice as many for {seconds:g} s")
    print(f"memory of all its processes: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after")
    print(f"answers without a row: {len(unlogged)}")
    print_table(
        ["status", "requests", "median ms", "95th percentile ms", "largest ms"],
        [
            (str(status), len(values), *map(float, np.percentile(values, [50, 95, 100])))
            for status, values in sorted(_by_status(outcomes).items())
        ],
    )


def kills(folder: Path, num_kills: int) -> None:
    """Kill the gateway and its processes in turn under load, and compare what was answered with what is kept."""
    write_export(folder / "data/export")
    gateway, rng, outcomes = Gateway(folder), random.Random(0), []
    data = photos()
    for number in range(num_kills):
        if number % 2 == 0:
            gateway.start()
        outcomes += asyncio.run(_under_load(gateway, data, rng, whole=number % 2 == 1))
    gateway.start()
    gateway.stop()
    rows = {row["transaction_id"]: row for row in gateway.rows()}
    answered = [each.body["transaction"] for each in outcomes if each.status == 200]
    lost = [each for each in answered if each not in rows or rows[each]["status"] != "answered"]
    bare = [row for row in rows.values() if row["image_id"] and not gateway.picture(row["image_id"]).is_file()]
    print(f"{num_kills} kills, of gateway and model in turn, at {KILLED_RATE:g} photos a second; {_load()}")
    print_table(["status", "requests"], [(str(key), len(each)) for key, each in sorted(_by_status(outcomes).items())])
    print_table(["row", "number"], sorted(Counter(row["status"] for row in rows.values()).items()))
    failed = sum(row["image_id"] is None for row in rows.values())
    print(
        f"answers: {len(answered)}; without an answered row: {len(lost)}; rows whose picture is not there: {len(bare)}"
    )
    print(f"rows that name no picture, since it could not even be prepared: {failed}")


async def _under_load(gateway: Gateway, data: Sequence[bytes], rng: random.Random, whole: bool) -> list[Outcome]:
    """Send photos, and kill the gateway or one of its processes meanwhile."""
    num = int(KILLED_RATE * 2)
    load = asyncio.create_task(open_loop(gateway.url, KILLED_RATE, num, data))
    await asyncio.sleep(rng.uniform(0.1, AFTER_START_SECONDS))
    assert gateway.process
    if whole:
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
    else:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(gateway.children()), signal.SIGKILL)
    return await load


def embedding(export: Path) -> None:
    """Print what an embedding adds to the processor time of an answer."""
    models = {"without": OnnxModel(export, 1, 1), "with": OnnxModel(export, 1, 1, embeds=True)}
    rng = np.random.default_rng(0)
    side = models["with"].side
    pictures = rng.integers(0, 256, (NUM_ANSWERS, side, side, 3), np.uint8)
    assert "embedding" in models["with"].answer_pixels(pictures[0])
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for picture in pictures:
        for name, model in models.items():
            started = time.process_time()
            model.answer_pixels(picture)
            seconds[name].append(time.process_time() - started)
    rows = [(name, *(1000 * np.percentile(each, (25, 50, 75)))) for name, each in seconds.items()]
    print_table(["embedding", "first quartile ms", "median ms", "third quartile ms"], rows)


def _by_status(outcomes: Sequence[Outcome]) -> dict[int, list[float]]:
    milliseconds: dict[int, list[float]] = {}
    for outcome in outcomes:
        milliseconds.setdefault(outcome.status, []).append(1000 * outcome.seconds)
    return milliseconds


def _statuses(outcomes: Sequence[Outcome]) -> str:
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{number} x {status}" for status, number in sorted(counts.items()))


def _processes(gateway: Gateway) -> list[int]:
    assert gateway.process
    return [gateway.process.pid, *gateway.children()]


def _bytes(gateway: Gateway) -> int:
    rollups = (Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in _processes(gateway))
    return sum(int(text.split("\nPss:")[1].split()[0]) * 1024 for text in rollups)


def _processor_seconds(gateway: Gateway) -> float:
    stats = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in _processes(gateway))
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def _load() -> str:
    return f"{os.cpu_count()} cores with a load of {os.getloadavg()[0]:.0f}"


def main() -> None:
    """Run the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=PARTS)
    for name, value in (("rate", 50.0), ("seconds", 30.0), ("kills", 50)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    arguments = parser.parse_args()
    for part in arguments.parts:
        with TemporaryDirectory() as folder:
            print(f"\n{part}", flush=True)
            if part == "share":
                share(Path(folder), arguments.rate, arguments.seconds)
            elif part == "overload":
                overload(Path(folder), arguments.seconds)
            elif part == "kills":
                kills(Path(folder), arguments.kills)
            else:
                embedding(Exports(Path(EXPORT)).newest())


if __name__ == "__main__":
    main()
