"""Keep what a push found on the remote as young as what it sent: `make gc` goes by the age of an object.

An object that no commit of Git's origin names, and that is needed again, is safe from `make gc` in another clone only
while it is young. It is sent again, and its age begins again.
"""

import time
from collections.abc import Mapping, Sequence

from remote.clone import Clone, explained
from remote.history import at_origins
from remote.needed import Needed
from remote.stores import Store, Stored
from runtime.errors import RemoteError
from runtime.wording import counted

# An object that is older is renewed: `make gc` leaves those alone that are younger than 30 days.
_OLD_SECONDS = 24 * 60 * 60


def renewed(clone: Clone, remote: Store, wanted: Needed, listing: Mapping[str, Stored]) -> list[str]:
    """Send again what is old and named by no commit of Git's origin.

    Args:
        clone: the clone.
        remote: it has all that is wanted.
        wanted: what the push is about.
        listing: of the remote, before the push.

    Returns:
        What was sent again.

    Raises:
        RemoteError: it could not be sent.
    """
    before = time.time() - _OLD_SECONDS
    old = {oid for oid, stored in listing.items() if oid in wanted.objects and _is_older(stored, before)}
    commits = at_origins()
    if not commits:
        return []  # no other clone has fetched less than this one knows
    for commit in commits:
        if not old:
            return []
        old -= clone.needed([commit], workspace=False).objects.keys()
    oids = _brought(clone.cache, remote, sorted(old))
    if failed := remote.add(clone.cache, oids):
        why = explained(next(iter(failed.values())))
        raise RemoteError(
            f"{remote.name} has {counted(len(failed), 'object')} that only this push needs, and does not take them "
            f"again: {why} `make gc` in another clone may delete them: push again.{wanted.named(list(failed))}"
        )
    return oids


def _is_older(stored: Stored, before: float) -> bool:
    return stored.modified is not None and stored.modified <= before


def _brought(cache: Store, remote: Store, oids: Sequence[str]) -> list[str]:
    """Bring to the cache what it lacks or has damaged; gives what it has whole then."""
    here = cache.listed()
    brought = [oid for oid in oids if oid not in here] + cache.damaged([oid for oid in oids if oid in here])
    cache.add(remote, brought)
    here = cache.listed()
    damaged = cache.damaged([oid for oid in brought if oid in here])
    cache.remove(damaged)
    return [oid for oid in oids if oid in here and oid not in damaged]
