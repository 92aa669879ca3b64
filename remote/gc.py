"""Delete what no branch, tag, stash or experiment of this repository needs, from the cache and the remote.

    python -m remote.gc [--delete] [--days 30]

Without --delete it says what it would do. Every promoted model is a tag, so its pictures stay. What is younger stays
too: somebody may have pushed it for a commit that is not pushed yet. Refs are fetched first. A shallow clone is
refused, and so is one where a needed list of a folder is nowhere whole, for then nobody knows which files are needed.
"""

import argparse
import logging
import time
from collections.abc import Collection, Mapping

from remote.clone import opened
from remote.stores import Store, Stored, total_bytes
from runtime.command import run
from runtime.errors import InputError, RemoteError, RepositoryError
from runtime.repository import git, is_shallow

log = logging.getLogger(__name__)

_DAY_SECONDS = 24 * 60 * 60


def unneeded(listing: Mapping[str, Stored], needed: Collection[str], before: float) -> list[str]:
    """List what is not needed and old enough.

    Args:
        listing: of one side.
        needed: the objects that stay.
        before: seconds since 1970; what was written later, or nobody knows when, stays.

    Returns:
        In the order of their names.
    """
    return sorted(
        oid
        for oid, stored in listing.items()
        if oid not in needed and stored.modified is not None and stored.modified <= before
    )


def tips() -> list[str]:
    """Fetch, and list the commits that all branches, tags, stashes and experiments point at, here and at the origins.

    Raises:
        RepositoryError: the clone is shallow, or fetching failed.
    """
    if is_shallow():
        raise RepositoryError(
            "this clone is shallow, so it does not know every tag: `git fetch --unshallow --tags`, or use another."
        )
    git("fetch", "--all", "--tags", "--quiet")
    return git("rev-list", "--no-walk", "--all").split()


def collect(store: Store, needed: Collection[str], before: float, delete: bool) -> None:
    """Delete from one side what is not needed, or say what would be.

    Args:
        store: the side.
        needed: the objects that stay.
        before: as `unneeded` has it.
        delete: or only say.
    """
    listing = store.listed()
    garbage = unneeded(listing, needed, before)
    log.info(
        "gc: %s has %d objects (%.1f MB), %d of them (%.1f MB) are not needed and old enough%s",
        store.name,
        len(listing),
        total_bytes(listing, listing) / 1e6,
        len(garbage),
        total_bytes(garbage, listing) / 1e6,
        ", deleting them." if delete and garbage else ".",
    )
    if delete:
        store.remove(garbage)


def _arguments() -> tuple[bool, float]:
    parser = argparse.ArgumentParser(description="Delete what no branch, tag, stash or experiment needs.")
    parser.add_argument("--delete", action="store_true", help="do it, rather than say what would be done")
    parser.add_argument("--days", type=float, default=30.0, help="what was written less than so many days ago stays")
    arguments = parser.parse_args()
    if arguments.days < 0:
        raise InputError(f"DAYS is a number of days, 0 or more, and was {arguments.days:g}.")
    return arguments.delete, arguments.days


def main() -> None:
    """Run the command."""
    from dvc.repo import lock_repo

    delete, days = _arguments()
    before = time.time() - days * _DAY_SECONDS
    with opened() as clone, lock_repo(clone.repo):
        commits = tips()
        wanted = clone.needed(commits, everything=True)
        if wanted.unread:
            raise RemoteError(
                f"no side has {len(wanted.unread)} lists of folders whole that are needed, so which files are is not "
                "known. Nothing is deleted. `make push` in a clone that has them mends it."
                f"{wanted.named(list(wanted.unread))}"
            )
        for store in filter(None, (clone.cache, clone.remote)):
            collect(store, wanted.objects, before, delete)
    log.info("gc: kept what the workspace and %d commits need: every branch's, tag's and experiment's.", len(commits))
    if not delete:
        log.info("gc: nothing was deleted. `make gc DELETE=1` does it.")


if __name__ == "__main__":
    run(main)
