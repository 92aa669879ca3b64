"""Read everything that the workspace and the wanted commits need on both sides, and name what is missing or damaged.

    python -m remote.verify [--commits "model-006 main"] [--sample 0.1]

A clone need not have everything; the remote must. A sample takes every list of a folder and that share of the files,
others each time.
"""

import argparse
import logging
import random
from collections.abc import Collection

from remote.clone import add_commits, opened
from remote.needed import Needed
from remote.stores import Store, is_directory, total_bytes
from runtime.command import run
from runtime.errors import InputError, RemoteError
from runtime.wording import counted

log = logging.getLogger(__name__)


def sampled(oids: Collection[str], fraction: float, rng: random.Random) -> list[str]:
    """Choose every list of a folder and a share of the files, at least one if there is any.

    Args:
        oids: the objects.
        fraction: above 0, at most 1.
        rng: where chance comes from.
    """
    lists = sorted(oid for oid in oids if is_directory(oid))
    files = sorted(oid for oid in oids if not is_directory(oid))
    return lists + rng.sample(files, min(len(files), max(1, round(fraction * len(files)))))


def faults(store: Store, wanted: Needed, must_have: bool, fraction: float, rng: random.Random) -> list[str]:
    """Read one side.

    Args:
        store: the side.
        wanted: what is needed.
        must_have: whether a missing object is a fault.
        fraction: of the files that are read.
        rng: which ones.

    Returns:
        What is wrong, in words; nothing if all is well.
    """
    listing = store.listed()
    missing = [oid for oid in wanted.objects if oid not in listing]
    here = [oid for oid in wanted.objects if oid in listing]
    read = sampled(here, fraction, rng)
    damaged = store.damaged(read)
    log.info(
        "verify: %s has %d of the %s; read %d (%.1f MB), damaged %d.",
        store.name,
        len(here),
        counted(len(wanted.objects), "object"),
        len(read),
        total_bytes(read, listing) / 1e6,
        len(damaged),
    )
    problems = []
    if damaged:
        objects = counted(len(damaged), "damaged object")
        problems.append(f"{store.name} has {objects}:{wanted.named(damaged, len(damaged))}")
    if missing and must_have:
        objects = counted(len(missing), "object")
        problems.append(f"{store.name} lacks {objects}:{wanted.named(missing, len(missing))}")
    return problems


def _arguments() -> tuple[list[str], float]:
    parser = argparse.ArgumentParser(description="Read both sides and name what is missing or damaged.")
    add_commits(parser)
    parser.add_argument("--sample", type=float, default=1.0, help="share of the files that is read, 1 for all")
    arguments = parser.parse_args()
    if not 0 < arguments.sample <= 1:
        raise InputError(f"SAMPLE is a share of the files, above 0 and at most 1, and was {arguments.sample}.")
    return arguments.commits.split(), arguments.sample


def main() -> None:
    """Run the command."""
    commits, fraction = _arguments()
    with opened() as clone:
        wanted = clone.needed(commits)
        rng = random.Random()
        problems = faults(clone.cache, wanted, False, fraction, rng)
        if clone.remote is not None:
            problems += faults(clone.remote, wanted, True, fraction, rng)
    if wanted.unread:
        problems.append(
            f"No side has these lists of folders whole:{wanted.named(list(wanted.unread), len(wanted.unread))}"
        )
    if problems:
        problems.append(
            "`make push` sends what is missing there and whole here; `make pull` fetches what is damaged here. What is "
            "damaged there: delete it there, push again."
        )
        raise RemoteError("\n".join(problems))


if __name__ == "__main__":
    run(main)
