"""The lowest threshold that keeps the wanted error rate: learned on validation, checked on test."""

from typing import Any

import numpy as np

from stages.metrics.answers import Answers
from stages.metrics.clusters import effective_number
from stages.metrics.wanted_error import LEVEL, Learned, lowest_threshold, upper_limit
from stages.reports.thresholds import THRESHOLDS
from stages.tables.scores import DIGITS


def wanted_error_report(validation: Answers, test: Answers, wanted_error: float) -> dict[str, Any]:
    """Say which threshold keeps the wanted error rate, and whether it does so on the test set.

    Args:
        validation: answers from which the threshold is learned.
        test: answers on which it is checked; they do not change it.
        wanted_error: share of wrong answers among those that are shown.

    Returns:
        What wanted_error.json holds: `threshold`, None where none can be shown to keep it; `why`; and of both sets how
        many answers it shows, how many of them are wrong, and the `upper_limit` of the share, with 95 % confidence.
    """
    learned = lowest_threshold(validation.decisive, validation.right, THRESHOLDS, wanted_error, validation.source)
    sets = {}
    if learned.threshold is not None:
        for name, answers in (("validation", validation), ("test", test)):
            sets[name] = _at_threshold(answers.take(answers.shown(learned.threshold)), len(answers))
    return {
        "wanted_error": wanted_error,
        "level": LEVEL,
        "threshold": learned.threshold,
        "why": _why(learned, wanted_error, validation),
        **sets,
    }


def _at_threshold(shown: Answers, total: int) -> dict[str, Any]:
    num_shown, num_wrong = len(shown), int((~shown.right).sum())
    worth = effective_number((~shown.right).astype(np.float64), shown.source)
    limit = upper_limit(num_wrong * worth / num_shown, worth) if num_shown else None
    return {
        "num_shown": num_shown,
        "num_wrong": num_wrong,
        "coverage": round(num_shown / total, DIGITS) if total else None,
        "selective_risk": round(num_wrong / num_shown, DIGITS) if num_shown else None,
        "upper_limit": None if limit is None else round(limit, DIGITS),
    }


def _why(learned: Learned, wanted_error: float, validation: Answers) -> str:
    if learned.threshold is not None:
        lowest = "; no lower one was tried" if learned.threshold == THRESHOLDS[0] else ""
        return f"{learned.num_wrong} of {learned.num_shown} shown validation answers are wrong{lowest}"
    if learned.num_shown:
        return f"{learned.num_wrong} of the {learned.num_shown} most confident validation answers are wrong: too many"
    needed = int(np.ceil(np.log(1 - LEVEL) / np.log(1 - wanted_error)))
    if len(validation) < needed:
        return (
            f"too few validation pictures: {needed} right answers in a row would show it, "
            f"there are {len(validation)} pictures"
        )
    num_shown = int(validation.shown(float(THRESHOLDS[0])).sum())
    if num_shown >= needed and validation.source is not None:
        return (
            f"too few sources: {needed} right answers in a row would show it if each had a source of its own, and the "
            f"{len(validation)} validation pictures come from {len(np.unique(validation.source))}"
        )
    return (
        f"too few shown validation answers: {needed} right ones in a row would show it, and of {len(validation)} "
        f"pictures only {num_shown} are shown at {THRESHOLDS[0]:g}, the lowest threshold that is tried"
    )
