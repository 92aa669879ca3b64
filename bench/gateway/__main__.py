"""Measure the gateway, each row of what is to be measured by one command.

    python -m bench.gateway [share overload kills change failures hostile embedding]
        [--seconds 30] [--rate 50] [--within 1000] [--kills 50] [--files 1000] [--exports data/export]

share       its own share of an answer: a stub of TensorFlow Serving answers at once, RATE photos a second for SECONDS
overload    twice what it can carry, for SECONDS, with the newest model of EXPORTS embedded: yours, on your machine
kills       kill -9 of the gateway and of its model in turn, KILLS times under load
change      another version under load: behind a server, and one replica after the other
failures    disk full, remote away (Azurite), model slow, wrong and gone, each for SECONDS; then all is shipped
hostile     FILES pictures of every kind, and broken and hostile ones
embedding   the newest of data/export, with and without the embedding that the log keeps

Requests are sent at fixed times whatever became of those before (open loop), and each one's time counts from when it
should have been sent: a gateway that stalls is not spared the requests that waited. An answer is in time if it is there
within WITHIN milliseconds, which is what data/costs.yaml promises users where nobody wrote something else. Photos are
drawn, of 640 x 480 pixels. Everything runs on this machine: client, gateway and model share its cores.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.gateway.change import change
from bench.gateway.embedding import embedding
from bench.gateway.failures import failures
from bench.gateway.hostile import hostile_files
from bench.gateway.kills import kills
from bench.gateway.overload import overload
from bench.gateway.share import share
from stages.tables.exported import EXPORT


def main() -> None:
    """Run the parts that are named."""
    parts: dict[str, Callable[[Path], None]] = {
        "share": lambda folder: share(folder, asked.rate, asked.seconds, asked.within),
        "overload": lambda folder: overload(folder, asked.exports, asked.seconds, asked.within),
        "kills": lambda folder: kills(folder, asked.kills, asked.within),
        "change": lambda folder: change(folder, asked.seconds, asked.within),
        "failures": lambda folder: failures(folder, asked.seconds),
        "hostile": lambda folder: hostile_files(folder, asked.files),
        "embedding": lambda _: embedding(),
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*parts, []], default=[*parts])
    for name, value in (("rate", 50.0), ("seconds", 30.0), ("within", 1000.0), ("kills", 50), ("files", 1000)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    parser.add_argument("--exports", type=Path, default=Path(EXPORT))
    asked = parser.parse_args()
    for part in asked.parts:
        with TemporaryDirectory() as folder:
            print(f"\n{part}", flush=True)
            parts[part](Path(folder))


if __name__ == "__main__":
    main()
