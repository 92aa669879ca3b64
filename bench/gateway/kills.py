"""Kills of the gateway and its processes under load."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench.gateway.load import Outcome, load, open_loop, photos, print_statuses
from bench.harness import print_table
from tests.exports import write_export
from tests.gateways import Gateway

RATE = 10.0  # requests a second while something is killed
AFTER_SECONDS = 1.0  # that a gateway answers before something of it is killed again, at most


def kills(folder: Path, num_kills: int, within_ms: float) -> None:
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
    print(f"{num_kills} kills, of gateway and model in turn, at {RATE:g} photos a second; {load()}")
    print_statuses(outcomes, within_ms)
    print()
    print_table(["row", "number"], sorted(Counter(row["status"] for row in rows.values()).items()))
    failed = sum(row["image_id"] is None for row in rows.values())
    print(
        f"answers: {len(answered)}; without an answered row: {len(lost)}; rows whose picture is not there: {len(bare)}"
    )
    print(f"rows that name no picture, since it could not even be prepared: {failed}")


async def _under_load(gateway: Gateway, data: Sequence[bytes], rng: random.Random, whole: bool) -> list[Outcome]:
    """Send photos, and kill the gateway or one of its processes meanwhile."""
    loaded = asyncio.create_task(open_loop(gateway.url, RATE, int(RATE * 2), data))
    await asyncio.sleep(rng.uniform(0.1, AFTER_SECONDS))
    assert gateway.process
    if whole:
        gateway.process.send_signal(signal.SIGKILL)
        gateway.process.wait()
    else:
        with suppress(ProcessLookupError):
            os.kill(rng.choice(gateway.children()), signal.SIGKILL)
    return await loaded
