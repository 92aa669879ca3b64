"""Who may ask, how often, and what the log says of a user: keys, rates, and a hash that nobody can follow."""

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from runtime.errors import InputError
from runtime.outputs import write_json
from runtime.regular_files import read_small

_FEWEST_CHARACTERS = 16
_MOST_CLIENTS = 100_000  # whose rates are remembered at once
_ALWAYS = 4  # pictures that may be under way at once, however slow the last answers were
_MARGIN = 0.5  # of the seconds in which an answer should be there: some take twice as long as most
_WEIGHT = 0.1  # of the last answer, in how long each takes


class Keys:
    """Keys of the API; without any, everybody may ask.

    Args:
        keys: of clients.
    """

    def __init__(self, keys: Collection[str] = ()) -> None:
        self._keys = [key.encode() for key in keys]

    @classmethod
    def read(cls, path: Path) -> "Keys":
        """Read them from a file, one per line; a line that begins with # is a comment.

        Raises:
            InputError: the file is absent, or a key is too short to be secret.
        """
        text = read_small(path, 2**20, "Write one key per line into it.").decode(errors="replace")
        keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        if not keys or min(map(len, keys)) < _FEWEST_CHARACTERS:
            raise InputError(
                f"{path} has no key, or one of fewer than {_FEWEST_CHARACTERS} characters, which could be guessed. "
                "`openssl rand -hex 32` makes one; write one per line."
            )
        return cls(keys)

    @property
    def are_needed(self) -> bool:
        """Whether nobody may ask without one."""
        return bool(self._keys)

    def allow(self, key: str) -> bool:
        """Say whether who has this key may ask."""
        # All are compared, so that how long it takes tells nothing.
        equal = [hmac.compare_digest(key.encode(errors="replace"), each) for each in self._keys]
        return not self._keys or any(equal)


class Rates:
    """How often each client may ask: a bucket that fills evenly, and holds a minute's worth.

    Args:
        per_minute: requests of one client; 0 for any number.
        now: seconds of a clock that never goes back.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._now = per_minute, now
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait_seconds(self, client: str) -> float:
        """Count a request.

        Returns:
            0 where it may be answered; otherwise seconds until the next one may.
        """
        if not self._per_minute:
            return 0.0
        now, per_second = self._now(), self._per_minute / 60
        left, then = self._buckets.pop(client, (float(self._per_minute), now))
        left = min(self._per_minute, left + (now - then) * per_second)
        wait = 0.0 if left >= 1 else (1 - left) / per_second
        self._buckets[client] = (left if wait else left - 1, now)
        if len(self._buckets) > _MOST_CLIENTS:  # the one that asked longest ago is forgotten
            del self._buckets[next(iter(self._buckets))]
        return wait


class Places:
    """Room for pictures that are under way: for no more at once than will be answered in time, as the last ones tell.

    A picture that waited behind others tells how long each of them takes: by Little's law, the time that it was here,
    divided by how many were here when it came.

    Args:
        most: that may be under way at once.
        within: seconds in which an answer should be there; 0 where only `most` counts.
        now: seconds of a clock that never goes back.

    Attributes:
        num: that are under way.
    """

    def __init__(self, most: int, within: float, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._within, self._now = most, within, now
        self._seconds_each, self.num = 0.0, 0

    def is_free(self) -> bool:
        """Say whether one more may come in."""
        expected = (self.num + 1) * self._seconds_each
        in_time = self.num < _ALWAYS or not self._within or expected <= _MARGIN * self._within
        return self.num < self._most and in_time

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Let one in, whether there is room or not."""
        self.num += 1
        number, began = self.num, self._now()
        try:
            yield
        finally:
            self.num -= 1
            self._seconds_each += _WEIGHT * ((self._now() - began) / number - self._seconds_each)


class Users:
    """Hashes of users that are equal within a day (UTC) and mean nothing on the next, when the salt is lost.

    Args:
        path: of the file that has today's salt, so that a restart does not change it.
        now: the time.
    """

    def __init__(self, path: Path, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._path, self._now = path, now
        self._day, self._salt = "", b""
        if path.exists():
            try:
                saved = json.loads(path.read_bytes())
                self._day, self._salt = str(saved["day"]), bytes.fromhex(saved["salt"])
            except (ValueError, KeyError, TypeError):
                self._day = ""  # damaged: another one is drawn

    def hash_of(self, user: str) -> str:
        """Hash a user, such as an address."""
        day = self._now().date().isoformat()
        if day != self._day:
            salt = secrets.token_bytes(32)
            write_json(self._path, {"day": day, "salt": salt.hex()})
            self._path.chmod(0o600)
            self._day, self._salt = day, salt  # not before: one that was not written would be lost by a restart
        return hashlib.blake2b(user.encode(errors="replace"), key=self._salt, digest_size=12).hexdigest()
