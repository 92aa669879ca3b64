"""The one writer of data/blind/<person>.csv."""

from pathlib import Path

from curation.actions import BlindRow
from curation.person_file import Format, PersonFile
from curation.shared_file import LOCKS
from review import blind_answers
from review.blind_answers import BlindAnswer

_FORMAT = Format(blind_answers.COLUMNS, blind_answers.parse_blind, BlindAnswer)


class BlindFile(PersonFile[BlindRow, BlindAnswer]):
    """What a person answered in the blind test."""

    def __init__(self, person: str, folder: str | Path = blind_answers.FOLDER, locks: str | Path = LOCKS):
        super().__init__(person, folder, Path(locks, "blind"), _FORMAT)
