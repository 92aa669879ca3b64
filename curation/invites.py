"""Invitations to the desk: a link with a secret, of which only a digest is kept, makes a browser a person's.

A secret has 256 random bits, so its plain SHA-256 tells nothing about it. A file that is lost withdraws every link.
"""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from curation.shared_file import locked
from runtime.json_files import read_json
from runtime.outputs import whole

FILE = Path(".dvc/tmp/retrain/desk/invites.json")
DAYS, MOST_DAYS = 30, 3660  # that a link lasts, unless something else is asked for
_REMEDY = "Delete it, and invite again: make desk INVITE=ben."


class Invite(BaseModel):
    """Whose browser it is that shows the secret, and until when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    until: AwareDatetime


_INVITES = TypeAdapter(list[Invite])


class Invites:
    """The links that were given out; the file is read anew for each question, so that a withdrawn link ends at once."""

    def __init__(self, path: Path = FILE) -> None:
        self._path, self._lock = path, path.with_suffix(".lock")

    def add(self, person: str, days: int, now: datetime) -> str:
        """Invite a person; links that have ended are forgotten.

        Args:
            person: a name as `person_of` gives it.
            days: that the link lasts.
            now: the time.

        Returns:
            The secret of the link.
        """
        secret = secrets.token_urlsafe(32)
        invite = Invite(person=person, sha256=_digest(secret), until=now + timedelta(days=days))
        with locked(self._lock):
            self._write([*(each for each in self._read() if each.until > now), invite])
        return secret

    def withdraw(self, person: str) -> int:
        """End all links of a person; returns how many there were."""
        with locked(self._lock):
            invites = self._read()
            kept = [each for each in invites if each.person != person]
            self._write(kept)
        return len(invites) - len(kept)

    def find(self, secret: str, now: datetime | None = None) -> Invite | None:
        """Say whose secret it is; None for one that was not given out, has ended or was withdrawn."""
        digest, now = _digest(secret), now or datetime.now(UTC)
        return next((each for each in self._read() if each.sha256 == digest and each.until > now), None)

    def _read(self) -> list[Invite]:
        return read_json(self._path, _INVITES, "list of invitations", _REMEDY) if self._path.exists() else []

    def _write(self, invites: list[Invite]) -> None:
        with whole(self._path) as partial:
            partial.touch(mode=0o600)
            partial.write_bytes(_INVITES.dump_json(invites, indent=1))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
