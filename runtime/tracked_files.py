"""The files that Git and DVC track, in a commit or in the workspace, wherever their bytes are."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from runtime.digest import md5_of_bytes, md5_of_file
from runtime.errors import RepositoryError, is_storage_failure
from runtime.regular_files import open_regular, read_small

Result = TypeVar("Result")
# As much as the largest table may take (stages/tables/table.py).
MAX_BYTES = 4 * 2**30


class TrackedFiles:
    """The tracked files of a commit or of the workspace.

    Those of a commit come from DVC's cache, or else its remote; never from the workspace. Those of the workspace come
    from the workspace; only what is absent there comes from the cache or the remote. A whole file that comes from the
    cache or the remote is compared with its digest.

    Args:
        rev: the commit, or a name of it; it is in this clone. None is the workspace.

    Raises:
        RepositoryError: here and by every method: a file is nowhere, cannot be fetched, or is damaged.
    """

    def __init__(self, rev: str | None = None) -> None:
        self._name = rev or "the workspace"
        self._in_workspace = rev is None
        self._files = self._ask(_file_system, rev)

    def find(self, folder: str) -> list[str]:
        """List the files below a folder, sorted; none where there is no such folder."""
        return sorted(self._ask(self._files.find, folder))

    def digests(self, folder: str) -> dict[str, str]:
        """Give the MD5 of each file below a folder that DVC tracks, by its path; of a commit, not of the workspace."""
        files = self._ask(self._files.find, folder, detail=True)
        return {path: info["md5"] for path, info in files.items() if info.get("md5")}

    def read(self, path: str) -> bytes:
        """Read a file, which is small enough for memory."""
        if self._in_workspace and Path(path).exists():
            return read_small(path, MAX_BYTES, f"`dvc checkout --force {path}` brings it back.", RepositoryError)
        if (num_bytes := self._ask(self._files.info, path).get("size") or 0) > MAX_BYTES:
            raise RepositoryError(f"{path} of {self._name} has {num_bytes:,} bytes; expected at most {MAX_BYTES:,}.")
        content: bytes = self._ask(self._files.read_bytes, path)
        self._require_digest(path, md5_of_bytes(content))
        return content

    def read_parts(self, path: str, parts: Sequence[tuple[int, int]]) -> list[bytes]:
        """Read parts of a file that may be larger than memory; parts have no digest that they could be compared with.

        Args:
            path: of the file.
            parts: the offset and the number of bytes of each.
        """
        if self._in_workspace and Path(path).exists():
            with open_regular(path, f"`dvc checkout --force {path}` brings it back.", RepositoryError) as file:
                return [os.pread(file.fileno(), size, offset) for offset, size in parts]
        return self._ask(_read_parts, self._files, path, parts)

    def fetch(self, targets: Mapping[str, Path]) -> None:
        """Copy files.

        Args:
            targets: where each is written, by its path in the repository.
        """
        for path, target in targets.items():
            target.parent.mkdir(parents=True, exist_ok=True)
            self._ask(self._files.get_file, path, str(target))
            self._require_digest(path, md5_of_file(target))

    def _require_digest(self, path: str, digest: str) -> None:
        # There is none for what git has, and for what stands in the workspace.
        expected = self._ask(self._files.info, path).get("md5")
        if expected and digest != expected:
            raise RepositoryError(
                f"{path} of {self._name} is damaged in DVC's cache or remote: its MD5 should be {expected} and is "
                f"{digest}. Delete {expected[:2]}/{expected[2:]} in .dvc/cache/files/md5, or push it there again."
            )

    def _ask(self, function: Callable[..., Result], *arguments: object, **options: object) -> Result:
        try:
            return function(*arguments, **options)
        except Exception as error:
            if not is_storage_failure(error):
                raise
            raise RepositoryError(
                f"{self._name} cannot be read from DVC's cache or remote: {error}. `dvc remote list` shows the remote; "
                "`make push` on the machine that made the model brings it there."
            ) from error


def _file_system(rev: str | None) -> Any:
    from dvc.api import DVCFileSystem
    from dvc.repo import Repo

    # The remote of today: the one of the commit may have moved since.
    with Repo() as workspace:
        config = {section: workspace.config[section] for section in ("core", "remote")}
    return DVCFileSystem(rev=rev, config=config)


def _read_parts(files: Any, path: str, parts: Sequence[tuple[int, int]]) -> list[bytes]:
    read = []
    with files.open(path) as file:
        for offset, size in parts:
            file.seek(offset)
            read.append(file.read(size))
    return read
