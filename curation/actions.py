"""What an action at the desk is: rows that one key writes and one undo takes back, and what their `why` says.

A `why` of the desk is `page; what speaks for it; ...; act:<id>`: the page first, the action's id last. Rows of a batch
end in `bulk:<id>`. Where an action has several rows, `2 of 3` stands before the id. Rows that answer an undone action
begin with `undo of <id>`. What stands between is for people.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice, takewhile
from typing import NamedTuple, TypeVar

from intake import nominations
from intake.nominations import Nomination
from review import blind_answers
from review.blind_answers import BlindAnswer
from review.markdown import visible
from serving.outcomes import UNDO, Outcome
from stages.labels.decisions import OF_TWO, Decision, Question, standing

_ID = re.compile(r"(?:^|; )(?:act|bulk):([0-9a-f]{12})$")
_PART = re.compile(rb"(?:^|[; \"])(\d+) of (\d+); (?:act|bulk):([0-9a-f]{12})\"?\r?\n?$")
_BEFORE_ID = re.compile(r"(?=(?:act|bulk):[0-9a-f]{12}$)")
_UNDO = re.compile(r"undo of ([0-9a-f]{12});")
BATCH = re.compile(r"(?:^|; )bulk:[0-9a-f]{12}$")
ACTION_ID = re.compile(r"[0-9a-f]{12}")
FRAME = "frame"  # the page on which a picture is cropped and turned


class Row(NamedTuple):
    """A decision before it has its time."""

    image_id: str
    decision: str
    value: str
    why: str


class OutcomeRow(NamedTuple):
    """An outcome before it has its time."""

    transaction: str
    image_id: str
    outcome: str
    value: str
    why: str


class BlindRow(NamedTuple):
    """An answer in the blind test before it has its time."""

    round: int
    turn: int
    image_id: str
    answer: str
    value: str
    seconds: float | None
    why: str


class NominationRow(NamedTuple):
    """A nomination for a benchmark, or a second look, before it has its time."""

    image_id: str
    said: str
    benchmark: str
    value: str
    why: str


PageRow = Row | OutcomeRow | NominationRow  # what a key of a page with a queue may write
Entry = Decision | Outcome | BlindAnswer | Nomination  # a row that a file has
AnyRow = TypeVar("AnyRow", Row, OutcomeRow, BlindRow, NominationRow)
Said = TypeVar("Said", Decision, Outcome, BlindAnswer, Nomination)


def why(*notes: str, action: str, batch: bool = False) -> str:
    """Write the `why` of an action's rows.

    Args:
        notes: the page, then what is worth knowing: a reason, the model's version, what the model said.
        action: id of the action, 12 hex digits.
        batch: whether the action was one key for several pictures of a grid.
    """
    return "; ".join([*map(visible, filter(None, notes)), f"{'bulk' if batch else 'act'}:{action}"])


def action_id(text: str) -> str | None:
    """Read the id of the action that a row with this `why` belongs to; None if it was not written at the desk."""
    found = _ID.search(text)
    return found[1] if found else None


def page_of(text: str) -> str:
    """Read the page that a row with this `why` was written on."""
    return text.partition(";")[0]


def numbered(rows: Sequence[AnyRow]) -> list[AnyRow]:
    """Say in the `why` of each row which of the action's rows it is, where it has several: so a half is noticed."""
    if len(rows) == 1:
        return list(rows)
    return [row._replace(why=noted(row.why, f"{number} of {len(rows)}")) for number, row in enumerate(rows, 1)]


def noted(text: str, note: str) -> str:
    """Add a note to a `why`, as the last before the action's id."""
    return _BEFORE_ID.sub(f"{note}; ", text)


def num_begun(lines: Sequence[bytes]) -> int:
    """Count the lines at a file's end that are of an action whose other rows are not there.

    Args:
        lines: of a person's file, as they stand in it.
    """
    last = _PART.search(lines[-1]) if lines else None
    if last is None or int(last[1]) >= int(last[2]):
        return 0
    same = takewhile(lambda line: (part := _PART.search(line)) and part[3] == last[3], reversed(lines))
    return sum(1 for _ in islice(same, int(last[1])))


def undone_by(text: str) -> str | None:
    """Read the id of the action that a row with this `why` undoes; None where it undoes none."""
    found = _UNDO.match(text)
    return found[1] if found else None


def open_actions(said: Sequence[Said]) -> list[list[Said]]:
    """List the actions of a person that are not undone, the latest last.

    Args:
        said: by the person, in the order of time; what was typed by hand is no action of the desk.
    """
    actions: dict[str, list[Said]] = {}
    for row in in_effect(said):
        if each := action_id(row.why):
            actions.setdefault(each, []).append(row)
    return list(actions.values())


def latest_actions(said: Sequence[Said]) -> Iterator[list[Said]]:
    """Go through the actions of a person that are not undone, the latest first; what is not asked for is not read.

    Args:
        said: by the person, in the order of time.
    """
    undone = set()
    for action, group in groupby(reversed(said), lambda each: action_id(each.why)):
        rows = list(group)[::-1]
        if answered := undone_by(rows[0].why):
            undone.add(answered)
        elif action and action not in undone:
            yield rows


