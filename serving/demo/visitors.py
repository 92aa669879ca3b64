"""Made-up visitors: they send pictures to a gateway over HTTP, try again, and say what answers were worth."""

import http.client
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heappop, heappush
from itertools import count
from typing import Any, NamedTuple

from runtime.progress import progress
from serving.demo.photos import BLURRED, DARK, PLAIN, taken
from serving.demo.week import Visit

OK = 200
_PATIENT = 0.6  # of those whose picture was bad, this share tries again
_AGAIN_SECONDS = (25, 110)
_SAID_SECONDS = (5, 600)
# Of those who were told something wrong or right: what share says so; and who calls a right answer wrong.
_COMPLAIN, _PRAISE, _MISTAKEN = 0.5, 0.12, 0.99
_TIMEOUT_SECONDS = 120


class Sent(NamedTuple):
    """What became of a visit.

    Attributes:
        visit: that was made.
        transaction: of the log.
        status: of HTTP.
        told: the class that the visitor was told; None for none.
    """

    visit: Visit
    transaction: str
    status: int
    told: str | None


class Said(NamedTuple):
    """What a visitor says of an answer."""

    transaction: str
    feedback: str


Ask = Callable[[str, bytes, Mapping[str, str]], tuple[int, dict[str, Any]]]


class Client:
    """Asks the gateway at a port of this machine."""

    def __init__(self, host: str, port: int) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)

    def ask(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        """Send something; gives the status of HTTP and the JSON that was answered."""
        self._connection.request("POST", path, body, dict(headers))
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


def play(visits: Sequence[Visit], ask: Ask, set_clock: Callable[[datetime], None], end: datetime) -> list[Sent]:
    """Make visits, and what follows from each answer, in the order of time.

    Args:
        visits: in this order.
        ask: of the gateway.
        set_clock: sets its clock.
        end: nothing happens from then on.

    Returns:
        The visits, second tries included, in the order of time.
    """
    sent: list[Sent] = []
    numbers = count()
    later: list[tuple[datetime, int, Visit | Said]] = []

    def happens(moment: datetime, what: Visit | Said) -> None:
        set_clock(moment)
        if isinstance(what, Said):
            _say(what, ask)
            return
        sent.append(_visit(what, ask))
        for then, follows in _following(sent[-1]):
            if then < end:
                heappush(later, (then, next(numbers), follows))

    def until(moment: datetime) -> Iterator[tuple[datetime, Visit | Said]]:
        while later and later[0][0] <= moment:
            at, _, what = heappop(later)
            yield at, what

    for visit in progress(visits, len(visits), "visits"):
        for at, what in until(visit.at):
            happens(at, what)
        happens(visit.at, visit)
    for at, what in until(end):
        happens(at, what)
    return sent


def _visit(visit: Visit, ask: Ask) -> Sent:
    headers = {"Content-Type": "image/jpeg", "X-Client-Build": visit.client, "X-Client-User": visit.user}
    status, answer = ask("/v1/identify", taken(visit.photo, visit.kind), headers)
    told = answer["answer"]["class"] if status == OK and answer["answer"] else None
    return Sent(visit, answer["transaction"], status, told)


def _say(said: Said, ask: Ask) -> None:
    ask("/v1/feedback", json.dumps(said._asdict()).encode(), {"Content-Type": "application/json"})


def _following(sent: Sent) -> Iterator[tuple[datetime, Visit | Said]]:
    """Give what the visitor does next, and when."""
    visit = sent.visit
    if sent.status != OK:
        return
    if feedback := _feedback(sent):
        yield visit.at + _between(_SAID_SECONDS, visit.patience), Said(sent.transaction, feedback)
    if sent.told is None and visit.kind in (DARK, BLURRED) and visit.patience < _PATIENT:
        again = visit.at + _between(_AGAIN_SECONDS, visit.mood)
        yield again, visit._replace(at=again, kind=PLAIN)


def _feedback(sent: Sent) -> str | None:
    mood = sent.visit.mood
    if sent.told is None:
        return None
    if sent.told != sent.visit.photo.truth:
        return "wrong" if mood < _COMPLAIN else None
    return "right" if mood < _PRAISE else "wrong" if mood >= _MISTAKEN else None


def _between(seconds: tuple[int, int], share: float) -> timedelta:
    low, high = seconds
    return timedelta(milliseconds=round(1000 * (low + share * (high - low))))
