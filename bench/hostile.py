"""Fingerprint a thousand broken and hostile pictures, each in a process of its own, and say what each took.

    python -m bench.hostile [--seed 0] [--worst 12]

A picture may crash nothing, hold less than 1 GB, take less than 2 s, and is a row that is read or has an error.
"""

import argparse
import json
import os
import sys
import traceback
from collections import Counter
from typing import NamedTuple

from stages import _params
from stages.fingerprint import fingerprint
from tests.hostile import hostile


class Taken(NamedTuple):
    """What one picture took: seconds of the processor, megabytes at the peak, and what came of it."""

    seconds: float
    megabytes: float
    outcome: str


def alone(data: bytes, max_pixels: int) -> Taken:
    """Fingerprint one picture in a process of its own."""
    receiving, sending = os.pipe()
    child = os.fork()
    if not child:
        try:
            row = fingerprint(data, max_pixels)
            os.write(sending, json.dumps(row.get("error") or "read").encode()[:4000])
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(sending)
    _, status, usage = os.wait4(child, 0)
    answer = os.read(receiving, 5000).decode()
    os.close(receiving)
    outcome = json.loads(answer) if not status else f"CRASHED with status {status}"
    return Taken(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000, outcome)


def main() -> None:
    """Print how many were read, the worst, and whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worst", type=int, default=12)
    options = parser.parse_args()
    max_pixels = _params.read(_params.Fingerprint).max_pixels
    taken = {name: alone(data, max_pixels) for name, data in hostile(options.seed, max_pixels)}
    read = sum(one.outcome == "read" for one in taken.values())
    print(f"{len(taken)} pictures: {read} read, {len(taken) - read} with an error")
    print(Counter(one.outcome.split(":")[0][:40] for one in taken.values()).most_common(12))
    for what, unit in (("seconds", "s"), ("megabytes", "MB")):
        print(f"most {what}:")
        for name, one in sorted(taken.items(), key=lambda item: -getattr(item[1], what))[: options.worst]:
            print(f"  {getattr(one, what):8.2f} {unit}  {name}: {one.outcome[:90]}")
    crashed = [name for name, one in taken.items() if one.outcome.startswith("CRASHED")]
    beyond = [name for name, one in taken.items() if one.seconds >= 2 or one.megabytes >= 1000]
    print(f"crashed: {crashed or 'none'}; beyond 2 s or 1 GB: {beyond or 'none'}")
    sys.exit(bool(crashed or beyond))


if __name__ == "__main__":
    main()
