"""Push until the remote has everything that the workspace and the wanted commits need, or say what it lacks.

    python -m remote.push [--commits "model-006 main"]

The remote is listed, and compared with every object: the lists of folders and each file under them. What is missing is
sent, lists last, and the remote is listed again. What is sent is digested first.
"""

import logging
from collections.abc import Collection, Mapping, Sequence

from remote.clone import commits_wanted, explained, opened, telling
from remote.needed import Needed
from remote.renew import renewed
from remote.stores import Store, Stored, is_directory, lacking, total_bytes
from runtime.command import run
from runtime.errors import RemoteError
from runtime.left_out import require_nothing_left_out
from runtime.tracked import tracked_folders
from runtime.wording import counted

log = logging.getLogger(__name__)

# How often in a row sending may bring nothing while the remote can be listed, such as with a server that is overloaded.
_TRIES = 3


def make_whole(cache: Store, remote: Store, wanted: Needed) -> tuple[list[str], dict[str, Stored]]:
    """Send what the remote lacks until it lacks nothing.

    Returns:
        What was sent, and the remote's last listing.

    Raises:
        RemoteError: something cannot be sent: it is neither here nor there, is damaged here, or the remote refuses.
    """
    sent: list[str] = []
    failed: dict[str, BaseException] = {}
    tries = 0
    here, there = cache.listed(), remote.listed()
    lacks = _lacking(cache, remote, wanted, here, there)
    while lacks and tries < _TRIES:
        files = [oid for oid in lacks if not is_directory(oid)]
        failed = remote.add(cache, files or lacks)
        sent += [oid for oid in files or lacks if oid not in failed]
        with telling(_how_far(remote, len(sent), len(wanted.objects))):
            there = remote.listed()
        still = _lacking(cache, remote, wanted, here, there)
        tries = 0 if len(still) < len(lacks) else tries + 1
        lacks = still
    if lacks:
        why = f": {explained(next(iter(failed.values())))}" if failed else ", though it took them without a word."
        raise RemoteError(
            f"{remote.name} lacks {len(lacks)} of {counted(len(wanted.objects), 'object')} still{why}\n"
            f"Push again when that is mended.{wanted.named(lacks)}"
        )
    return sent, there


def _how_far(remote: Store, num_sent: int, num_wanted: int) -> str:
    return (
        f"{remote.name} went away. {counted(num_sent, 'object')} of {num_wanted:,} needed ones were sent before. "
        "When it is back, `make push` sends the rest."
    )


def _lacking(
    cache: Store, remote: Store, wanted: Needed, here: Mapping[str, Stored], there: Mapping[str, Stored]
) -> list[str]:
    """List what the remote lacks and the cache has whole; refuse if it is not so with all that the remote lacks."""
    lacks = lacking(wanted.objects, there, here)
    damaged = set(cache.damaged([oid for oid in lacks if oid in here]))
    lost = [oid for oid in lacks if oid not in there and (oid not in here or oid in damaged)]
    if lost or wanted.unread:
        raise RemoteError(_lost_words(cache, remote, wanted, lost, damaged))
    if damaged:
        log.warning(
            "push: %s has %s, which %s has whole. `make pull` fetches them again.%s",
            cache.name,
            counted(len(damaged), "damaged object"),
            remote.name,
            wanted.named(sorted(damaged)),
        )
    return [oid for oid in lacks if oid not in damaged]


def _lost_words(cache: Store, remote: Store, wanted: Needed, lost: Sequence[str], damaged: Collection[str]) -> str:
    parts = [f"{remote.name} is not whole, and cannot be made so from here."]
    absent = [oid for oid in lost if oid not in damaged]
    damaged_here = [oid for oid in lost if oid in damaged]
    unread = [oid for oid in wanted.unread if oid not in lost]
    if absent:
        parts.append(f"Neither side has {counted(len(absent), 'object')}:{wanted.named(absent)}")
    if damaged_here:
        objects = counted(len(damaged_here), "damaged object")
        parts.append(f"{cache.name} has {objects}, which the remote lacks:{wanted.named(damaged_here)}")
    if unread:
        parts.append(f"Lists of folders are damaged, so which files they name is not known:{wanted.named(unread)}")
    parts.append("Push from the clone that has them, or bring the files back to the workspace: `dvc add`, `dvc repro`.")
    return "\n".join(parts)


def main() -> None:
    """Run the command."""
    commits = commits_wanted("Push until the remote has all that is needed.")
    with opened() as clone:
        remote = clone.require_remote()
        require_nothing_left_out(clone.repo, [tracked.folder for tracked in tracked_folders()])
        wanted = clone.needed(commits)
        sent, listing = make_whole(clone.cache, remote, wanted)
        again = renewed(clone, remote, wanted, listing)
    if wanted.unmade:
        log.info("push: never made, so not pushed: %s.", ", ".join(sorted(wanted.unmade)))
    log.info(
        "push: %s is whole: it has the %s (%.1f MB) that %s needs. Sent: %s (%.1f MB).",
        remote.name,
        counted(len(wanted.objects), "object"),
        total_bytes(wanted.objects, listing) / 1e6,
        ", ".join(["the workspace", *commits]),
        counted(len(sent), "object"),
        total_bytes(sent, listing) / 1e6,
    )
    if again:
        log.info("push: %s sent again, so that `make gc` in another clone keeps them.", counted(len(again), "object"))


if __name__ == "__main__":
    run(main)
