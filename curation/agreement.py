"""How people decide: how many, how fast, and how often two of them agree about what both decided, each unprompted."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import combinations, groupby, pairwise
from statistics import median
from typing import NamedTuple

from curation.actions import action_id, in_effect
from curation.repeats import is_repeat
from review.wilson import interval
from stages.labels.decisions import Decision, Pair

SITTING = timedelta(minutes=5)  # a longer time between two decisions is a pause
FEWEST = 20  # subjects that two people decided, below which kappa says more about chance than about them


class Pace(NamedTuple):
    """How a person decided.

    Attributes:
        num_actions: keys that were pressed and not taken back; a line that was typed by hand counts as one.
        num_pictures: that they were about.
        sittings: how many; a pause of more than `SITTING` ends one.
        seconds: median between two decisions of a sitting; None where there are none.
        first: when the person began; None if nothing was decided.
        last: when the last decision was made; None if nothing was decided.
    """

    num_actions: int
    num_pictures: int
    sittings: int
    seconds: float | None
    first: datetime | None
    last: datetime | None


class Agreement(NamedTuple):
    """How often two people gave one answer.

    Attributes:
        people: the two, in the order of their names.
        asked: `pictures`, or `pairs` of pictures that may be duplicates.
        num_both: subjects that both decided.
        num_same: those of which they said the same.
        low: of the share that they agree on, where the 95 % interval begins.
        high: where it ends.
        kappa: Cohen's, from -1 to 1; None where it means nothing: fewer than `FEWEST` subjects, or one answer only.
    """

    people: tuple[str, str]
    asked: str
    num_both: int
    num_same: int
    low: float
    high: float
    kappa: float | None


def pace(said: Sequence[Decision]) -> Pace:
    """Say how many decisions a person made, and how fast.

    Args:
        said: the person's decisions, in the order of time.
    """
    kept = in_effect(said)
    actions = [next(rows) for _, rows in groupby(kept, lambda each: action_id(each.why) or each)]
    times = [each.on for each in actions]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    working = [gap.total_seconds() for gap in gaps if gap <= SITTING]
    return Pace(
        num_actions=len(actions),
        num_pictures=len({image_id for each in kept for image_id in each.subject if image_id}),
        sittings=sum(gap > SITTING for gap in gaps) + bool(actions),
        seconds=median(working) if working else None,
        first=times[0] if times else None,
        last=times[-1] if times else None,
    )


def first_answers(said: Sequence[Decision]) -> dict[Pair, Pair]:
    """Give what a person said first, and did not take back, of each picture and of each pair.

    The first answer and not the latest: who changes it after a talk about the dispute agrees by then.

    Args:
        said: the person's decisions, in the order of time.

    Returns:
        By subject, the decision and, of a relabelling, the sub-class.
    """
    found: dict[Pair, Pair] = {}
    for decision in in_effect(said):
        if decision.decision == "undo":
            found = {subject: answer for subject, answer in found.items() if decision.image_id not in subject}
        else:
            found.setdefault(decision.subject, decision.answer)
    return found


def agreements(answers: Mapping[str, Mapping[Pair, Pair]]) -> list[Agreement]:
    """Compare each two people about what both decided.

    Args:
        answers: of each person, from `first_answers`.

    Returns:
        In the order of the names, pictures before pairs; who decided nothing in common is left out.
    """
    found = []
    for one, other in combinations(sorted(answers), 2):
        both = answers[one].keys() & answers[other].keys()
        for asked, subjects in (("pictures", {s for s in both if not s[1]}), ("pairs", {s for s in both if s[1]})):
            pairs = [(answers[one][subject], answers[other][subject]) for subject in sorted(subjects)]
            if pairs:
                num_same = sum(first == second for first, second in pairs)
                low, high = interval(num_same, len(pairs))
                found.append(Agreement((one, other), asked, len(pairs), num_same, low, high, kappa(pairs)))
    return found


class Oneself(NamedTuple):
    """How often a person gave the answer again that the person gave before.

    Attributes:
        num_asked: pictures that were asked again.
        num_same: those of which the answer was the same.
        low: of the share, where the 95 % interval begins.
        high: where it ends.
    """

    num_asked: int
    num_same: int
    low: float
    high: float


def with_oneself(said: Sequence[Decision]) -> Oneself | None:
    """Compare a person's answers to hidden repeats with those before.

    Args:
        said: the person's decisions, in the order of time.

    Returns:
        None where nothing was asked again.
    """
    before: dict[Pair, Pair] = {}
    same = []
    for decision in in_effect(said):
        if is_repeat(decision) and decision.subject in before:
            same.append(before[decision.subject] == decision.answer)
        before[decision.subject] = decision.answer
    return Oneself(len(same), sum(same), *interval(sum(same), len(same))) if same else None


def kappa(pairs: Sequence[tuple[Pair, Pair]]) -> float | None:
    """Give agreement beyond chance, from -1 to 1, where 0 is chance.

    Args:
        pairs: what the two said of each subject.

    Returns:
        None where it means nothing: fewer than `FEWEST` subjects, or both gave one answer always.

    Source: Cohen 1960, "A coefficient of agreement for nominal scales"; scikit-learn's `cohen_kappa_score`.
    """
    from sklearn.metrics import cohen_kappa_score

    numbers = {answer: number for number, answer in enumerate(sorted({answer for pair in pairs for answer in pair}))}
    if len(pairs) < FEWEST or len(numbers) < 2:
        return None
    return float(cohen_kappa_score(*([numbers[answer] for answer in side] for side in zip(*pairs, strict=True))))


def in_disputes(disputes: Iterable[Sequence[Decision]]) -> dict[str, tuple[int, int]]:
    """Count, of each person, the disputes that the person is part of, and those in which the person's answer counts.

    Args:
        disputes: the decisions about each subject that people differ about, the one that counts last.
    """
    found: dict[str, tuple[int, int]] = {}
    for said in disputes:
        for decision in said:
            part, counts = found.get(decision.person, (0, 0))
            found[decision.person] = (part + 1, counts + (decision.answer == said[-1].answer))
    return found
