"""A round of the blind test: which held-out picture is asked at which turn.

The order is that of a hash of person, round and picture: random to the person, the same after a restart, and however
the tables are sorted. It is plainly random, not stratified: one picture is as likely as any other, so that shares
estimate those of all held-out pictures, as the model's accuracy is counted; with 50 pictures and hundreds of classes,
strata would hold a picture or none. Of pictures that show the same (a group) a person is asked one, whichever comes
first. What was asked comes back in no round, but for hidden repeats: at some turns a picture of the same round is asked
once more, when much has been seen since.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

ROUND_SIZE = 50
MOST_OF_ROUND = 1000
REPEATED = 10  # of so many pictures one comes again
APART = 30  # turns between a picture and its repeat: long enough to forget it; in a short round half of it


def order(person: str, number: int, image_ids: Iterable[str]) -> list[str]:
    """Put pictures in the order in which a person is asked in a round.

    Args:
        person: who is asked.
        number: of the round, from 1.
        image_ids: in any order.
    """
    return sorted(image_ids, key=lambda each: (_place(person, number, each), each))


@dataclass(frozen=True)
class Round:
    """A person's round.

    Attributes:
        person: who is asked.
        number: of the round, from 1.
        size: pictures of a round, without repeats.
        ordered: pictures that may be asked, from `order`.
        groups: the group of near-duplicates of each.
        answered: the picture of each turn of this round that was answered.
        elsewhere: pictures that were answered in other rounds.
    """

    person: str
    number: int
    size: int
    ordered: Sequence[str]
    groups: Mapping[str, str]
    answered: Mapping[int, str]
    elsewhere: Collection[str]

    def turns(self) -> dict[int, str]:
        """Plan the round.

        Returns:
            The picture of each turn, those that were answered included, in the order of the turns. The answer to what
            is planned moves no picture to another turn.
        """
        asked = set(self.answered.values())
        fresh = list(islice(self._fresh(), max(0, self.size - len(asked))))
        num_pictures = len(asked) + len(fresh)
        again = self._turns_of_repeats(num_pictures)
        apart, upcoming, plan = _apart(num_pictures), iter(fresh), dict(self.answered)
        for turn in range(1, num_pictures + len(again) + 1):
            if turn not in plan:
                repeated = self._repeat(plan, turn - apart) if turn in again else None
                if image_id := repeated or next(upcoming, None):
                    plan[turn] = image_id
        return dict(sorted(plan.items()))

    def open_turns(self) -> dict[int, str]:
        """Give the turns of the plan that are not answered yet, in their order."""
        return {turn: image_id for turn, image_id in self.turns().items() if turn not in self.answered}

    def is_last(self) -> bool:
        """Say whether no picture is left for another round."""
        planned = {*self.turns().values()}
        return all(image_id in planned for image_id in islice(self._fresh(), len(planned) + 1))

    def may_answer(self, turn: int, image_id: str) -> bool:
        """Say whether a picture may be answered at a turn: as planned, or another run's tables have moved it."""
        planned = self.open_turns()
        never_asked = image_id not in {*self.answered.values(), *self.elsewhere}
        return planned.get(turn) == image_id or (turn in planned and never_asked and image_id in self.groups)

    def _fresh(self) -> Iterator[str]:
        """Go through the pictures that were never asked, one of each group, in their order."""
        seen = {self.groups.get(each, each) for each in (*self.answered.values(), *self.elsewhere)}
        for image_id in self.ordered:
            if (group := self.groups[image_id]) not in seen:
                seen.add(group)
                yield image_id

    def _turns_of_repeats(self, num_pictures: int) -> set[int]:
        num_again = num_pictures // REPEATED
        late = range(_apart(num_pictures) + 1, num_pictures + num_again + 1)
        return set(sorted(late, key=lambda turn: _place(self.person, self.number, f"turn {turn}"))[:num_again])

    def _repeat(self, plan: Mapping[int, str], latest: int) -> str | None:
        """Choose a picture that was asked once, up to the turn `latest`, and can still be shown."""
        asked = list(plan.values())
        early = {each for turn, each in plan.items() if turn <= latest and asked.count(each) == 1}
        early &= self.groups.keys()
        return min(early, key=lambda each: _place(self.person, self.number, f"again {each}"), default=None)


def _apart(num_pictures: int) -> int:
    return min(APART, num_pictures // 2)


def _place(person: str, number: int, what: str) -> bytes:
    text = f"{person}\0{number}\0{what}"
    return blake2b(text.encode(errors="surrogateescape"), digest_size=16).digest()
