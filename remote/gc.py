"""Delete what no branch, tag, stash or experiment of this repository needs, from the cache and the remote.

    python -m remote.gc [--delete] [--days 30] [--shared "cache remote"]

Without --delete it says what it would do. Every promoted model is a tag, so its pictures stay. What is younger stays
too: somebody may have pushed it for a commit that is not pushed yet (`remote/renew.py` keeps it young). Refs are
fetched first. A shallow clone is refused, and so is one where a needed list of a folder is nowhere whole, for then
nobody knows which files are needed.

Others may need what this clone does not know. So a cache outside of the clone is left alone, and so is a remote where
most of what would go is named by no commit that ever was in this clone; --shared says that the one or the other is
nobody else's.
"""

import argparse
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from remote.clone import opened
from remote.history import ever_named, named_in, names_of, put_aside, tips
from remote.needed import Needed, add, with_files
from remote.stores import Store, Stored, total_bytes
from runtime.command import run
from runtime.errors import InputError, RemoteError
from runtime.wording import counted, listed

log = logging.getLogger(__name__)

_DAY_SECONDS = 24 * 60 * 60
_MOST_LISTS = 10  # that a message names


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


def collect(store: Store, needed: Collection[str], before: float, delete: bool, is_ours: bool) -> None:
    """Delete from one side what is not needed, or say what would be.

    Args:
        store: the side.
        needed: the objects that stay.
        before: as `unneeded` has it.
        delete: or only say.
        is_ours: no other project or clone has objects there.

    Raises:
        RemoteError: most of what would go is named by no commit that ever was in this clone, and it may be others'.
    """
    listing = store.listed()
    garbage = unneeded(listing, needed, before)
    log.info(
        "gc: %s has %s (%.1f MB), %d of them (%.1f MB) are not needed and old enough%s",
        store.name,
        counted(len(listing), "object"),
        total_bytes(listing, listing) / 1e6,
        len(garbage),
        total_bytes(garbage, listing) / 1e6,
        ", deleting them." if delete and garbage else ".",
    )
    if not is_ours:
        _require_known(store, garbage, delete)
    if delete:
        store.remove(garbage)


def _require_known(store: Store, garbage: Sequence[str], delete: bool) -> None:
    named = with_files(ever_named() & set(garbage), store)
    unknown = [oid for oid in garbage if oid not in named]
    if 2 * len(unknown) <= len(garbage):
        return
    message = (
        f"{store.name}: {len(unknown):,} of the {counted(len(garbage), 'object')} that would go are named by no commit "
        "that ever was in this clone. Another project may have its objects there, or another clone pushed them "
        "for commits that Git's origin does not have."
    )
    if delete:
        raise RemoteError(
            f"{message} Nothing was deleted there. Give each project a URL of its own (`dvc remote modify NAME url`). "
            "If you are sure that they are nobody's: make gc DELETE=1 SHARED=remote."
        )
    log.warning("gc: %s", message)


def _arguments() -> tuple[bool, float, set[str]]:
    parser = argparse.ArgumentParser(description="Delete what no branch, tag, stash or experiment needs.")
    parser.add_argument("--delete", action="store_true", help="do it, rather than say what would be done")
    parser.add_argument("--days", type=float, default=30.0, help="what was written less than so many days ago stays")
    parser.add_argument("--shared", default="", help="cache, remote or both: nobody else needs what is there")
    arguments = parser.parse_args()
    shared = set(arguments.shared.split())
    if not shared <= {"cache", "remote"}:
        raise InputError(f'SHARED is "cache", "remote" or "cache remote", and was {arguments.shared!r}.')
    if arguments.days < 0:
        raise InputError(f"DAYS is a number of days, 0 or more, and was {arguments.days:g}.")
    return arguments.delete, arguments.days, shared


def _require_all_read(wanted: Needed, commits: list[str]) -> None:
    if not wanted.unread:
        return
    lines = [
        f"\n- {path} ({oid}){_of(names_of(commits, oid))}" for oid, path in list(wanted.unread.items())[:_MOST_LISTS]
    ]
    more = f"\n- and {len(wanted.unread) - _MOST_LISTS} more" if len(wanted.unread) > _MOST_LISTS else ""
    raise RemoteError(
        f"no side has {counted(len(wanted.unread), 'needed list')} of a folder whole, so which files are needed is not "
        f"known, and nothing is deleted:{''.join(lines)}{more}\n"
        "If the clone that made them still exists, `make push COMMITS=...` there, with the commits that are named. "
        "If they are of a branch, tag, stash or experiment that nobody wants, delete that, here and at origin. If they "
        "are of another repository, such as the template that this one was made of, `git remote remove` it and delete "
        "its branches and tags. If they are lost and a commit must stay: no garbage can be collected."
    )


def _of(names: list[str]) -> str:
    return f", of {listed(names)}" if names else ", of the workspace"


def _is_outside(store: Store) -> bool:
    return not Path(store.path).resolve().is_relative_to(Path.cwd().resolve())


def main() -> None:
    """Run the command."""
    from dvc.repo import lock_repo

    delete, days, shared = _arguments()
    before = time.time() - days * _DAY_SECONDS
    with opened() as clone, lock_repo(clone.repo):
        commits, aside = tips(), put_aside()
        wanted = clone.needed(commits, everything=True)
        for oid, path in named_in(aside).items():
            add(wanted, clone.stores, oid, path)
        _require_all_read(wanted, [*commits, *aside])
        if _is_outside(clone.cache) and "cache" not in shared:
            log.info(
                "gc: the cache %s is outside of this clone, so other clones may use it, and is left alone. If none "
                "does: make gc SHARED=cache.",
                clone.cache.path,
            )
        else:
            collect(clone.cache, wanted.objects, before, delete, is_ours=True)
        if clone.remote is not None:
            collect(clone.remote, wanted.objects, before, delete, is_ours="remote" in shared)
    log.info(
        "gc: kept what the workspace and %s need: every branch's, tag's, stash's and experiment's.",
        counted(len(commits) + len(aside), "commit"),
    )
    if not delete:
        log.info("gc: nothing was deleted. `make gc DELETE=1` does it.")


if __name__ == "__main__":
    run(main)
