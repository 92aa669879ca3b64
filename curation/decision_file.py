"""The one writer of data/decisions/<person>.csv."""

from pathlib import Path

from curation.actions import Row
from curation.person_file import Format, PersonFile
from curation.shared_file import LOCKS
from stages.labels import decisions
from stages.labels.decisions import Decision

_FORMAT = Format(decisions.COLUMNS, decisions.parse_decisions, Decision)


class DecisionFile(PersonFile[Row, Decision]):
    """A person's decisions."""

    def __init__(self, person: str, folder: str | Path = decisions.FOLDER, locks: str | Path = LOCKS):
        super().__init__(person, folder, locks, _FORMAT)