def in_effect(said: Sequence[Said]) -> list[Said]:
    """Leave out the actions that were undone, and the rows that answer them: together they change nothing."""
    undone = {undone_by(each.why) for each in said} - {None}
    return [each for each in said if action_id(each.why) not in undone and not undone_by(each.why)]


def restoring(said: Sequence[Decision], action: Sequence[Decision], new_action: str) -> list[Row]:
    """Write the rows after which that counts which counted before an action.

    Where nothing had been said of a picture, `undo` withdraws what was; and because it withdraws everything about the
    picture, whatever else stood is said again.

    Args:
        said: everybody's decisions, those of the action too, in the order of time.
        action: what is undone, of one person.
        new_action: id of the action that the rows are.

    Returns:
        Rows in the order in which they are to be obeyed; at least one.
    """
    gone = set(action)
    before, now = standing(each for each in in_effect(said) if each not in gone), standing(said)
    counted = {key: _last(answers) for key, answers in before.items()}
    touched = [
        key
        for key, answers in now.items()
        if gone & {*answers.values()} or _answer(counted, key) != _last(answers).answer
    ]
    touched += [key for key in before if key not in now]
    withdrawn = {key[0][0] for key in touched if key not in before}
    if not touched:  # somebody withdrew it already: that is said once more, so that the action counts as undone
        withdrawn = {each.image_id for each in action}
    again = {key: None for key in touched if key in before}
    again |= {key: None for key in before if withdrawn & {*key[0]}}
    # A label that is said again decides the picture's fate too, so that the fate that followed it is said after it.
    again |= {key: None for key in before if key[1] == "fate" and (key[0], "label") in again}
    # `undo` of a picture withdraws what others, too, said of it; a row about two pictures is then said again.
    note = f"undo of {action_id(action[0].why)}"
    rows = [Row(image_id, "undo", "", why(note, action=new_action)) for image_id in sorted(withdrawn)]
    wanted = sorted({counted[key] for key in again})  # in the order of time: a label before the fate that followed it
    return rows + [Row(each.image_id, each.decision, each.value, why(note, action=new_action)) for each in wanted]


def withdrawing(own: Sequence[Outcome], action: Sequence[Outcome], new_action: str) -> list[OutcomeRow]:
    """Write the rows after which of each answer that counts, of this person, which counted before an action.

    Args:
        own: what the person found, that of the action too, in the order of time.
        action: what is undone.
        new_action: id of the action that the rows are.

    Returns:
        One row per answer of the action: what the person had said of it before, or `undo`.
    """
    before = {each.transaction: each for each in in_effect(own) if each not in action}
    note = why(f"undo of {action_id(action[0].why)}", action=new_action)
    rows = []
    for each in action:
        earlier = before.get(each.transaction)
        said = earlier.answer if earlier else (UNDO, "")
        rows.append(OutcomeRow(each.transaction, each.image_id, *said, note))
    return rows


def withdrawing_blind(action: Sequence[BlindAnswer], new_action: str) -> list[BlindRow]:
    """Write the rows after which an action's answers in the blind test do not count.

    Args:
        action: what is undone.
        new_action: id of the action that the rows are.
    """
    note = why(f"undo of {action_id(action[0].why)}", action=new_action)
    return [BlindRow(each.round, each.turn, each.image_id, blind_answers.UNDO, "", None, note) for each in action]


def withdrawing_nominations(
    own: Sequence[Nomination], action: Sequence[Nomination], new_action: str
) -> list[NominationRow]:
    """Write the rows after which of each picture that counts, of this person, which counted before an action.

    Args:
        own: what the person said, that of the action too, in the order of time.
        action: what is undone.
        new_action: id of the action that the rows are.
    """
    before = {each.image_id: each for each in in_effect(own) if each not in action}
    note = why(f"undo of {action_id(action[0].why)}", action=new_action)
    rows = []
    for each in action:
        earlier = before.get(each.image_id)
        said = (earlier.said, earlier.benchmark, earlier.value) if earlier else (nominations.UNDO, "", "")
        rows.append(NominationRow(each.image_id, *said, note))
    return rows


def leaves_said_again(said: Iterable[Decision], action: Sequence[Decision]) -> bool:
    """Say whether an action's rows, taken off the file, would leave what rows of another undo said again for it.

    Where somebody undid what stood beside it, with `undo` of the picture, the action's answer was said again then.

    Args:
        said: everybody's decisions about its pictures, in the order of time.
        action: what is undone, of one person.
    """
    gone = set(action)
    rest = [each for each in said if each not in gone]
    counts = [
        {key: _last(answers).answer for key, answers in standing(each).items()} for each in (rest, in_effect(rest))
    ]
    return counts[0] != counts[1]


def _last(answers: dict[str, Decision]) -> Decision:
    return list(answers.values())[-1]


def _answer(counted: dict[Question, Decision], key: Question) -> tuple[str, str] | None:
    return counted[key].answer if key in counted else None


def pictures_of(decisions: Iterable[Decision]) -> set[str]:
    """List the pictures that decisions are about."""
    decisions = list(decisions)
    return {each.image_id for each in decisions} | {each.value for each in decisions if each.decision in OF_TWO}
