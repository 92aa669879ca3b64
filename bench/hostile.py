"""Fingerprint a thousand broken and hostile pictures, each in a process of its own, and say what each took.

    python -m bench.hostile [--seed 0] [--number 1000] [--worst 12] 2> /dev/null   # libtiff and libjpeg talk there

A picture may crash nothing, hold 1 GB or take 2 s. It is read, or it has an error.
"""

import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from PIL import Image

from bench.harness import options, print_table
from runtime import parameters
from sample.files import to_jpeg
from stages.fingerprint import fingerprint
from tests.hostile import hostile

TINY = to_jpeg(Image.new("RGB", (8, 8)))


class Taken(NamedTuple):
    """What one picture took: seconds of the processor, megabytes at the peak, and what came of it."""

    seconds: float
    megabytes: float
    outcome: str


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
    context.set_forkserver_preload(
        ["stages.fingerprint", "PIL.AvifImagePlugin", "PIL.WebPImagePlugin", "PIL.TiffImagePlugin"]
    )
    taken = {}
    with TemporaryDirectory() as folder:
        for name, data in files:
            path = Path(folder) / "picture"
            path.write_bytes(data)
            with ProcessPoolExecutor(1, mp_context=context) as pool:
                try:
                    taken[name] = pool.submit(alone, str(path), max_pixels).result()
                except BrokenProcessPool as error:
                    taken[name] = Taken(0, 0, f"CRASHED: {error}")
    return taken


def main() -> None:
    """Print how many were read, the worst, and whether the bounds hold."""
    asked = options(__doc__, seed=0, number=1000, worst=12)
    max_pixels = parameters.read(parameters.Fingerprint).max_pixels
    taken = measure(islice(hostile(asked.seed, max_pixels), asked.number), max_pixels)
    read = sum(one.outcome == "read" for one in taken.values())
    print(f"{len(taken)} pictures: {read} read, {len(taken) - read} with an error")
    print(Counter(one.outcome.split(":")[0][:40] for one in taken.values()).most_common(12))
    for column, what in enumerate(("most seconds", "most MB")):
        worst = sorted(taken.items(), key=lambda item: -item[1][column])[: asked.worst]
        print_table([what, "picture", "outcome"], [(one[column], name, one.outcome[:90]) for name, one in worst])
    crashed = [name for name, one in taken.items() if one.outcome.startswith("CRASHED")]
    beyond = [name for name, one in taken.items() if one.seconds >= 2 or one.megabytes >= 1000]
    print(f"crashed: {crashed or 'none'}; beyond 2 s or 1 GB: {beyond or 'none'}")
    sys.exit(bool(crashed or beyond))


if __name__ == "__main__":
    main()
