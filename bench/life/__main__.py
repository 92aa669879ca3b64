"""Let two people work for ten weeks in two clones, kill their commands at random moments, and check what is left.

    python -m bench.life [--seeds 0 1 2] [--weeks 10] [--kill 0.15] [--folder FOLDER] [--keep]

The first week is the same in every life: a small library and its first model, promoted. It stays in FOLDER, where the
next call takes it up. In the others, drawn by the
seed, people add, remove, rename, relabel and edit pictures, decide, change parameters, run `make repro` or the stages
that look at pictures, pull, push, merge, promote, publish, open cycles and roll back. A killed command is run again;
most are compared with the same command in a copy of the world, where it was not killed. `bench/life/checks.py` then
looks at what is there, and imports nothing of the product.
"""

import contextlib
import logging
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness import options, print_table
from bench.life.team import Life, begun, founded
from bench.life.weeks import Week, drawn
from bench.life.world import LifeError

log = logging.getLogger(__name__)


def live(life: Life, weeks: Sequence[Week], kill: float) -> None:
    """Go on with a life to its end, or to the week in which something is wrong."""
    life.kill = kill
    for number, week in enumerate(weeks, start=2):
        person, other = life.rng.permutation(sorted(life.people))
        started = time.monotonic()
        try:
            week(life, life.people[person], life.people[other])
        except LifeError as error:
            life.problems.append(str(error))
        log.info("week %d, %s of %s: %.0f s", number, week.__name__, person, time.monotonic() - started)
        if life.problems:
            life.problems.insert(0, f"week {number}, {week.__name__} of {person}")
            return


def lived(beginning: Life, folder: Path, seed: int, asked: Any) -> list[object]:
    """Live one life; returns its row of the table."""
    started = time.monotonic()
    life = beginning.copied(folder / f"seed-{seed}", seed)
    live(life, drawn(life.rng, asked.weeks), asked.kill)
    for problem in life.problems:
        log.error("seed %d: %s", seed, problem)
    if not life.problems and not asked.keep:
        shutil.rmtree(life.world.root)
    num_pictures, minutes = len(life.ledger.contents), (time.monotonic() - started) / 60
    ended = f"{len(life.problems)} problems" if life.problems else "clean"
    log.info("seed %d: %d commands killed, %s", seed, life.num_kills, ended)
    return [seed, asked.weeks, num_pictures, life.num_kills, minutes, ended]


def main() -> None:
    """Print the table."""
    asked = options(__doc__, seeds=[0], weeks=10, kill=0.15, folder=None, keep=False)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # so that what runs in a world ends as well
    folder = asked.folder or Path(tempfile.mkdtemp(prefix="life-"))
    beginning = begun(folder / "beginning") if (folder / "beginning").is_dir() else founded(folder / "beginning")
    if beginning.problems:
        (folder / "beginning").rename(folder / "wrong-beginning")  # the next call takes up none that is wrong
        sys.exit("\n".join(beginning.problems))
    rows = [lived(beginning, folder, seed, asked) for seed in asked.seeds]
    print_table(["seed", "weeks", "files", "commands killed", "minutes", "ended"], rows)
    log.info("Worlds in which something is wrong, and the beginning, are in %s", folder)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
