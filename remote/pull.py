"""Fetch everything that the workspace needs, and check it out.

    python -m remote.pull [--commits "model-006 main"]

What the cache has is read again. What is damaged there is fetched again, and what comes is digested before it is used.
"""

import logging
from collections.abc import Sequence

from remote.clone import Clone, commits_wanted, explained, opened
from remote.needed import Needed
from remote.own_pictures import kept
from remote.stores import Store, total_bytes
from runtime.command import run
from runtime.errors import RemoteError
from runtime.regular_files import require_no_pipes
from runtime.tracked import DATA
from runtime.wording import counted, listed

log = logging.getLogger(__name__)


def fetch(clone: Clone, wanted: Needed) -> list[str]:
    """Bring what the cache lacks or damaged from the remote.

    Returns:
        What was fetched.

    Raises:
        RemoteError: the remote has not all of it, or not whole.
    """
    remote = clone.require_remote()
    missing = _missing(clone.cache, wanted)
    there = remote.listed() if missing else {}
    coming = [oid for oid in missing if oid in there]

    failed = clone.cache.add(remote, coming)
    damaged = _remove_damaged(clone.cache, coming)

    absent = [oid for oid in missing if oid not in there]
    damaged = [oid for oid in damaged if oid not in failed]
    _require_all(wanted, remote.name, absent, damaged, failed, len(coming) - len(failed) - len(damaged))
    return coming


def _missing(cache: Store, wanted: Needed) -> list[str]:
    """List what the cache lacks or has damaged."""
    here = cache.listed()
    damaged = cache.damaged([oid for oid in wanted.objects if oid in here])
    if damaged:
        objects, named = counted(len(damaged), "damaged object"), wanted.named(damaged)
        log.warning("pull: %s has %s, to be fetched again.%s", cache.name, objects, named)
    return sorted([oid for oid in wanted.objects if oid not in here] + damaged)


def _remove_damaged(cache: Store, fetched: Sequence[str]) -> list[str]:
    """Remove what did not arrive whole.

    What is said to have failed is read too: DVC may leave a part of it under the object's name, and would trust that.
    """
    here = cache.listed()
    damaged = cache.damaged([oid for oid in fetched if oid in here])
    cache.remove(damaged)
    return damaged


def _require_all(
    wanted: Needed,
    name: str,
    absent: list[str],
    damaged: list[str],
    failed: dict[str, BaseException],
    num_fetched: int,
) -> None:
    parts = []
    if absent:
        parts.append(f"{name} lacks {counted(len(absent), 'object')}:{wanted.named(absent)}")
    if damaged:
        parts.append(f"{name} has {counted(len(damaged), 'damaged object')}:{wanted.named(damaged)}")
    if failed:
        why, objects = explained(next(iter(failed.values()))), counted(len(failed), "object")
        parts.append(f"{objects} could not be fetched, the first because: {why}{wanted.named(list(failed))}")
        parts.append(f"{counted(num_fetched, 'object')} came before and stay. `make pull` fetches the rest.")
    if absent or damaged:
        parts.append(
            "What a clone has whole, `make push` there brings; a damaged object is first deleted on the remote."
        )
    if parts:
        raise RemoteError("\n".join(parts))


def main() -> None:
    """Run the command."""
    from dvc.repo import lock_repo

    commits = commits_wanted("Fetch everything that the workspace needs, and check it out.")
    with opened() as clone, lock_repo(clone.repo):
        require_no_pipes(*DATA.glob("*"))
        wanted = clone.needed(commits)
        fetched = fetch(clone, wanted)
        with kept() as own:
            changed = clone.repo.checkout(allow_missing=bool(wanted.unmade))
        size = total_bytes(fetched, clone.cache.listed())
    log.info(
        "pull: fetched %d of %d objects (%.1f MB), checked out %s.",
        len(fetched),
        len(wanted.objects),
        size / 1e6,
        _changes(changed) or "nothing, all was in place",
    )
    if own:
        log.info(
            "pull: %s of yours stay that no commit has: %s. `dvc add %s` records them.",
            counted(len(own), "file"),
            listed([str(path) for path in own]),
            " ".join(sorted({"/".join(path.parts[:2]) for path in own})),
        )


def _changes(changed: dict[str, Sequence[str]]) -> str:
    return ", ".join(f"{path} ({kind})" for kind in ("added", "modified", "deleted") for path in changed.get(kind, ()))


if __name__ == "__main__":
    run(main)
