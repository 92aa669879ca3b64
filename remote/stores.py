"""The two sides of a push, DVC's cache and its remote: sets of objects that are named by the MD5 of their bytes."""

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from runtime.digest import md5_of_file
from runtime.progress import progress

# Objects that are handed to DVC at once, per connection: between two steps of the progress, and until it is known
# whether any of them came through.
_ROUNDS = 4
# What a client of Azure does about a request that fails: by default it tries for more than a minute, per object.
RETRIES = {"total_retries": 2, "initial_backoff": 1, "increment_base": 2}


class Stored(NamedTuple):
    """What a listing says of an object.

    Attributes:
        size: in bytes.
        modified: seconds since 1970; None where the remote does not say.
    """

    size: int
    modified: float | None


class Store:
    """One side.

    Attributes:
        name: for messages.
    """

    def __init__(self, odb: Any, name: str):
        self._unused_odb = odb
        self.name = name

    @cached_property
    def _odb(self) -> Any:
        if self._unused_odb.fs.protocol == "azure":
            vars(self._unused_odb.fs.fs.service_client._config.retry_policy).update(RETRIES)
        return self._unused_odb

    @property
    def path(self) -> str:
        """Where its objects lie."""
        return str(self._odb.path)

    def listed(self) -> dict[str, Stored]:
        """List every object that is there now, from the storage itself and no index."""
        return dict(_local_listing(self._odb) if self._is_local() else _remote_listing(self._odb))

    def read(self, oid: str) -> bytes | None:
        """Read an object.

        Returns:
            None if it is not there.
        """
        try:
            with self._odb.fs.open(self._odb.oid_to_path(oid), "rb") as file:
                content: bytes = file.read()
        except FileNotFoundError:
            return None
        return content

    def damaged(self, oids: Collection[str]) -> list[str]:
        """Read objects that are listed, all their bytes; returns those that are not what their names say."""
        with ThreadPoolExecutor(min(8, 2 * (os.cpu_count() or 1))) as pool:
            digests = pool.map(self._digest, oids)
            digested = progress(zip(oids, digests, strict=True), len(oids), "objects read")
            return [oid for oid, digest in digested if digest != md5_of(oid)]

    def add(self, source: "Store", oids: Sequence[str]) -> dict[str, BaseException]:
        """Copy objects here, over what may be there under their names, until a batch of which none came through.

        Returns:
            A mapping of each object that was not copied to what was raised; for those that were not tried any more, to
            what stopped it.
        """
        if self._is_local():  # a link is not laid over a file
            for oid in oids:
                Path(self._odb.oid_to_path(oid)).unlink(missing_ok=True)
        failed: dict[str, BaseException] = {}
        size = _ROUNDS * self._odb.fs.jobs
        batches = [oids[start : start + size] for start in range(0, len(oids), size)]
        for number, batch in enumerate(progress(batches, len(batches), f"batches of {size} objects"), start=1):
            self._add_batch(source, batch, failed)
            if failed.keys() >= set(batch):
                return failed | dict.fromkeys(oids[number * size :], failed[batch[-1]])
        return failed

    def _add_batch(self, source: "Store", batch: Sequence[str], failed: dict[str, BaseException]) -> None:
        self._odb.add(
            [source._odb.oid_to_path(oid) for oid in batch],
            source._odb.fs,
            list(batch),
            check_exists=False,
            verify=False,  # both sides are checked by who calls
            on_error=failed.__setitem__,
            batch_size=self._odb.fs.jobs,
        )

    def remove(self, oids: Collection[str]) -> None:
        """Delete objects, those that name others first, so that none is left whose files are gone."""
        for wanted in (True, False):
            paths = [self._odb.oid_to_path(oid) for oid in oids if is_directory(oid) is wanted]
            if paths:
                self._odb.fs.remove(paths)

    def _is_local(self) -> bool:
        return bool(self._odb.fs.protocol == "local")

    def _digest(self, oid: str) -> str:
        with self._at_hand(oid) as path:
            return md5_of_file(path)

    @contextmanager
    def _at_hand(self, oid: str) -> Iterator[Path]:
        if self._is_local():
            yield Path(self._odb.oid_to_path(oid))
        else:
            with TemporaryDirectory(prefix="retrain-object-") as folder:
                self._odb.fs.fs.get_file(self._odb.oid_to_path(oid), f"{folder}/object")
                yield Path(folder) / "object"


def md5_of(oid: str) -> str:
    """Give the digest that an object's bytes have by its name."""
    return oid.removesuffix(".dir")


def is_directory(oid: str) -> bool:
    """Whether an object is the list of a folder's files."""
    return oid.endswith(".dir")


def lacking(objects: Collection[str], there: Mapping[str, Stored], here: Mapping[str, Stored]) -> list[str]:
    """List what a side lacks.

    Args:
        objects: that are needed.
        there: the side's listing.
        here: the other side's listing; an object whose size differs there is not whole.

    Returns:
        In the order of their names.
    """
    return sorted(oid for oid in objects if oid not in there or (oid in here and here[oid].size != there[oid].size))


def total_bytes(oids: Collection[str], listing: Mapping[str, Stored]) -> int:
    """Add up the sizes of objects, those that are listed."""
    return sum(listing[oid].size for oid in oids if oid in listing)


def _local_listing(odb: Any) -> Iterator[tuple[str, Stored]]:
    for path in odb.fs.find(odb.path):
        oid = _oid(odb, path)
        if oid:
            stat = Path(path).stat()
            yield oid, Stored(stat.st_size, stat.st_mtime)


def _remote_listing(odb: Any) -> Iterator[tuple[str, Stored]]:
    odb.fs.fs.invalidate_cache()
    for path, info in odb.fs.fs.find(odb.path, detail=True).items():
        oid = _oid(odb, path)
        if oid:
            modified = info.get("last_modified")
            yield oid, Stored(info["size"], modified.timestamp() if modified else None)


def _oid(odb: Any, path: str) -> str | None:
    """Give the object that a path is; None for what is no object, such as a copy that was not finished."""
    try:
        oid: str = odb.path_to_oid(path)
    except ValueError:
        return None
    digest = md5_of(oid)
    return oid if len(digest) == 32 and set(digest) <= set("0123456789abcdef") else None
