"""Files of every kind, and broken and hostile ones, through the gateway."""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import aiohttp
import numpy as np

from bench.gateway.kept import Row, says
from bench.gateway.load import Outcome, ask, load
from bench.gateway.processes import by_role, memory_bytes, peak_bytes
from bench.harness import print_table
from runtime import parameters
from serving.onnx_model import Answer, OnnxModel
from serving.start import MAX_PIXELS
from stages.images.errors import UnreadableError
from tests.exports import write_export
from tests.gateways import Gateway
from tests.hostile import hostile

SEED = 0
REFUSALS = (400, 413, 415, 422)
LOOK_SECONDS = 0.05  # between two looks at the memory


class Sent(NamedTuple):
    """A file, what the gateway said, and what the model says of the file as `evaluate` decodes it, if it can."""

    name: str
    outcome: Outcome
    expected: Answer | None


def hostile_files(folder: Path, number: int) -> None:
    """Send files one after another, and compare each answer with the model's own."""
    export = write_export(folder / "data/export", threshold=0)
    max_pixels = min(MAX_PIXELS, parameters.read(parameters.Fingerprint).max_pixels)
    model = OnnxModel(export, max_pixels, 1)
    sent: list[Sent] = []
    peaks: defaultdict[str, int] = defaultdict(int)
    together = 0
    with Gateway(folder) as gateway:
        begun = by_role(gateway)
        for name, data in islice(hostile(SEED, max_pixels), number):
            outcome, looked = asyncio.run(_sent(gateway, data))
            together = max(together, looked)
            for role, pid in by_role(gateway).items():
                peaks[role] = max(peaks[role], peak_bytes(pid))
            sent.append(Sent(name, outcome, _expected(model, data)))
        ended = by_role(gateway)
        rows = {row["transaction_id"]: row for row in gateway.rows()}
    differing = [each.name for each in sent if each.outcome.status == 200 and not _is_logged(each, rows)]
    refused = [each for each in sent if each.outcome.status != 200]
    wordless = [each.name for each in refused if each.outcome.status not in REFUSALS or not _words(each.outcome)]
    readable = [each for each in refused if each.expected]
    print(f"{len(sent)} files, {load()}")
    _print_seconds(sent)
    print()
    print_table(["process", "largest MB"], [(role, round(peak / 1e6)) for role, peak in sorted(peaks.items())])
    num_ended = len(begun.items() - ended.items())
    print(f"all at once, what they share counted once: {together / 1e6:.0f} MB; processes that ended: {num_ended}")
    print(f"answers that differ from the model's own: {differing or 'none'}")
    print(f"neither an answer nor a refusal in words: {wordless or 'none'}")
    print(f"refused, though `evaluate` reads them: {len(readable)}")
    for words, count in Counter(f"{each.outcome.status}, {_words(each.outcome)}" for each in readable).items():
        print(f"    {count} x {words}")


async def _sent(gateway: Gateway, data: bytes) -> tuple[Outcome, int]:
    """Send a file; gives the answer too, and the most bytes that all processes were seen to hold meanwhile."""
    async with aiohttp.ClientSession() as session:
        asked = asyncio.create_task(ask(session, gateway.url, data, time.perf_counter()))
        most = 0
        while not (await asyncio.wait([asked], timeout=LOOK_SECONDS))[0]:
            most = max(most, memory_bytes(gateway))
        return await asked, most


def _expected(model: OnnxModel, data: bytes) -> Answer | None:
    try:
        return model.answer(data)
    except UnreadableError:
        return None


def _is_logged(sent: Sent, rows: Mapping[str, Row]) -> bool:
    """Say whether the row of an answer has what the model says."""
    row = rows.get(sent.outcome.body["transaction"])
    return row is not None and sent.expected is not None and says(row, sent.expected)


def _words(outcome: Outcome) -> str:
    return str(outcome.body.get("error", ""))


def _print_seconds(sent: Sequence[Sent]) -> None:
    by_status: defaultdict[int, list[Sent]] = defaultdict(list)
    for each in sent:
        by_status[each.outcome.status].append(each)
    rows = []
    for status, files in sorted(by_status.items()):
        seconds = [each.outcome.seconds for each in files]
        slowest = files[int(np.argmax(seconds))].name
        rows.append((str(status), len(files), float(np.median(seconds)), max(seconds), slowest))
    print_table(["status", "files", "median s", "largest s", "of the file"], rows)
