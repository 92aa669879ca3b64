"""How people did in the blind test, beside the model on exactly the same pictures.

A person's first answer to a picture counts; what came again says how often the person agrees with themselves. "I cannot
tell" is not right. The model's answer is its best class, however sure it is: people, too, name every picture.

Beside people's seconds, from the painted picture to the answer, stands a median of production, from the arrived picture
to the answer, whichever versions answered. A run names pictures in batches, and times none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pandas as pd

from review.blind_answers import FOLDER, BlindAnswer, read_blind, standing
from review.wilson import interval
from stages.labels.classes import PATH as CLASSES
from stages.labels.classes import Classes, read_classes
from stages.labels.folders import list_paths
from stages.labels.labelling import list_sub_classes
from stages.tables import predictions
from stages.tables.fingerprints import FINGERPRINTS

HELD_OUT = ("validation", "test")
BESIDE_PEOPLE = "whole"  # the part of the table latency of `make usage` that stands beside people's seconds
FEWEST = 5  # pictures of a class, below which its figures say nothing


class Share(NamedTuple):
    """A count out of a number.

    Attributes:
        num: how many hold.
        of: of how many, at least one.
    """

    num: int
    of: int

    @property
    def fraction(self) -> float:
        """From 0 to 1."""
        return self.num / self.of

    @property
    def ends(self) -> tuple[float, float]:
        """Where the 95 % interval of the fraction begins and ends, by Wilson."""
        return interval(self.num, self.of)


class Beside(NamedTuple):
    """People and the model, on the same pictures.

    Attributes:
        people: how many pictures people named rightly.
        model: how many the model did.
        only_people: pictures that only people named rightly.
        only_model: pictures that only the model named rightly.
        cannot_tell: pictures of which people could not tell.
        timed: answers whose time is known.
        seconds: median of these times; None where there are none.
        versions: of each answer, the version whose predictions were there; None where that is not known.
    """

    people: Share
    model: Share
    only_people: int
    only_model: int
    cannot_tell: int
    timed: int
    seconds: float | None
    versions: tuple[int | None, ...]

    def num_other_version(self, version: int) -> int:
        """Count the answers that were given when the predictions were of another version."""
        return sum(each not in (None, version) for each in self.versions)

    @property
    def p(self) -> float:
        """The chance of a difference at least as uneven, were the two equally good: McNemar's exact test."""
        from stages.metrics.paired import mcnemar

        return mcnemar(self.only_people, self.only_model)


@dataclass(frozen=True)
class Key:
    """What is right, as the last run has it; classes by the names, and merged, as they are now.

    Attributes:
        truths: of the held-out pictures, by image_id.
        predicted: what the model says of them.
        classes: what each sub-class is.
    """

    truths: Mapping[str, str]
    predicted: Mapping[str, str]
    classes: Classes

    def named(self, answer: BlindAnswer) -> str:
        """Give the class that was named, as it is called now; empty where none was."""
        return _now(answer.value, self.classes)

    def is_right(self, answer: BlindAnswer) -> bool:
        """Say whether a person named the right class."""
        return self.named(answer) == self.truths[answer.image_id]

    def model_is_right(self, image_id: str) -> bool:
        """Say whether the model did."""
        return self.predicted[image_id] == self.truths[image_id]


def key_of(rows: pd.DataFrame, classes: Classes) -> Key:
    """Take what is right, and what the model says, from its predictions.

    Args:
        rows: `image_id`, `split`, `truth` and `predicted` of every set.
        classes: what each sub-class is.
    """
    held_out = rows[rows["split"].isin(HELD_OUT)].dropna(subset=["truth", "predicted"])
    known = {name: _now(name, classes) for name in {*held_out["truth"], *held_out["predicted"]}}
    ids = held_out["image_id"].tolist()
    truths, predicted = held_out["truth"].map(known).tolist(), held_out["predicted"].map(known).tolist()
    return Key(dict(zip(ids, truths, strict=True)), dict(zip(ids, predicted, strict=True)), classes)


def _now(name: str, classes: Classes) -> str:
    return classes.of_benchmark(name) or name


def first_answers(answers: Iterable[BlindAnswer]) -> dict[str, BlindAnswer]:
    """Give the first answer to each picture, by image_id.

    Args:
        answers: in the order of time, of one person; of several, each picture counts once, by who named it first.
    """
    found: dict[str, BlindAnswer] = {}
    for each in answers:
        found.setdefault(each.image_id, each)
    return found


def compare(answers: Iterable[BlindAnswer], key: Key) -> Beside | None:
    """Compare first answers with the model's to the same pictures.

    Args:
        answers: one per picture; those to pictures that are not held out any more are left out.
        key: what is right.

    Returns:
        None where no answer is left.
    """
    kept = [each for each in answers if each.image_id in key.truths]
    if not kept:
        return None
    pairs = [(key.is_right(each), key.model_is_right(each.image_id)) for each in kept]
    times = [each.seconds for each in kept if each.seconds is not None]
    return Beside(
        people=Share(sum(ours for ours, _ in pairs), len(pairs)),
        model=Share(sum(model for _, model in pairs), len(pairs)),
        only_people=sum(ours and not model for ours, model in pairs),
        only_model=sum(model and not ours for ours, model in pairs),
        cannot_tell=sum(not each.value for each in kept),
        timed=len(times),
        seconds=median(times) if times else None,
        versions=tuple(each.version for each in kept),
    )


def by_class(answers: Iterable[BlindAnswer], key: Key) -> dict[str, Beside]:
    """Compare as `compare` does, for each class of which there are `FEWEST` pictures, in the order of the names."""
    of_class: dict[str, list[BlindAnswer]] = {}
    for each in answers:
        if each.image_id in key.truths:
            of_class.setdefault(key.truths[each.image_id], []).append(each)
    compared = ((name, compare(each, key)) for name, each in sorted(of_class.items()) if len(each) >= FEWEST)
    return {name: found for name, found in compared if found}


def with_oneself(answers: Iterable[BlindAnswer], key: Key) -> Share | None:
    """Say how often a person gave the same answer to a picture that came again.

    Args:
        answers: of one person, in the order of time.
        key: what classes are called now.

    Returns:
        None where nothing came again.
    """
    before: dict[str, str] = {}
    same = []
    for each in answers:
        named = key.named(each)
        if each.image_id in before:
            same.append(before[each.image_id] == named)
        before.setdefault(each.image_id, named)
    return Share(sum(same), len(same)) if same else None


def read_beside(folder: str | Path = FOLDER) -> Beside | None:
    """Compare what people of this clone answered together with what its model says.

    Returns:
        None where nobody answered, or there are no predictions.

    Raises:
        RetrainError: a file or table cannot be read.
    """
    answers = standing(read_blind(folder))
    if not answers or not Path(predictions.ROWS.path).exists():
        return None
    paths = FINGERPRINTS.read()["path"] if Path(FINGERPRINTS.path).exists() else list_paths("library")
    classes = read_classes(CLASSES, list_sub_classes(paths))
    return compare(first_answers(answers).values(), key_of(predictions.ROWS.read(), classes))
