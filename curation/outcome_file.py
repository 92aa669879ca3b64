"""The one writer of data/outcomes/<person>.csv."""

from pathlib import Path

from curation.actions import OutcomeRow
from curation.person_file import Format, PersonFile
from curation.shared_file import LOCKS
from serving import outcomes
from serving.outcomes import Outcome

_FORMAT = Format(outcomes.COLUMNS, outcomes.parse_outcomes, Outcome)


class OutcomeFile(PersonFile[OutcomeRow, Outcome]):
    """What a person found about answers in production."""

    def __init__(self, person: str, folder: str | Path = outcomes.FOLDER, locks: str | Path = LOCKS):
        super().__init__(person, folder, Path(locks, "outcomes"), _FORMAT)
