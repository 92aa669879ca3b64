"""What the blind test has shown so far: each person and the model on exactly the same pictures."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from curation.actions import in_effect, pictures_of
from curation.state import Desk
from review.beside_people import (
    BESIDE_PEOPLE,
    FEWEST,
    Beside,
    Key,
    by_class,
    compare,
    first_answers,
    key_of,
    with_oneself,
)
from review.blind_answers import BlindAnswer, standing
from stages.labels.decisions import Decision
from stages.tables import predictions

LATENCY = Path("build/usage/tables/latency.parquet")  # of `make usage`


class InProduction(NamedTuple):
    """How long one picture takes in production, from its arrival to the answer.

    Attributes:
        seconds: median.
        answers: of how many.
    """

    seconds: float
    answers: int


def result(desk: Desk, person: str) -> dict[str, Any]:
    """Collect what the page shows besides the frame.

    Args:
        desk: its state.
        person: whose rounds and classes are shown.
    """
    with desk.lock:
        key = key_of(desk.snapshot.tables[predictions.ROWS], desk.snapshot.classes)
        answers, version = standing(desk.blind_answers), desk.snapshot.version
        decided = _decided(desk.file(person).said)
    names = sorted({each.person for each in answers})
    of_person = {name: [each for each in answers if each.person == name] for name in names}
    first = list(first_answers(of_person.get(person, [])).values())
    compared = compare(first, key)
    return _everybody(of_person, key) | {
        "rounds": _rounds(first, key),
        "classes_of": by_class(first, key),
        "num_named": len(first),
        "num_left_out": sum(each.image_id not in key.truths for each in first),
        "num_other_version": compared.num_other_version(version) if compared else 0,
        "known": _known(first, decided, key),
        "version": version,
        "in_production": in_production(),
        "has_predictions": bool(key.truths),
        "fewest": FEWEST,
    }


def in_production() -> InProduction | None:
    """Read from the last report of `make usage` how long an answer took; None where none says it."""
    try:
        rows = pq.read_table(LATENCY, columns=["part", "pictures", "median_ms"]).to_pylist()
    except (FileNotFoundError, pa.ArrowException, OSError):
        return None  # a damaged report is written again, and hides nothing here
    answer = next((row for row in rows if row["part"] == BESIDE_PEOPLE), None)
    return InProduction(answer["median_ms"] / 1000, answer["pictures"]) if answer else None


def _everybody(of_person: Mapping[str, Sequence[BlindAnswer]], key: Key) -> dict[str, Any]:
    """Compare each person, and all together where they are several."""
    together = list(first_answers(sorted(chain.from_iterable(of_person.values()))).values())
    compared = {name: compare(first_answers(each).values(), key) for name, each in of_person.items()}
    repeats = {name: with_oneself(each, key) for name, each in of_person.items()}
    are_several = len(of_person) > 1
    return {
        "people": {name: each for name, each in compared.items() if each},
        "repeats": {name: each for name, each in repeats.items() if each},
        "together": compare(together, key) if are_several else None,
        "classes_together": by_class(together, key) if are_several else {},
    }


def _rounds(first: Iterable[BlindAnswer], key: Key) -> dict[int, Beside]:
    """Compare each round of a person."""
    of_round = groupby(sorted(first, key=lambda each: each.round), lambda each: each.round)
    return {number: found for number, each in of_round if (found := compare(each, key))}


def _decided(said: Sequence[Decision]) -> dict[str, datetime]:
    """Say since when a person has decided something about a picture, and so has seen its label, by image_id."""
    since: dict[str, datetime] = {}
    for decision in in_effect(said):
        for image_id in pictures_of([decision]):
            since.setdefault(image_id, decision.on)
    return since


def _known(first: Sequence[BlindAnswer], decided: Mapping[str, datetime], key: Key) -> dict[str, Any] | None:
    """Compare without the pictures of which the person may have known the label; None where there are none."""
    named = [each for each in first if each.image_id in key.truths]
    unknown = [each for each in named if each.image_id not in decided or decided[each.image_id] > each.on]
    if len(unknown) == len(named):
        return None
    return {"num": len(named) - len(unknown), "without": compare(unknown, key)}
