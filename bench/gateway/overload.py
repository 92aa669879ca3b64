"""Twice what the gateway can carry."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.gateway.load import closed_loop, load, open_loop, photos, print_statuses
from bench.gateway.processes import memory_bytes
from serving.models import Exports
from tests.gateways import Gateway


def overload(folder: Path, exports: Path, seconds: float, within_ms: float) -> None:
    """Find out how much it carries with the newest export, and send twice as much."""
    export = Exports(exports).newest()
    with Gateway(folder, "--model", export.resolve()) as gateway:
        data = photos()
        asyncio.run(closed_loop(gateway.url, 8, 3, data))  # warm
        carried = asyncio.run(closed_loop(gateway.url, 8, seconds / 2, data))
        before = memory_bytes(gateway)
        with watched(gateway) as sizes:
            outcomes = asyncio.run(open_loop(gateway.url, 2 * carried, int(2 * carried * seconds), data))
        rows = {row["transaction_id"] for row in gateway.rows()}
    unlogged = [each for each in outcomes if each.status == 200 and each.body["transaction"] not in rows]
    print(f"{export}: it carries {carried:.0f} photos a second ({load()}); sent twice as many for {seconds:g} s")
    print(f"memory of all its processes: {before / 1e6:.0f} MB before, at most {max(sizes) / 1e6:.0f} MB meanwhile")
    print(f"answers without a row: {len(unlogged)}")
    print_statuses(outcomes, within_ms)


@contextmanager
def watched(gateway: Gateway) -> Iterator[list[int]]:
    """Give the bytes of memory that a gateway's processes hold, once a second while the block goes on."""
    sizes, ended = [memory_bytes(gateway)], threading.Event()

    def watch() -> None:
        while not ended.wait(1):
            sizes.append(memory_bytes(gateway))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield sizes
    finally:
        ended.set()
        thread.join()
    sizes.append(memory_bytes(gateway))
