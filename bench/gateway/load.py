"""Requests at fixed times, and what became of them."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import aiohttp
import numpy as np

from bench.harness import print_table
from tests.pictures import draw, saved

NUM_PHOTOS = 40
SIZE = (640, 480)


class Outcome(NamedTuple):
    """What became of a request.

    Attributes:
        status: of HTTP; 0 where the connection ended.
        due: when it should have been sent, by time.perf_counter.
        seconds: from then to the answer.
        photo: which one was sent.
        body: what was answered.
    """

    status: int
    due: float
    seconds: float
    photo: int
    body: dict[str, Any]


def photos() -> list[bytes]:
    """Draw photos."""
    return [saved(draw(seed, SIZE), "JPEG", quality=92) for seed in range(NUM_PHOTOS)]


async def open_loop(url: str, rate: float, num: int, data: Sequence[bytes]) -> list[Outcome]:
    """Send requests at fixed times, and wait for all."""
    return await open_loop_while([url], rate, data, lambda number: number < num)


async def open_loop_while(
    urls: Sequence[str], rate: float, data: Sequence[bytes], goes_on: Callable[[int], bool]
) -> list[Outcome]:
    """Send requests at fixed times, to each URL in turn, and wait for all.

    Args:
        urls: may change meanwhile.
        rate: requests a second.
        data: photos, sent in turn.
        goes_on: says, of the number of a request, whether it is still to be sent.
    """
    connector, number, sent = aiohttp.TCPConnector(limit=0), 0, []
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=60)) as session:
        started = time.perf_counter()
        while goes_on(number):
            due = started + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            photo = number % len(data)
            sent.append(asyncio.create_task(ask(session, urls[number % len(urls)], data[photo], due, photo)))
            number += 1
        return await asyncio.gather(*sent)


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


async def ask(session: aiohttp.ClientSession, url: str, data: bytes, due: float, photo: int = 0) -> Outcome:
    """Send a photo."""
    try:
        async with session.post(f"{url}/v1/identify", data=data) as response:
            body = json.loads(await response.read())
            return Outcome(response.status, due, time.perf_counter() - due, photo, body)
    except (aiohttp.ClientError, OSError, TimeoutError):
        return Outcome(0, due, time.perf_counter() - due, photo, {})


def print_statuses(outcomes: Sequence[Outcome], within_ms: float) -> None:
    """Print what became of requests, by status, and how many of each had their answer in time."""
    rows = []
    for status in sorted({outcome.status for outcome in outcomes}):
        milliseconds = np.array([1000 * outcome.seconds for outcome in outcomes if outcome.status == status])
        in_time = int((milliseconds <= within_ms).sum())
        rows.append((str(status), len(milliseconds), in_time, *map(float, np.percentile(milliseconds, [50, 95, 100]))))
    columns = ["status", "requests", f"within {within_ms:,.0f} ms", "median ms", "95th percentile ms", "largest ms"]
    print_table(columns, rows)


def load() -> str:
    """Say what the machine does."""
    return f"{os.cpu_count()} cores with a load of {os.getloadavg()[0]:.0f}"
