"""Twice what the gateway can carry."""

import asyncio
from pathlib import Path

from bench.gateway.load import closed_loop, load, open_loop, photos, print_statuses
from bench.gateway.processes import memory_bytes
from tests.exports import write_export
from tests.gateways import Gateway


def overload(folder: Path, seconds: float, within_ms: float) -> None:
    """Find out how much it carries, and send twice as much."""
    write_export(folder / "data/export")
    with Gateway(folder) as gateway:
        data = photos()
        asyncio.run(closed_loop(gateway.url, 8, 3, data))  # warm
        carried = asyncio.run(closed_loop(gateway.url, 8, seconds / 2, data))
        before = memory_bytes(gateway)
        outcomes = asyncio.run(open_loop(gateway.url, 2 * carried, int(2 * carried * seconds), data))
        after, rows = memory_bytes(gateway), {row["transaction_id"] for row in gateway.rows()}
    unlogged = [each for each in outcomes if each.status == 200 and each.body["transaction"] not in rows]
    print(f"it carries {carried:.0f} photos a second ({load()}); sent twice as many for {seconds:g} s")
    print(f"memory of all its processes: {before / 1e6:.0f} MB before, {after / 1e6:.0f} MB after")
    print(f"answers without a row: {len(unlogged)}")
    print_statuses(outcomes, within_ms)
