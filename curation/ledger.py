"""What everybody said of pictures and answers, up to date with every row: each is looked up without reading all."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from typing import Any, Self, TypeVar

from curation.actions import Entry, pictures_of
from intake import nominations
from intake.nominations import Nomination, Settled
from serving import outcomes
from serving.outcomes import CANDIDATE, Outcome
from stages.labels.classes import Classes
from stages.labels.decisions import OF_TWO, Decision, Question, standing

Value = TypeVar("Value")


class Ledger:
    """Everybody's decisions and nominations, by picture, and outcomes of answers in production, by transaction.

    Attributes:
        viewer: who looks at it, where that matters; else empty.
    """

    viewer = ""

    def __init__(
        self,
        decisions: Iterable[Decision] = (),
        judged: Iterable[Outcome] = (),
        nominated: Iterable[Nomination] = (),
    ):
        self._about: defaultdict[str, list[Decision]] = defaultdict(list)
        self._standing: dict[str, dict[Question, dict[str, Decision]]] = {}
        self._answers: dict[str, tuple[Decision | None, Decision | None]] = {}
        self._changed: set[str] = set()  # pictures whose answers are to be looked up anew
        self._judged: defaultdict[str, list[Outcome]] = defaultdict(list)
        self._judges: defaultdict[str, list[str]] = defaultdict(list)
        self._nominated: list[Nomination] = []
        self._remembered: dict[str, tuple[object, Any]] = {}
        self.add(decisions)
        self.judge(judged)
        self.nominate(nominated)

    def seen_by(self, person: str) -> Self:
        """Give the same ledger, with a person who looks at it."""
        view = copy(self)
        view.viewer = person
        return view

    def add(self, decisions: Iterable[Decision]) -> None:
        """Take decisions in."""
        for decision in decisions:
            self._remembered.clear()
            for image_id in pictures_of([decision]):
                self._about[image_id].append(decision)
                self._forget(image_id)

    def judge(self, judged: Iterable[Outcome]) -> None:
        """Take outcomes in."""
        for outcome in judged:
            self._remembered.clear()
            self._judged[outcome.transaction].append(outcome)
            self._judges[outcome.image_id].append(outcome.person)

    def nominate(self, nominated: Iterable[Nomination]) -> None:
        """Take nominations and second looks in."""
        for nomination in nominated:
            self._remembered.clear()
            self._nominated.append(nomination)

    def drop(self, said: Iterable[Entry]) -> None:
        """Take out what was taken in; answers in the blind test never were."""
        self._remembered.clear()
        for each in said:
            if isinstance(each, Decision):
                for image_id in pictures_of([each]):
                    self._forget(image_id)
                    self._about[image_id].remove(each)
                    if not self._about[image_id]:
                        del self._about[image_id]
            elif isinstance(each, Outcome):
                self._judged[each.transaction].remove(each)
                self._judges[each.image_id].remove(each.person)
            elif isinstance(each, Nomination):
                self._nominated.remove(each)

    def nominations(self, classes: Classes) -> Settled:
        """Say which pictures go to a benchmark, which wait for a second look, and about which people differ.

        Args:
            classes: what each sub-class is.
        """

        def settled() -> Settled:
            return nominations.settle(sorted(self._nominated), classes.of_benchmark)

        return self.remembered("nominations", classes, settled)

    def nominated(self) -> dict[str, dict[str, Nomination]]:
        """Give what stands of nominations and second looks: by image_id, person to what is said, the latest last."""
        return self.remembered("nominated", None, lambda: nominations.standing(sorted(self._nominated)))

    def has_judged(self, person: str, image_id: str) -> bool:
        """Say whether a person ever judged what a user was told of a picture, withdrawn or not."""
        return person in self._judges.get(image_id, ())

    def found(self, transaction: str, image_id: str) -> dict[str, Outcome]:
        """Give what stands about an answer in production: person to outcome, the latest last.

        Args:
            transaction: that gave the answer.
            image_id: of its picture.
        """
        said = self._judged.get(transaction, ())
        return outcomes.standing(sorted(said)).get(transaction, {})

    def outcome_disputes(self) -> list[tuple[Outcome, ...]]:
        """List what people differ about: their outcomes of each transaction, the one that counts last."""
        return list(outcomes.settle(sorted(each for said in self._judged.values() for each in said)).disputes)

    def candidates(self) -> list[str]:
        """List the names of what the model should learn, those first that most pictures were given."""
        judged = (each for said in self._judged.values() for each in said)
        return [name for name, _ in Counter(each.value for each in judged if each.outcome == CANDIDATE).most_common()]

    def image_ids(self) -> list[str]:
        """List the pictures that something was said of, and that may have been withdrawn, sorted."""
        return sorted(self._about)

    def remembered(self, name: str, of: object, make: Callable[[], Value]) -> Value:
        """Give what follows from all that was said and something else, made anew only where one of the two has changed.

        Args:
            name: of what is made.
            of: the other thing, such as the tables.
            make: makes it.
        """
        known = self._remembered.get(name)
        if known is None or known[0] is not of:
            known = self._remembered[name] = (of, make())
        made: Value = known[1]
        return made

    def about(self, image_ids: Iterable[str]) -> list[Decision]:
        """List the decisions about pictures, and about those that a decision joins to one, in the order of time."""
        wanted = set(image_ids)
        wanted |= {other for image_id in wanted for other in pictures_of(self._about.get(image_id, ()))}
        return sorted({decision for image_id in wanted for decision in self._about.get(image_id, ())})

    def standing(self, image_id: str) -> dict[Question, dict[str, Decision]]:
        """Give what stands about a picture and its pairs: by question, person to decision, the latest last."""
        if image_id not in self._about:
            return {}
        if image_id not in self._standing:
            everything = standing(self.about([image_id]))
            self._standing[image_id] = {key: said for key, said in everything.items() if image_id in key[0]}
        return self._standing[image_id]

    def answer(self, image_id: str, question: str, other: str = "") -> Decision | None:
        """Give the decision that counts: of a picture's `fate` or `label`, or of the `pair` it forms with another."""
        subject = (min(image_id, other), max(image_id, other)) if other else (image_id, "")
        said = self.standing(image_id).get((subject, question))
        return list(said.values())[-1] if said else None

    def answers(self) -> Mapping[str, tuple[Decision | None, Decision | None]]:
        """Give the decisions that count of each picture of which something was said: its fate and its label."""
        for image_id in self._changed:
            self._answers[image_id] = self.answer(image_id, "fate"), self.answer(image_id, "label")
        self._changed.clear()
        return self._answers

    def paired(self) -> list[str]:
        """List the pictures that a decision about two is about, sorted."""
        return sorted(each for each, said in self._about.items() if any(one.decision in OF_TWO for one in said))

    def is_decided(self, image_id: str, keep_confirms: bool = False) -> bool:
        """Say whether a person gave the picture a label or removed it, and nobody withdrew that.

        Args:
            image_id: of the picture.
            keep_confirms: whether `keep` decides too, as of a picture that has no class; of others it says which
                duplicate stays.
        """
        fate = self.answer(image_id, "fate")
        ended = fate is not None and (keep_confirms or fate.decision != "keep")
        return ended or self.answer(image_id, "label") is not None

    def disputes(self) -> list[list[Decision]]:
        """List what people differ about: the decisions of each subject, the one that counts last."""
        found = {}
        for image_id in sorted(each for each, said in self._about.items() if len(said) > 1):
            for key, said in self.standing(image_id).items():
                if len({decision.answer for decision in said.values()}) > 1:
                    found[key[0]] = list(said.values())
        return [found[subject] for subject in sorted(found)]

    def _forget(self, image_id: str) -> None:
        self._changed.add(image_id)
        self._standing.pop(image_id, None)
        for decision in self._about[image_id]:
            if decision.decision in OF_TWO:
                for other in pictures_of([decision]):
                    self._standing.pop(other, None)
