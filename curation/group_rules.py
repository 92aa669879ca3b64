"""Rules for groups of duplicates: what a person answered fifty times by hand, a rule may answer for the rest at once.

Each rule accepts the suggestion where something holds of a group. Beside it stands how often the person's own answers
to such groups were the suggestion. What has a picture of a benchmark, or stands in two classes, is for people alone.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import pandas as pd

from curation.actions import BATCH, Row, open_actions, page_of, pictures_of, why
from curation.pages.duplicates import MOST, Duplicates, shown, suggested
from curation.pages.grid import Batch, left_over
from curation.snapshot import Snapshot
from review.wilson import interval
from runtime.errors import InputError
from runtime.wording import counted
from stages.labels.decisions import Decision, Pair
from stages.tables.duplicates import DUPLICATES

FEWEST = 50  # answers of a person on Duplicates, before rules are offered
FEWEST_OF_RULE = 10  # of them to groups for which a rule holds, before it is
_LIKE = 0.98  # similarity of pictures that hardly anybody tells apart
_SUGGESTED = "suggested "  # begins the note that names the suggested picture


class Group(NamedTuple):
    """A group, open or answered.

    Attributes:
        suggested: image_id of the picture that the desk would keep.
        others: of the group.
        pairs: rows of data/duplicates.parquet between them, as dictionaries.
    """

    suggested: str
    others: Sequence[str]
    pairs: Sequence[Mapping[str, Any]]


class Rule(NamedTuple):
    """When the suggestion is accepted.

    Attributes:
        name: in the form and in `why`.
        words: on the page.
        holds: says whether it is a rule for a group.
    """

    name: str
    words: str
    holds: Callable[[Snapshot, Group], bool]


class Preview(NamedTuple):
    """What a rule would do, and what speaks for it.

    Attributes:
        rule: the rule.
        groups: open ones for which it holds.
        num_own: answers of the person to groups for which it holds.
        num_agreed: those that were the suggestion.
        low: of the share, where the 95 % interval begins.
        high: where it ends.
    """

    rule: Rule
    groups: Sequence[Group]
    num_own: int
    num_agreed: int
    low: float
    high: float

    @property
    def num_removed(self) -> int:
        """Count the pictures that would be removed."""
        return sum(len(each.others) for each in self.groups)

    @property
    def is_offered(self) -> bool:
        """Say whether there is enough to go by, and something to do."""
        return self.num_own >= FEWEST_OF_RULE and bool(self.groups)


def _same_pixels(snapshot: Snapshot, group: Group) -> bool:
    return all(pair["kind"] == "identical" for pair in group.pairs)


def _largest(snapshot: Snapshot, group: Group) -> bool:
    files = snapshot.files.reindex([group.suggested, *group.others])
    pixels = files["width"] * files["height"]
    return bool(pixels[group.suggested] > pixels.drop(group.suggested).max())


def _hardly_told_apart(snapshot: Snapshot, group: Group) -> bool:
    return all(pair["similarity"] is not None and pair["similarity"] >= _LIKE for pair in group.pairs)


RULES = (
    Rule("same pixels", "the same pixels", _same_pixels),
    Rule("more pixels", "nearly the same, and the suggested one has more pixels than each other", _largest),
    Rule("hardly told apart", f"a likeness of {_LIKE} or more", _hardly_told_apart),
)


def previews(
    snapshot: Snapshot, answered: Sequence[tuple[Group, bool]], opened: Iterable[pd.DataFrame]
) -> list[Preview]:
    """Say what each rule would do.

    Args:
        snapshot: the tables.
        answered: groups that the person decided, and whether the answer was the suggestion; from `answers`.
        opened: pairs of each open group that is the person's to decide.
    """
    free = [group for pairs in opened if (group := _open_group(snapshot, pairs))]
    found = []
    for rule in RULES:
        agreed = [is_same for group, is_same in answered if rule.holds(snapshot, group)]
        low, high = interval(sum(agreed), len(agreed)) if agreed else (0.0, 1.0)
        held = [group for group in free if rule.holds(snapshot, group)]
        found.append(Preview(rule, held, len(agreed), sum(agreed), low, high))
    return found


def answers(snapshot: Snapshot, said: Sequence[Decision]) -> list[tuple[Group, bool]]:
    """List the groups that a person decided by hand, each with whether the answer was the suggestion.

    Args:
        snapshot: the tables; a group that they have no pair of any more is left out.
        said: the person's decisions, in the order of time.
    """
    actions = [rows for rows in open_actions(said) if _is_answer(rows)]
    pairs = _pairs_among(snapshot, {image_id for rows in actions for image_id in pictures_of(rows)})
    found = []
    for rows in actions:
        members = sorted(pictures_of(rows))
        between = [pairs[pair] for pair in combinations(members, 2) if pair in pairs]
        kept = next((each.image_id for each in rows if each.decision == "keep"), None)
        named = _named(rows[0].why)
        if between and named in members:
            others = [each for each in members if each != named]
            found.append((Group(named, others, between), kept == named))
    return found


def batch(preview: Preview, version: int, action: str) -> Batch:
    """Say what a rule writes.

    Raises:
        InputError: nothing is left to write.
    """
    if not preview.is_offered:
        raise left_over([f"{counted(preview.num_own, 'answer')} of yours are to groups of this rule."])
    rows = []
    for group in preview.groups:
        notes = (preview.rule.name, f"model {version}", f"{_SUGGESTED}{group.suggested}")
        text = why(Duplicates.name, *notes, action=action, batch=True)
        rows += [Row(group.suggested, "keep", "", text), *(Row(each, "remove", "", text) for each in group.others)]
    number = counted(len(preview.groups), "group")
    return Batch(
        rows,
        [
            f"{number}: {preview.rule.words}.",
            f"In each the suggested picture is kept; {counted(preview.num_removed, 'picture')} will be removed.",
            f"Of your own {preview.num_own:,} answers to such groups, {preview.num_agreed:,} were the suggestion.",
        ],
    )


def rule_named(found: Iterable[Preview], name: str) -> Preview:
    """Find a rule.

    Raises:
        InputError: there is none of this name.
    """
    for each in found:
        if each.rule.name == name:
            return each
    raise InputError(f"there is no rule {name!r}. The page /duplicates/rules lists them.")


def _open_group(snapshot: Snapshot, pairs: pd.DataFrame) -> Group | None:
    """Give an open group; None for one that only people decide."""
    members = shown(pairs)
    if len({*pairs["image_a"], *pairs["image_b"]}) > MOST or pairs["label_conflict"].any():
        return None
    if (snapshot.images["set"].reindex(members).fillna("library") != "library").any():
        return None
    kept = suggested(pairs)
    return Group(kept, [each for each in members if each != kept], pairs.to_dict("records"))  # type: ignore[arg-type]


def _pairs_among(snapshot: Snapshot, image_ids: Collection[str]) -> dict[Pair, Mapping[str, Any]]:
    table = snapshot.tables[DUPLICATES]
    rows = table[table["image_a"].isin(list(image_ids)) & table["image_b"].isin(list(image_ids))]
    return {(row["image_a"], row["image_b"]): row for row in rows.to_dict("records")}  # type: ignore[misc]


def _is_answer(rows: Sequence[Decision]) -> bool:
    """Say whether an action says by hand which pictures of a group stay; a new label does not."""
    by_hand = page_of(rows[0].why) == Duplicates.name and not BATCH.search(rows[0].why)
    return by_hand and rows[0].decision != "relabel"


def _named(text: str) -> str:
    notes = [note for note in text.split("; ") if note.startswith(_SUGGESTED)]
    return notes[-1].removeprefix(_SUGGESTED) if notes else ""
