"""The one writer of data/nominations/<person>.csv."""

from pathlib import Path

from curation.actions import NominationRow
from curation.person_file import Format, PersonFile
from curation.shared_file import LOCKS
from intake import nominations
from intake.nominations import Nomination

_FORMAT = Format(nominations.COLUMNS, nominations.parse_nominations, Nomination)


class NominationFile(PersonFile[NominationRow, Nomination]):
    """What a person nominated for benchmarks, and named on a second look."""

    def __init__(self, person: str, folder: str | Path = nominations.FOLDER, locks: str | Path = LOCKS):
        super().__init__(person, folder, Path(locks, "nominations"), _FORMAT)
