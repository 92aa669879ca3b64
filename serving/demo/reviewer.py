"""The made-up reviewer: it knows what each picture shows, and writes what a person would at the desk."""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa

from curation.actions import OutcomeRow, noted, why
from curation.outcome_file import OutcomeFile
from intake.harvest import drawings
from serving.demo.photos import BLURRED, DARK
from serving.demo.visitors import OK, Sent
from serving.outcomes import BAD_PICTURE, OUT_OF_SCOPE, RIGHT, SHOULD_HAVE_ANSWERED, WRONG

_LEFT = 0.15  # of what was drawn, the share that is left for whoever looks at the desk


class Truth(NamedTuple):
    """What is true of all answers, as shares from 0 to 1; None where there is none of the kind."""

    right_of_shown: float | None
    rightly_silent: float | None


def outcome_of(sent: Sent) -> tuple[str, str]:
    """Say what a person finds who knows what the picture shows.

    Returns:
        An outcome and its value, as `serving.outcomes` describes them.
    """
    truth, kind = sent.visit.photo.truth, sent.visit.kind
    if sent.told is not None and sent.told == truth:
        return RIGHT, ""
    if sent.told is None and kind in (DARK, BLURRED):
        return BAD_PICTURE, kind
    if truth is None:
        return OUT_OF_SCOPE, ""
    return (SHOULD_HAVE_ANSWERED if sent.told is None else WRONG), truth


def is_left(transaction: str) -> bool:
    """Say whether an answer is left unjudged: always the same ones, whatever they are about."""
    digest = hashlib.blake2b(transaction.encode(), digest_size=8, person=b"demo").digest()
    return int.from_bytes(digest, "big") < _LEFT * 2**64


def judge(harvested: pa.Table, sent: Iterable[Sent], file: OutcomeFile) -> int:
    """Write what the reviewer finds, an action for each answer, as the desk does.

    Args:
        harvested: the answers to judge, as `intake.harvest` writes them.
        sent: what is known of them.
        file: of the reviewer.

    Returns:
        How many were judged.
    """
    known, drawn = {each.transaction: each for each in sent}, drawings(harvested)
    rows = harvested.select(["transaction_id", "image_id"]).to_pylist()
    judged = [row for row in rows if not is_left(row["transaction_id"])]
    for row in judged:
        transaction = row["transaction_id"]
        said = noted(why("production", "made up by make demo", action=transaction[-12:]), drawn[transaction].note)
        file.append([OutcomeRow(transaction, row["image_id"], *outcome_of(known[transaction]), said)])
    return len(judged)


def truth_of(sent: Iterable[Sent]) -> Truth:
    """Say what is true of all answers, judged or not."""
    answered = [each for each in sent if each.status == OK]
    shown = [each.told == each.visit.photo.truth for each in answered if each.told is not None]
    silent = [outcome_of(each)[0] != SHOULD_HAVE_ANSWERED for each in answered if each.told is None]
    return Truth(_share(shown), _share(silent))


def _share(flags: list[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None
