"""What everybody said of each picture, kept up to date with every row: a picture is looked up without reading all."""

from collections import defaultdict
from collections.abc import Iterable

from curation.actions import pictures_of
from stages.labels.decisions import OF_TWO, Decision, Question, standing


class Ledger:
    """Everybody's decisions, by picture."""

    def __init__(self, decisions: Iterable[Decision] = ()):
        self._about: defaultdict[str, list[Decision]] = defaultdict(list)
        self._standing: dict[str, dict[Question, dict[str, Decision]]] = {}
        self.add(decisions)

    def add(self, decisions: Iterable[Decision]) -> None:
        """Take decisions in."""
        for decision in decisions:
            for image_id in pictures_of([decision]):
                self._about[image_id].append(decision)
                self._forget(image_id)

    def image_ids(self) -> list[str]:
        """List the pictures that something was said of, and that may have been withdrawn, sorted."""
        return sorted(self._about)

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

    def is_decided(self, image_id: str, keep_confirms: bool = False) -> bool:
        """Say whether a person gave the picture a label or removed it, and nobody withdrew that.

        Args:
            image_id: of the picture.
            keep_confirms: whether `keep` decides too, as of a picture that has no class; of others it says which
                duplicate stays.
        """
        said = self.answer(image_id, "fate")
        return said is not None and (keep_confirms or said.decision != "keep")

    def disputes(self) -> list[list[Decision]]:
        """List what people differ about: the decisions of each subject, the one that counts last."""
        found = {}
        for image_id in sorted(self._about):
            for key, said in self.standing(image_id).items():
                if len({decision.answer for decision in said.values()}) > 1:
                    found[key[0]] = list(said.values())
        return [found[subject] for subject in sorted(found)]

    def _forget(self, image_id: str) -> None:
        self._standing.pop(image_id, None)
        for decision in self._about[image_id]:
            if decision.decision in OF_TWO:
                for other in pictures_of([decision]):
                    self._standing.pop(other, None)
