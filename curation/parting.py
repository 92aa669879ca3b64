"""Who decides what, where several people share the work: a picture is one person's, and a share of them two people's.

By a hash of name and picture, so that branches do not overlap and a restart, a new run or the time change nothing; who
joins a team takes over a part of everybody's pictures, and nothing else moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

from curation.ledger import Ledger
from serving.outcomes import Outcome
from stages.labels.decisions import Decision, Question

SHARE = 0.1  # of the pictures, where a team is named and no share


@dataclass(frozen=True)
class Parting:
    """How queues are parted.

    Attributes:
        team: names of the people; nobody: then everything is everybody's.
        share: of the pictures that two people decide, from 0 to 1.
    """

    team: tuple[str, ...] = ()
    share: float = 0.0

    def people(self, key: str) -> tuple[str, ...]:
        """Name who decides an item: one of the team, or two; nobody where there is no team.

        Args:
            key: of the item, an image_id.

        Source: Thaler and Ravishankar 1998, "Using name-based mappings to increase hit rates": highest random weight.
        """
        return _people(self.team, self.share, key)

    def is_for(self, person: str, key: str) -> bool:
        """Say whether a person decides an item."""
        return not self.team or person in self.people(key)

    def view(self, ledger: Ledger, person: str) -> Ledger:
        """Give the ledger as a person sees it: of pictures that two decide, without what the other one said."""

        def hides(image_id: str) -> bool:
            people = self.people(image_id)
            return len(people) > 1 and person in people

        return _View(ledger, person, hides) if self.team and self.share else ledger


EVERYTHING = Parting()  # is everybody's


@lru_cache(maxsize=2**19)  # pages go through every picture: a second for 100,000 of them and a team of five
def _people(team: tuple[str, ...], share: float, key: str) -> tuple[str, ...]:
    ranked = sorted(team, key=lambda person: (_fraction(f"{person}\0{key}"), person))
    return tuple(ranked[: 1 + (_fraction(key) < share)])


class _View(Ledger):
    """A ledger in which other people's answers about some pictures are not there."""

    def __init__(self, ledger: Ledger, person: str, hides: Callable[[str], bool]):
        super().__init__()
        self._whole, self._person, self._hides = ledger, person, hides

    def standing(self, image_id: str) -> dict[Question, dict[str, Decision]]:
        found = self._whole.standing(image_id)
        if not found or not self._hides(image_id):
            return found
        own = {key: said[self._person] for key, said in found.items() if self._person in said}
        return {key: {self._person: decision} for key, decision in own.items()}

    def found(self, transaction: str, image_id: str) -> dict[str, Outcome]:
        found = self._whole.found(transaction, image_id)
        return {p: said for p, said in found.items() if p == self._person} if self._hides(image_id) else found

    def candidates(self) -> list[str]:
        return self._whole.candidates()


def _fraction(text: str) -> float:
    """Give a number from 0 to below 1 that is a text's own."""
    return int.from_bytes(blake2b(text.encode(errors="surrogateescape"), digest_size=8).digest(), "big") / 2**64
