"""Pictures that lie in a folder under DVC and that no commit has: a checkout must not delete them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runtime.digest import md5_of_file
from runtime.errors import RepositoryError
from runtime.tracked import Contents, Tracked, contents, tracked_folders
from runtime.wording import counted, listed

# Where they wait during a checkout. Those of a command that was killed are put back by the next one.
WAITING = Path(".dvc/tmp/retrain/own-pictures")


@contextmanager
def kept() -> Iterator[list[Path]]:
    """Keep pictures that no commit has, whatever the block does to the folders under DVC.

    Yields:
        The pictures, sorted; they are not where they were until the block ends.

    Raises:
        RepositoryError: before the block, one stands at a path at which the `.dvc` file has another picture.
    """
    _put_back()
    with contents() as held:
        own = sorted(path for tracked in tracked_folders() for path in _own(tracked, held))
    for path in own:
        waiting = WAITING / path
        waiting.parent.mkdir(parents=True, exist_ok=True)
        path.rename(waiting)
    try:
        yield own
    finally:
        _put_back()


def _own(tracked: Tracked, held: Contents) -> list[Path]:
    if not tracked.folder.is_dir():
        return []
    named = held.of_digest(tracked.recorded) or {}
    digest, listing = held.of_folder(tracked.folder)
    own = {path: md5 for path, md5 in listing.items() if digest != tracked.recorded and named.get(path) != md5}
    for version in filter(None, [tracked.staged, *tracked.known]):
        if not own:
            break
        committed = held.of_digest(version) or {}
        own = {path: md5 for path, md5 in own.items() if committed.get(path) != md5}
    if clashes := sorted(path for path in own if path in named):
        raise RepositoryError(
            f"{counted(len(clashes), 'file')} of {tracked.folder} that no commit has would be replaced by what "
            f"{tracked.file} has at the same path: {listed(clashes)}. Rename or move your own, then `make pull` again."
        )
    return [tracked.folder / path for path in own]


def _put_back() -> None:
    for waiting in sorted(path for path in WAITING.rglob("*") if path.is_file()):
        path = waiting.relative_to(WAITING)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting.rename(path)
        elif md5_of_file(path) == md5_of_file(waiting):
            waiting.unlink()
        else:
            raise RepositoryError(
                f"{waiting} was yours before a command was interrupted, and {path} is another picture now: move it to "
                f"another name in {path.parent}, or delete it."
            )
