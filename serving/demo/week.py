"""A made-up week: who comes when, with what, and how inclined to say what the answer was worth."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from serving.demo.photos import BLURRED, DARK, NO_PICTURE, PLAIN, Photo, Photos

NUM_VISITS = 600
DAYS = 7
_KINDS, _OF_KINDS = (PLAIN, DARK, BLURRED, NO_PICTURE), (0.77, 0.12, 0.09, 0.02)
_OUT_OF_SCOPE = 0.08  # of the plain ones
# How busy the days are, from Monday, and the hours of each: people come at lunch, after work, and on weekends.
_OF_DAYS = (5, 5, 6, 6, 8, 12, 11)
_OF_HOURS = (1, 0, 0, 0, 0, 0, 1, 3, 5, 6, 7, 9, 12, 10, 8, 8, 9, 12, 15, 14, 11, 8, 5, 2)
_OF_USERS = 1 / np.sqrt(np.arange(1, 151))  # some come often
_CLIENTS = ("android 3.1", "web 12", "ios 3.0", "android 3.1", "ios 2.8")
_HOUR_MS = 3_600_000


class Visit(NamedTuple):
    """A visitor sends a picture.

    Attributes:
        at: when.
        user: what tells visitors apart.
        client: the build that it is sent with.
        photo: of what.
        kind: of KINDS in `photos`.
        mood: 0 to 1, by chance: whether the visitor says what the answer was worth; at 0 nearly always.
        patience: 0 to 1, by chance: whether the visitor tries again with a better picture; at 0 nearly always.
    """

    at: datetime
    user: str
    client: str
    photo: Photo
    kind: str
    mood: float
    patience: float


def last_week(today: date) -> list[date]:
    """List the last seven whole days, Monday first whatever day it is, so that each weekday keeps its visitors."""
    return sorted((today - timedelta(days=number) for number in range(1, DAYS + 1)), key=date.weekday)


def draw_week(num: int, days: Sequence[date], photos: Photos, rng: np.random.Generator) -> list[Visit]:
    """Draw a week of visits.

    Args:
        num: of visits.
        days: the seven days, Monday first.
        photos: what is photographed; each once before any comes again.
        rng: draws them.

    Returns:
        The visits in the order of time.
    """
    day, hour, user = (_drawn(rng, weights, num) for weights in (_OF_DAYS, _OF_HOURS, _OF_USERS))
    within, kind = rng.integers(_HOUR_MS, size=num), _drawn(rng, _OF_KINDS, num)
    is_other = (kind == _KINDS.index(PLAIN)) & (rng.random(num) < _OUT_OF_SCOPE) & bool(photos.out_of_scope)
    held_out, others = _dealt(photos.held_out, num, rng), _dealt(photos.out_of_scope, num, rng)
    mood, patience = rng.random(num), rng.random(num)
    visits = [
        Visit(
            at=datetime.combine(days[day[each]], time(hour[each]), UTC) + timedelta(milliseconds=int(within[each])),
            user=f"visitor {user[each]}",
            client=_CLIENTS[user[each] % len(_CLIENTS)],
            photo=others[each] if is_other[each] else held_out[each],
            kind=_KINDS[kind[each]],
            mood=float(mood[each]),
            patience=float(patience[each]),
        )
        for each in range(num)
    ]
    return sorted(visits, key=lambda visit: visit.at)


def _drawn(rng: np.random.Generator, weights: ArrayLike, num: int) -> NDArray[np.int64]:
    shares = np.asarray(weights, float)
    return rng.choice(len(shares), num, p=shares / shares.sum())


def _dealt(photos: Sequence[Photo], num: int, rng: np.random.Generator) -> list[Photo]:
    order = rng.permutation(len(photos))
    return [photos[int(each)] for each in np.resize(order, num)] if len(order) else []
