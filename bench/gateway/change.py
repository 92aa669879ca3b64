"""Another version under load: behind a server of models, and one replica after the other.

A server changes its version while the gateway runs: forth and back at first, as after a promotion that is taken back,
and then for good. An embedded model changes as `kubectl set env statefulset/gateway VERSION=...` does it: each of two
replicas gets no more requests, answers those that it has, ends, and starts again with the new version.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.gateway.kept import Expected, other_versions
from bench.gateway.load import NUM_PHOTOS, Outcome, load, open_loop_while, photos
from bench.gateway.stub import CONFIDENCES, Stub
from bench.harness import print_table
from serving.onnx_model import OnnxModel
from tests.exports import CLASSES, write_export
from tests.gateways import Gateway

RATE = 20.0  # requests a second
SWITCHES = (8, 7, 8, 7, 8, 7, 8)
SWITCH_SECONDS = 0.5
SHARPNESS = {7: 0.1, 8: 0.02}  # of the embedded model, by version: never the same confidence
COLUMNS = ["version changes", "answers by version", "another version than said", "no answer", "p95 ms before"]
COLUMNS += ["while it changes", "after", "within {:,.0f} ms"]


def change(folder: Path, seconds: float, within_ms: float) -> None:
    """Change the version in both ways, with load for half of the seconds before and after."""
    rows = [_behind_a_server(folder / "server", seconds / 2), _of_replicas(folder / "replicas", seconds / 2)]
    print(f"{RATE:g} photos a second, {load()}")
    columns = [column.format(within_ms) for column in COLUMNS]
    in_time = [sum(each.status == 200 and 1000 * each.seconds <= within_ms for each in sent) for _, sent in rows]
    print_table(columns, [(*row, number) for (row, _), number in zip(rows, in_time, strict=True)])


def _behind_a_server(folder: Path, seconds: float) -> tuple[Sequence[object], list[Outcome]]:
    exports = {version: write_export(folder / "data/export", version, threshold=0) for version in CONFIDENCES}
    expected = {version: [(CLASSES[0], CONFIDENCES[version][0])] * NUM_PHOTOS for version in exports}
    with Stub() as stub, Gateway(folder, "--model", stub.url) as gateway:

        async def switch(_: list[str]) -> None:
            for version in SWITCHES:
                await asyncio.to_thread(stub.become, version=version)
                await asyncio.sleep(SWITCH_SECONDS)

        outcomes, moments = asyncio.run(_loaded([gateway.url], switch, seconds))
        return _row("behind a server", outcomes, gateway.rows(), expected, moments), outcomes


def _of_replicas(folder: Path, seconds: float) -> tuple[Sequence[object], list[Outcome]]:
    exports = {version: write_export(folder, version, 0, sharpness) for version, sharpness in SHARPNESS.items()}
    expected = {version: _answers(export) for version, export in exports.items()}
    for old, new in zip(*expected.values(), strict=True):
        assert abs(old[1] - new[1]) > 1, (old, new)
    before, after = ([Gateway(folder / name, "--model", exports[version]) for name in "ab"] for version in exports)
    for gateway in before:
        gateway.start()

    async def roll(urls: list[str]) -> None:
        for old, new in zip(before, after, strict=True):
            urls.remove(old.url)
            while b"gateway_under_way 0.0" not in (await asyncio.to_thread(old.get, "/metrics"))[1]:
                await asyncio.sleep(0.05)
            await asyncio.to_thread(old.stop)
            await asyncio.to_thread(new.start)
            urls.append(new.url)

    try:
        outcomes, moments = asyncio.run(_loaded([gateway.url for gateway in before], roll, seconds))
        rows = [row for gateway in after for row in gateway.rows()]
    finally:
        for gateway in (*before, *after):
            if gateway.is_running():
                gateway.stop()
    return _row("one replica after the other", outcomes, rows, expected, moments), outcomes


async def _loaded(
    urls: list[str], work: Callable[[list[str]], Awaitable[None]], seconds: float
) -> tuple[list[Outcome], tuple[float, float]]:
    """Do something under load; gives what became of the requests, and when it began and ended."""
    ended = asyncio.Event()
    loaded = asyncio.create_task(open_loop_while(urls, RATE, photos(), lambda _: not ended.is_set()))
    await asyncio.sleep(seconds)
    begun = time.perf_counter()
    await work(urls)
    done = time.perf_counter()
    await asyncio.sleep(seconds)
    ended.set()
    return await loaded, (begun, done)


def _row(
    name: str,
    outcomes: Sequence[Outcome],
    rows: Sequence[dict[str, Any]],
    expected: Expected,
    moments: tuple[float, float],
) -> Sequence[object]:
    answers = Counter(outcome.body["version"] for outcome in outcomes if outcome.status == 200)
    parts = np.searchsorted(moments, [outcome.due for outcome in outcomes])
    milliseconds = np.array([1000 * outcome.seconds for outcome in outcomes])
    p95 = [float(np.percentile(milliseconds[parts == part], 95)) for part in range(3)]
    by_version = ", ".join(f"{number} of {version:03d}" for version, number in sorted(answers.items()))
    num_errors = sum(outcome.status != 200 for outcome in outcomes)
    return [name, by_version, len(other_versions(outcomes, rows, expected)), num_errors, *p95]


def _answers(export: Path) -> list[tuple[str, float]]:
    model = OnnxModel(export, 10**8, 1)
    answers = map(model.answer, photos())
    return [(answer["classes"][0], answer["confidences"][0]) for answer in answers]
