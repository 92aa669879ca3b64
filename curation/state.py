"""What a running desk knows: the tables, everybody's decisions, whose desk it is, and what waits for later."""

import re
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from threading import RLock

from curation.actions import Row, action_id, open_actions, pictures_of, restoring
from curation.decision_file import DecisionFile
from curation.ledger import Ledger
from curation.parting import EVERYTHING, Parting
from curation.shared_file import LOCKS
from curation.snapshot import Snapshot, Tables
from curation.standards import PATH as STANDARDS
from curation.standards import Standards
from runtime.errors import InstructionError, RepositoryError
from runtime.litter import is_litter
from runtime.repository import git
from stages.labels.decisions import FOLDER, Decision, list_files

_MOST = 100  # letters of a person's name


class Desk:
    """The state of a running desk; methods may be called by several threads."""

    def __init__(self, folder: str | Path = FOLDER, locks: str | Path = LOCKS, parting: Parting = EVERYTHING):
        self.lock = RLock()
        self.tables = Tables()
        self.later: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self.parting = parting
        self._folder, self._locks = Path(folder), Path(locks)
        self.standards = Standards(self._folder.with_name(Path(STANDARDS).name), locks)
        self._files: dict[str, DecisionFile] = {}
        self._ledger = Ledger()
        self._taken_in: dict[str, int] = {}  # of each person's file, how often it had been read
        self.refresh()

    def refresh(self) -> None:
        """Read again what changed under the desk: decisions of others, or this person's in another way.

        Raises:
            InstructionError: a file cannot be read.
        """
        with self.lock:
            people = {path.stem for path in list_files(self._folder)} if self._folder.is_dir() else set()
            for person in sorted(people | self._files.keys()):
                self.file(person).refresh()
            self._take_in()

    def file(self, person: str) -> DecisionFile:
        """Give the file of a person."""
        with self.lock:
            if person not in self._files:
                self._files[person] = DecisionFile(person, self._folder, self._locks)
            return self._files[person]

    @property
    def ledger(self) -> Ledger:
        """What everybody said."""
        return self._ledger

    @property
    def said(self) -> dict[str, list[Decision]]:
        """Everybody's decisions, by person, in the order of the names and of time."""
        return {person: file.said for person, file in sorted(self._files.items())}

    @property
    def snapshot(self) -> Snapshot:
        """The newest tables."""
        return self.tables.current()

    def label_of(self, image_id: str) -> str | None:
        """Name the sub-class that a picture was given since the last run, or had in it; None if none."""
        if given := self.ledger.answer(image_id, "label"):
            return given.value
        label = self.snapshot.images["sub_class"].get(image_id)
        return label if isinstance(label, str) else None

    def say(self, person: str, rows: Sequence[Row], now: datetime | None = None) -> list[Decision]:
        """Write the rows of one action; returns when they are on the disk.

        Raises:
            InstructionError: the person's file holds a line that cannot be read.
            RepositoryError: the disk refused the rows.
        """
        with self.lock:
            self.refresh()
            file = self.file(person)
            added = file.append(rows, now)
            self._take_in(added)
            return added

    def undo(self, person: str, new_action: str, of: str | None = None) -> list[Decision]:
        """Take back an action of a person.

        Rows that no commit holds are taken off the file; others are answered by rows that bring back what was said
        before.

        Args:
            person: whose.
            new_action: id of the answering rows.
            of: id of the action; by default the last one. One that is taken back already is not an error: the answer to
                the first request was lost.

        Returns:
            The rows that were taken back; none if there was nothing to take back.
        """
        with self.lock:
            self.refresh()
            file = self.file(person)
            committed, fields = file.committed(), file.fields()
            self._take_in()
            done = next(
                (rows for rows in reversed(open_actions(file.said)) if of in (None, action_id(rows[0].why))), []
            )
            if not done:
                return []
            if any(fields[decision] in committed for decision in done):
                rows = restoring(self._ledger.about(pictures_of(done)), done, new_action)
                self._take_in(file.append(rows))
            else:
                file.take_off(done)
                self._take_in()
            return done

    def uncommitted(self, person: str) -> int:
        """Count the person's rows that the last commit does not hold."""
        with self.lock:
            file = self.file(person)
            committed, fields = file.committed(), file.fields()
            self._take_in()
            return sum(each not in committed for each in fields.values())

    def _take_in(self, added: Sequence[Decision] = ()) -> None:
        """Bring the ledger up to what the files said: by what was added, or anew where one has been read again."""
        reads = {person: file.num_reads for person, file in self._files.items()}
        if reads != self._taken_in:
            self._ledger = Ledger(said for file in self._files.values() for said in file.said)
            self._taken_in = reads
        else:
            self._ledger.add(added)


def person_of(given: str | None) -> str:
    """Name the person whose decisions are written.

    Args:
        given: PERSON, or nothing: then it is the part of git's user.email before the @.

    Raises:
        InstructionError: the name cannot be a file's.
        RepositoryError: git knows no e-mail address.
    """
    name = given or ""
    if not name:
        try:
            name = git("config", "user.email").strip().partition("@")[0]
        except RepositoryError:
            raise RepositoryError(
                "git knows no e-mail address, so nobody could tell whose decisions these are. "
                "`git config user.email ana@example.org` sets it; or name the person: make desk PERSON=ana."
            ) from None
    if not name or len(name) > _MOST or re.search(r"[/\x00-\x1f\x7f]", name) or is_litter(name):
        raise InstructionError(
            f"{name!r} cannot be a person's name: it becomes the file data/decisions/<person>.csv. "
            "Use letters, digits, dots and hyphens: make desk PERSON=ana."
        )
    return name
