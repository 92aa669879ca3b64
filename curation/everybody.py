"""Files of one kind, such as decisions: those of all people whom a running desk knows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from curation.person_file import PersonFile
from stages.labels.person_files import list_files

File = TypeVar("File", bound=PersonFile[Any, Any])


class Everybody(Generic[File]):
    """Everybody's files of one kind.

    Attributes:
        files: by person, in no order.
    """

    def __init__(self, make: Callable[[str, Path, Path], File], folder: Path, locks: Path):
        self.files: dict[str, File] = {}
        self._make, self._folder, self._locks = make, folder, locks

    def of(self, person: str) -> File:
        """Give the file of a person, who may have none yet."""
        if person not in self.files:
            self.files[person] = self._make(person, self._folder, self._locks)
        return self.files[person]

    def refresh(self) -> None:
        """Read again what was changed in another way.

        Raises:
            InstructionError: a file cannot be read.
        """
        written = {path.stem for path in list_files(self._folder)} if self._folder.is_dir() else set()
        for person in sorted(written | self.files.keys()):
            self.of(person).refresh()

    def said(self) -> list[Any]:
        """List what everybody said, in the order of time."""
        return sorted(each for file in self.files.values() for each in file.said)
