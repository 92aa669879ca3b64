"""`kill -9` of the gateway and of the model behind it, under load."""

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.gateway.kept import Kept, wrong_pictures
from bench.gateway.load import Outcome, load, open_loop, photos, print_statuses
from bench.gateway.processes import GATEWAY, MODEL, by_role
from bench.harness import print_table
from serving.transactions import ABORTED, UNDER_WAY
from tests.exports import write_export
from tests.gateways import Gateway

RATE = 40.0  # requests a second
SECONDS = 2.0  # of load around each kill
AFTER_SECONDS = 1.0  # of load before it, at most
TURNS = (MODEL, GATEWAY)


def kills(folder: Path, num_kills: int, within_ms: float) -> None:
    """Kill one and the other in turn, and compare what was answered with what is kept."""
    write_export(folder / "data/export")
    gateway, rng, data = Gateway(folder), random.Random(0), photos()
    killed: Counter[str] = Counter()
    outcomes: list[Outcome] = []
    under_way: set[str] = set()
    for number in range(num_kills):
        if not gateway.is_running():
            gateway.start()
        role = TURNS[number % 2]
        outcomes += asyncio.run(_killed_under_load(gateway, data, rng, role))
        killed[role] += 1
        if role == GATEWAY:
            under_way |= {row["transaction_id"] for row in gateway.rows() if row["status"] == UNDER_WAY}
    if not gateway.is_running():
        gateway.start()
    gateway.stop()
    rows = gateway.rows()
    aborted = {row["transaction_id"] for row in rows if row["status"] == ABORTED}
    kept = Kept.of(outcomes, rows)
    print(f"{RATE:g} photos a second, {load()}; killed: {dict(killed)}")
    print_statuses(outcomes, within_ms)
    print()
    print_table(["row", "number"], sorted(Counter(row["status"] for row in rows).items()))
    print()
    print_table(
        ["of these", "number"],
        [
            ("answers", kept.num_answers),
            ("answers without a row that says so", len(kept.unlogged)),
            ("rows without a picture", sum(row["image_id"] is None for row in rows)),
            ("rows whose picture is not there, or has another digest", len(wrong_pictures(rows, gateway.picture))),
            ("under way when the gateway was killed", len(under_way)),
            ("of them not aborted", len(under_way - aborted)),
            ("aborted that were not under way", len(aborted - under_way)),
        ],
    )


async def _killed_under_load(gateway: Gateway, data: Sequence[bytes], rng: random.Random, role: str) -> list[Outcome]:
    """Send photos, and kill a process meanwhile."""
    loaded = asyncio.create_task(open_loop(gateway.url, RATE, int(RATE * SECONDS), data))
    await asyncio.sleep(rng.uniform(0.1, AFTER_SECONDS))
    os.kill(by_role(gateway)[role], signal.SIGKILL)
    if role == GATEWAY:
        assert gateway.process
        await asyncio.to_thread(gateway.process.wait)
    return await loaded
