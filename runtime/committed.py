"""What a commit names, out of DVC's cache or else its remote, never out of the workspace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.digest import md5_of_file
from runtime.errors import RepositoryError, RetrainError


class Committed:
    """The tracked files of a commit, those of Git and those of DVC.

    Args:
        rev: the commit, or a name of it; it is in this clone.

    Raises:
        RepositoryError: here and by every method: a file is neither in the cache nor on the remote, cannot be
            fetched, or is damaged.
    """

    def __init__(self, rev: str) -> None:
        self._rev = rev
        with self._words():
            from dvc.api import DVCFileSystem
            from dvc.repo import Repo

            # The remote of today: where it was when the commit was made need not hold any more.
            with Repo() as workspace:
                config = {section: workspace.config[section] for section in ("core", "remote")}
            self._files = DVCFileSystem(rev=rev, config=config)

    def find(self, folder: str) -> list[str]:
        """List the files below a folder, none where there is no such folder, sorted."""
        with self._words():
            return sorted(self._files.find(folder))

    @contextmanager
    def open(self, path: str) -> Iterator[Any]:
        """Open a file to read parts of it; what is read is not compared with its digest."""
        with self._words(), self._files.open(path) as file:
            yield file

    def fetch(self, wanted: Mapping[str, Path]) -> None:
        """Copy files, and compare what came with its digest.

        Args:
            wanted: where to write each, by its path in the commit.
        """
        for path, place in wanted.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            with self._words():
                self._files.get_file(path, str(place))
                expected = self._files.info(path).get("md5")  # none for what git holds
            if expected and (found := md5_of_file(place)) != expected:
                raise RepositoryError(
                    f"{path} of {self._rev} is damaged in DVC's cache or remote: its MD5 should be {expected} and is "
                    f"{found}. Take {expected[:2]}/{expected[2:]} out of .dvc/cache/files/md5, or push it there anew."
                )

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except RetrainError:
            raise
        except Exception as error:  # each remote's client raises what it likes; the words are passed on
            raise RepositoryError(
                f"{self._rev} cannot be read from DVC's cache or remote: {error}. `dvc remote list` shows the remote; "
                "`make push` on the machine that made the model brings it there."
            ) from error
