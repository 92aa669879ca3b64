"""The gateway's own share of an answer, over a stub that answers at once."""

import asyncio
from pathlib import Path

import numpy as np

from bench.gateway.load import load, open_loop, photos, print_statuses
from bench.gateway.processes import processor_seconds
from bench.gateway.stub import Stub
from bench.harness import print_table
from tests.exports import write_export
from tests.gateways import Gateway


def share(folder: Path, rate: float, seconds: float, within_ms: float) -> None:
    """Measure the gateway's own share at a rate."""
    write_export(folder / "data/export")
    with Stub() as stub, Gateway(folder, "--model", stub.url) as gateway:
        data = photos()
        asyncio.run(open_loop(gateway.url, rate, int(rate), data))  # warm
        before, processor = len(gateway.rows()), processor_seconds(gateway)
        outcomes = asyncio.run(open_loop(gateway.url, rate, int(rate * seconds), data))
        processor = processor_seconds(gateway) - processor
        rows = gateway.rows()[before:]
    models = np.array([row["model_ms"] for row in rows])
    print(f"{rate:g} photos a second for {seconds:g} s, {load()}")
    print(f"{1000 * processor / len(outcomes):.1f} ms of processor time for each answer, all of its processes together")
    print_statuses(outcomes, within_ms)
    print()
    logged = {part: np.array([row[f"{part}_ms"] for row in rows]) for part in ("read", "prepare", "store", "total")}
    client = np.array([outcome.seconds * 1000 for outcome in outcomes])
    figures = {"as the client sees it": client, "in the gateway": logged["total"], "the model (stub)": models}
    figures |= {"in the gateway without the model": logged["total"] - models}
    figures |= {f"of that, {part}": logged[part] for part in ("read", "prepare", "store")}
    print_table(
        ["milliseconds", "median", "95th percentile", "99th percentile"],
        [(name, *map(float, np.percentile(values, [50, 95, 99]))) for name, values in figures.items()],
    )
