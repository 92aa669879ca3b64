"""Prepare a thousand broken and hostile pictures, for training and for serving, and say what each took.

    python -m bench.hostile [--seed 0] [--number 1000] [--worst 12] [--served] 2> /dev/null   # libtiff talks there

A picture may crash nothing, hold 1 GB or take 2 s. It is read, or it has an error. Without --served, each is
fingerprinted in a process of its own. With it, each is prepared by the served graph in one process that lives on, as a
server does: alone, and four times in one batch, which may hold 1 GB too, and take as long as four pictures. Memory is
what the process held at its peak beyond what it held before.
"""

import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from PIL import Image

from bench.harness import options, print_table
from runtime import parameters
from sample.files import to_jpeg
from stages.fingerprint import fingerprint
from tests.hostile import hostile

TINY = to_jpeg(Image.new("RGB", (8, 8)))
BATCH = 4
SIDE = 299
PRELOADED = ["stages.fingerprint", "PIL.AvifImagePlugin", "PIL.WebPImagePlugin", "PIL.TiffImagePlugin"]


class Taken(NamedTuple):
    """What one picture took: seconds of the processor, megabytes at the peak, and what came of it."""

    seconds: float
    megabytes: float
    outcome: str
    allowed_seconds: float = 2


def alone(path: str, max_pixels: int) -> Taken:
    """Fingerprint one picture; to be called in a process of its own."""
    fingerprint(TINY, max_pixels)  # compiled code is loaded once per process, not per picture
    begun = time.process_time()
    error = fingerprint(Path(path).read_bytes(), max_pixels).get("error")
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return Taken(time.process_time() - begun, megabytes, str(error or "read"))


def measure(files: Iterable[tuple[str, bytes]], max_pixels: int) -> dict[str, Taken]:
    """Fingerprint each picture in a process of its own, which nothing else has made larger."""
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    taken = {}
    with TemporaryDirectory() as folder:
        for name, data in files:
            path = Path(folder) / "picture"
            path.write_bytes(data)
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                taken[name] = _result(lambda path=path, pool=pool: pool.submit(alone, str(path), max_pixels).result())
    return taken


def measure_served(files: Iterable[tuple[str, bytes]], max_pixels: int) -> dict[str, Taken]:
    """Prepare each picture by the served graph, alone and in a batch, in a process that is started again if it ends."""
    context = get_context("spawn")
    taken, pool = {}, ProcessPoolExecutor(1, mp_context=context)
    for name, data in files:
        for number in (1, BATCH):
            key = name if number == 1 else f"{name} x {number}"
            taken[key] = _result(lambda n=number, d=data, pool=pool: pool.submit(served, d, n, max_pixels).result())
            if taken[key].outcome.startswith("CRASHED"):
                pool = ProcessPoolExecutor(1, mp_context=context)
    pool.shutdown()
    return taken


def served(data: bytes, number: int, max_pixels: int) -> Taken:
    """Prepare a batch of the same picture; to be called in a process that does nothing else."""
    prepare, refusal = _graph(max_pixels)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here
    before, begun, outcome = _memory("VmRSS"), time.process_time(), "read"
    try:
        prepare([data] * number)
    except refusal as error:
        outcome = str(error).partition("[[")[0]
    seconds = time.process_time() - begun
    return Taken(seconds, (_memory("VmHWM") - before) / 1000, outcome, 2 * number)


@cache
def _graph(max_pixels: int) -> tuple[Callable[[list[bytes]], Any], type[Exception]]:
    """Give what prepares a batch, warm, and what it raises for pictures that it refuses."""
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import tensorflow as tf

    from stages.served.preparation import prepare_batch

    prepare = tf.function(
        lambda encoded: prepare_batch(encoded, SIDE, max_pixels),
        input_signature=[tf.TensorSpec((None,), tf.string)],
        autograph=False,
    )
    for _ in range(2):
        prepare(tf.constant([TINY]))
    return lambda files: prepare(tf.constant(files)), tf.errors.InvalidArgumentError


def _memory(name: str) -> int:
    """Kilobytes of this process, by a line of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _result(work: Callable[[], Taken]) -> Taken:
    try:
        return work()
    except BrokenProcessPool as error:
        return Taken(0, 0, f"CRASHED: {error}")


def main() -> None:
    """Print how many were read, the worst, and whether the bounds hold."""
    asked = options(__doc__, seed=0, number=1000, worst=12, served=False)
    max_pixels = parameters.read(parameters.Fingerprint).max_pixels
    files = islice(hostile(asked.seed, max_pixels), asked.number)
    taken = (measure_served if asked.served else measure)(files, max_pixels)
    read = sum(one.outcome == "read" for one in taken.values())
    print(f"{len(taken)} pictures: {read} read, {len(taken) - read} with an error")
    print(Counter(one.outcome.split(":")[0][:40] for one in taken.values()).most_common(12))
    for column, what in enumerate(("most seconds", "most MB")):
        worst = sorted(taken.items(), key=lambda item: -item[1][column])[: asked.worst]
        print_table([what, "picture", "outcome"], [(one[column], name, one.outcome[:90]) for name, one in worst])
    crashed = [name for name, one in taken.items() if one.outcome.startswith("CRASHED")]
    beyond = [name for name, one in taken.items() if one.seconds >= one.allowed_seconds or one.megabytes >= 1000]
    print(f"crashed: {crashed or 'none'}; beyond 2 s or 1 GB: {beyond or 'none'}")
    sys.exit(bool(crashed or beyond))


if __name__ == "__main__":
    main()
