"""What a running desk knows: the tables, what everybody said, whose desk it is, and what waits for later."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from datetime import datetime
from heapq import merge
from itertools import groupby
from pathlib import Path
from threading import RLock
from typing import Any

from curation.actions import (
    FRAME,
    AnyRow,
    BlindRow,
    Entry,
    NominationRow,
    OutcomeRow,
    PageRow,
    Row,
    Said,
    action_id,
    latest_actions,
    leaves_said_again,
    page_of,
    pictures_of,
    restoring,
    withdrawing,
    withdrawing_blind,
    withdrawing_nominations,
)
from curation.blind_file import BlindFile
from curation.copies import Copies
from curation.decision_file import DecisionFile
from curation.everybody import Everybody
from curation.ledger import Ledger
from curation.nomination_file import NominationFile
from curation.outcome_file import OutcomeFile
from curation.parting import EVERYTHING, Parting
from curation.person_file import PersonFile
from curation.shared_file import LOCKS
from curation.snapshot import Snapshot, Tables
from curation.standards import PATH as STANDARDS
from curation.standards import Standards
from intake import nominations
from intake.nominations import Nomination
from review import blind_answers
from review.blind_answers import BlindAnswer
from runtime.errors import InstructionError, RepositoryError
from runtime.litter import is_litter
from runtime.repository import git
from serving import outcomes
from serving.outcomes import Outcome
from stages.labels.decisions import FOLDER, Decision, Pair

_MOST = 200  # bytes of a person's name: a file's may have 255, with .csv, .lock or .partial


class Desk:
    """The state of a running desk; methods may be called by several threads."""

    def __init__(
        self,
        folder: str | Path = FOLDER,
        locks: str | Path = LOCKS,
        parting: Parting = EVERYTHING,
        repeats: float = 0.0,
    ):
        self.lock = RLock()
        self.tables = Tables()
        self.later: defaultdict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self.parting, self.repeats = parting, repeats
        decided, locked = Path(folder), Path(locks)
        self.standards = Standards(decided.with_name(Path(STANDARDS).name), locks)
        self.copies = Copies(locks)
        self._decided = Everybody(DecisionFile, decided, locked)
        self._judged = Everybody(OutcomeFile, decided.with_name(Path(outcomes.FOLDER).name), locked)
        self._nominated = Everybody(NominationFile, decided.with_name(Path(nominations.FOLDER).name), locked)
        self._blind = Everybody(BlindFile, decided.with_name(Path(blind_answers.FOLDER).name), locked)
        self._kinds: tuple[Everybody[Any], ...] = (self._judged, self._nominated, self._decided, self._blind)
        self._ledger = Ledger()
        self._taken_in: dict[Path, int] = {}  # of each person's file, how often it had been read
        self.refresh()
        self.copies.settle(self.ties)

    def refresh(self) -> None:
        """Read again what changed under the desk: what others said, or this person in another way.

        Raises:
            InstructionError: a file cannot be read.
        """
        with self.lock:
            for kind in self._kinds:
                kind.refresh()
            self._take_in()

    def file(self, person: str) -> DecisionFile:
        """Give the file of a person's decisions."""
        with self.lock:
            return self._decided.of(person)

    def outcomes(self, person: str) -> OutcomeFile:
        """Give the file of what a person found about answers in production."""
        with self.lock:
            return self._judged.of(person)

    def nominations(self, person: str) -> NominationFile:
        """Give the file of what a person nominated for benchmarks, and named on a second look."""
        with self.lock:
            return self._nominated.of(person)

    def blind(self, person: str) -> BlindFile:
        """Give the file of what a person answered in the blind test, which decides nothing."""
        with self.lock:
            return self._blind.of(person)

    def files_of(self, person: str) -> list[PersonFile[Any, Any]]:
        """Give a person's files, of each kind one."""
        with self.lock:
            return [kind.of(person) for kind in self._kinds]

    @property
    def blind_answers(self) -> list[BlindAnswer]:
        """Everybody's answers in the blind test, in the order of time."""
        return self._blind.said()

    @property
    def ledger(self) -> Ledger:
        """What everybody said."""
        return self._ledger

    @property
    def said(self) -> dict[str, list[Decision]]:
        """Everybody's decisions, by person, in the order of the names and of time."""
        return {person: file.said for person, file in sorted(self._decided.files.items())}

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

    def ties(self, pair: Pair) -> bool:
        """Say whether a decision, of whichever desk, ties two pictures as showing the same."""
        self.refresh()
        said = self.ledger.answer(pair[0], "pair", pair[1])
        return said is not None and said.decision == "duplicate"

    def say(self, person: str, rows: Sequence[Row], now: datetime | None = None) -> list[Decision]:
        """Write the rows of one action; returns when they are on the disk.

        Raises:
            InstructionError: the person's file holds a line that cannot be read.
            RepositoryError: the disk refused the rows.
        """
        with self.lock:
            self.refresh()
            added = self.file(person).append(rows, now)
            self._take_in(added)
            return added

    def judge(self, person: str, rows: Sequence[OutcomeRow], now: datetime | None = None) -> list[Outcome]:
        """Write the outcomes of one action, as `say` writes decisions."""
        with self.lock:
            self.refresh()
            added = self.outcomes(person).append(rows, now)
            self._take_in(judged=added)
            return added

    def nominate(self, person: str, rows: Sequence[NominationRow], now: datetime | None = None) -> list[Nomination]:
        """Write the nominations or second looks of one action, as `say` writes decisions."""
        with self.lock:
            self.refresh()
            added = self.nominations(person).append(rows, now)
            self._take_in(nominated=added)
            return added

    def answer_blind(self, person: str, rows: Sequence[BlindRow], now: datetime | None = None) -> list[BlindAnswer]:
        """Write the answer in the blind test of one action, as `say` writes decisions."""
        with self.lock:
            self.refresh()
            return self.blind(person).append(rows, now)

    def write(self, person: str, rows: Sequence[PageRow]) -> list[Entry]:
        """Write the rows of one action of a page, of whichever kinds, as `say` does.

        Outcomes come last: an answer of which they are not written is shown again.
        """
        decided = [row for row in rows if isinstance(row, Row)]
        nominated = [row for row in rows if isinstance(row, NominationRow)]
        judged = [row for row in rows if isinstance(row, OutcomeRow)]
        with self.lock:
            said: list[Entry] = [*self.say(person, decided)] if decided else []
            said = [*self.nominate(person, nominated), *said] if nominated else said
            return [*self.judge(person, judged), *said] if judged else said

    def latest(self, person: str) -> Iterator[list[Entry]]:
        """Go through the actions of a person that are not undone, of whichever file, the latest first."""
        said = (latest_actions(kind.of(person).said) for kind in self._kinds)
        actions = merge(*said, key=lambda rows: rows[0].on, reverse=True)
        for _, parts in groupby(actions, lambda rows: action_id(rows[0].why)):
            yield [row for part in parts for row in part]

    def of_action(self, person: str, action: str) -> list[Entry]:
        """List what an action of a person wrote; nothing where it has written nothing."""
        return [each for kind in self._kinds for each in kind.of(person).rows_of(action)]

    def undo(self, person: str, new_action: str, of: str | None = None) -> list[Entry]:
        """Take back an action of a person.

        Rows that no commit holds are taken off the file, unless another person's undo said them again; others are
        answered by rows that bring back what was said before. A framed copy goes with the rows that tie it to its
        original.

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
            decided, judged, blind = self.file(person), self.outcomes(person), self.blind(person)
            nominated = self.nominations(person)

            def restore(done: list[Decision]) -> None:
                about = self._ledger.about(pictures_of(done))
                self._take_in(decided.append(restoring(about, done, new_action)))

            def is_said_again(done: list[Decision]) -> bool:
                return leaves_said_again(self._ledger.about(pictures_of(done)), done)

            def withdraw(done: list[Outcome]) -> None:
                self._take_in(judged=judged.append(withdrawing(judged.said, done, new_action)))

            def withdraw_nominated(done: list[Nomination]) -> None:
                rows = withdrawing_nominations(nominated.said, done, new_action)
                self._take_in(nominated=nominated.append(rows))

            def withdraw_blind(done: list[BlindAnswer]) -> None:
                blind.append(withdrawing_blind(done, new_action))

            for kind in self._kinds:
                kind.of(person).refresh()  # git does not wait for us
            self._take_in()
            last = [] if of else next(self.latest(person), [])
            action = action_id(last[0].why) if last else of
            if action is None:
                return []
            ties = _ties(decided, action)
            with self.copies.changing(ties, self.ties) if ties else nullcontext():
                return [
                    *self._take_back(blind, action, withdraw_blind),
                    *self._take_back(judged, action, withdraw),
                    *self._take_back(nominated, action, withdraw_nominated),
                    *self._take_back(decided, action, restore, is_said_again),
                ]

    def _take_back(
        self,
        file: PersonFile[AnyRow, Said],
        of: str,
        answer: Callable[[list[Said]], None],
        must_answer: Callable[[list[Said]], bool] = lambda _: False,
    ) -> list[Said]:
        """Take back the rows of an action in a file, as `undo` says.

        Args:
            file: of the person.
            of: id of the action.
            answer: writes the rows that answer it, where a commit holds one of its rows.
            must_answer: says whether they are needed where no commit does, too.
        """
        done = file.open_action(of)
        if not done:
            return []
        if file.is_committed(done) or must_answer(done):
            answer(done)
            return done
        num_reads = file.num_reads
        file.take_off(done)
        if file.num_reads == num_reads:
            self._ledger.drop(done)
        self._take_in()
        return done

    def uncommitted(self, person: str) -> int:
        """Count the person's decisions that the last commit does not hold."""
        with self.lock:
            number = self.file(person).num_uncommitted()
            self._take_in()
            return number

    def uncommitted_outcomes(self, person: str) -> int:
        """Count the person's outcomes that the last commit does not hold."""
        with self.lock:
            number = self.outcomes(person).num_uncommitted()
            self._take_in()
            return number

    def uncommitted_nominations(self, person: str) -> int:
        """Count the person's nominations and second looks that the last commit does not hold."""
        with self.lock:
            number = self.nominations(person).num_uncommitted()
            self._take_in()
            return number

    def uncommitted_blind(self, person: str) -> int:
        """Count the person's answers in the blind test that the last commit does not hold."""
        with self.lock:
            return self.blind(person).num_uncommitted()

    def _take_in(
        self,
        decided: Sequence[Decision] = (),
        judged: Sequence[Outcome] = (),
        nominated: Sequence[Nomination] = (),
    ) -> None:
        """Bring the ledger up to what the files said: by what was added, or anew where one has been read again."""
        kinds = (self._decided, self._judged, self._nominated)
        reads = {file.path: file.num_reads for kind in kinds for file in kind.files.values()}
        if reads != self._taken_in:
            self._ledger = Ledger(*(kind.said() for kind in kinds))
            self._taken_in = reads
        else:
            self._ledger.add(decided)
            self._ledger.judge(judged)
            self._ledger.nominate(nominated)


def _ties(file: DecisionFile, of: str) -> list[Pair]:
    """List the originals that an action framed, each with its copy."""
    done = file.open_action(of)
    return [(each.image_id, each.value) for each in done if page_of(each.why) == FRAME and each.decision == "duplicate"]


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
    if (
        not name
        or len(name.encode(errors="surrogateescape")) > _MOST
        or re.search(r"[/\x00-\x1f\x7f]", name)
        or is_litter(name)
    ):
        raise InstructionError(
            f"{name!r} cannot be a person's name: it becomes the file data/decisions/<person>.csv. "
            "Use letters, digits, dots and hyphens: make desk PERSON=ana."
        )
    return name
