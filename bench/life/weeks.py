"""The kinds of weeks, and which of them a life has."""

from collections.abc import Callable, Sequence

from numpy.random import Generator

from bench.life.people import Person
from bench.life.team import DATA_STAGES, Life


def pictures_week(life: Life, person: Person, other: Person) -> None:
    """One person changes pictures, and runs the stages that look at them."""
    life.pull(person)
    _work(life, person)
    life.run(person, *DATA_STAGES)
    life.share(person, "Pictures", "shards")


def gathering_week(life: Life, person: Person, other: Person) -> None:
    """One person has added pictures before the pull, and runs nothing."""
    person.add(3)
    life.pull(person)
    life.record(person)
    life.share(person, "Pictures, gathered")


def both_week(life: Life, person: Person, other: Person) -> None:
    """Both change pictures from the same commit; the second to push merges, and runs the stages that look at them."""
    for each in (person, other):
        life.pull(each)
    path = person.draw_path("library/ant/")
    for each in (person, other):
        _work(life, each, parameter=each is person)
    if path and path in person.holds and path in other.holds and life.rng.random() < 0.3:
        _both_edit(life, path, person, other)
    if life.rng.random() < 0.4:
        life.run(person, *DATA_STAGES)
        life.share(person, f"What {person.name} did", "shards")
    else:
        life.share(person, f"What {person.name} did")
    life.share(other, f"What {other.name} did", "shards")


def model_week(life: Life, person: Person, other: Person) -> None:
    """One person changes pictures, trains, promotes, publishes and opens the next cycle."""
    life.pull(person)
    _work(life, person)
    life.run(person, "make", "repro")
    life.share(person, "A model", "all")
    life.promote(person)


def rollback_week(life: Life, person: Person, other: Person) -> None:
    """One person makes an older model the base, trains from it, and may promote that."""
    life.pull(person)
    life.run(person, "make", "base", "VERSION=1", may_be_done=True)
    life.run(person, "make", "repro")
    life.share(person, "A model from the first one", "all")
    if life.rng.random() < 0.5:
        life.promote(person)


def _work(life: Life, person: Person, parameter: bool = True) -> None:
    person.work()
    if parameter and life.rng.random() < 0.3:
        person.change_parameter()
    life.record(person)


def _both_edit(life: Life, path: str, *people: Person) -> None:
    for each in people:
        each.edit(path)
        life.record(each)


Week = Callable[[Life, Person, Person], None]
LONG: Sequence[Week] = (pictures_week, both_week, both_week, pictures_week, gathering_week, both_week, pictures_week)


def drawn(rng: Generator, number: int) -> list[Week]:
    """Draw the weeks of a life: long ones train twice, and roll back; short ones train once."""
    if number < 8:
        return [both_week, model_week, pictures_week, gathering_week][: number - 1]
    weeks = [LONG[index % len(LONG)] for index in rng.permutation(number - 3)]
    first, second = sorted(rng.choice(number - 2, 2, replace=False))
    weeks.insert(first, model_week)
    weeks.insert(second, rollback_week)
    return weeks
