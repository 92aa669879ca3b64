"""What every page with a queue has, and what keys say."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from curation.actions import FRAME, PageRow, Row, page_of
from curation.forms import action_of, is_image_id, one
from curation.ledger import Ledger
from curation.snapshot import Snapshot
from intake import nominations
from intake.nominations import Nomination
from runtime.errors import InputError
from serving import outcomes
from serving.outcomes import Outcome
from stages.labels.decisions import Decision

REASONS = (
    "blurred",
    "dark",
    "obscured",
    "several subjects",
    "too far",
    "too close",
    "drawn on",
    "screen",
    "other",
)


@dataclass(frozen=True)
class Pressed:
    """A key that was pressed on an item.

    Attributes:
        key: what the button says: a key, or `d:` and the reason.
        image_ids: pictures of the item, in the order in which the page shows them.
        name: what was typed, else empty.
        action: id of the action.
        transactions: that gave the answer which the item shows; of other items none.
        to_library: whether the picture is to go to the library too.
        benchmark: that the picture is nominated for; empty for none.
        again: whether the person has decided the item before, and is asked again.
        is_pair: whether the item is a pair that was asked for, answered or not.
    """

    key: str
    image_ids: Sequence[str]
    name: str
    action: str
    transactions: Sequence[str] = ()
    to_library: bool = False
    again: bool = False
    benchmark: str = ""
    is_pair: bool = False


def read_pressed(form: Mapping[str, Sequence[str]], otherwise: str) -> Pressed:
    """Read what a key sends.

    Args:
        form: names to values.
        otherwise: what is said where it names no picture.

    Raises:
        InputError: it names none, or something else than pictures.
    """
    ids, transactions = form.get("image_id", []), form.get("transaction", [])
    to_library, again = bool(one(form, "to_library")), bool(one(form, "again"))
    pressed = Pressed(
        one(form, "key"), ids, one(form, "name"), action_of(form), transactions, to_library, again,
        one(form, "benchmark"), bool(one(form, "pair")),
    )  # fmt: skip
    if not pressed.image_ids or not all(map(is_image_id, pressed.image_ids)):
        raise InputError(otherwise)
    return pressed


class Queue(Protocol):
    """A page with a queue.

    Attributes:
        name: in the address and in `why`.
        title: in the heading.
        empty: what the page says when nothing is left.
    """

    name: str
    title: str
    empty: str

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the items that are not decided, in their order, each by a key of its own."""


class Page(Queue, Protocol):
    """A page that shows one item of its queue at a time."""

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the template shows of an item.

        Raises:
            InputError: the key is that of no item of this page.
        """

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> Sequence[PageRow]:
        """Say what a key decides, or finds.

        Raises:
            InputError: the key or the name means nothing here.
        """


def unknown_key(pressed: Pressed) -> InputError:
    """Say that a key means nothing here."""
    return InputError(f"the key {pressed.key!r} means nothing on this page. `?` lists the keys.")


def named_by(pressed: Pressed, snapshot: Snapshot) -> str | None:
    """Read the sub-class that a button names, `is:<sub-class>`; None where it names none.

    Raises:
        InputError: there is none of this name any more: the tables are others than when the button was shown.
    """
    if not pressed.key.startswith("is:"):
        return None
    name = pressed.key.removeprefix("is:")
    if name not in snapshot.classes.class_names:
        raise InputError(f"there is no sub-class {name!r} any more. Nothing was written; look at the picture again.")
    return name


def said_by_model(best: Sequence[tuple[str, float]]) -> str:
    """Write what the model said of a picture, for `why`."""
    return f"said {best[0][0]} {best[0][1]:.1f}" if best else "no model"


def short(row: Row | Decision, before: str | None) -> str:
    """Say a decision in a few letters, for the list of the last ten.

    Args:
        row: a decision or a Row.
        before: the sub-class that the picture had.
    """
    if page_of(row.why) == FRAME:
        return "framed"
    if row.decision == "relabel":
        return (
            f"{row.value} \N{CHECK MARK}"
            if row.value == before
            else f"{before or 'no label'} \N{RIGHTWARDS ARROW} {row.value}"
        )
    if row.decision == "remove":
        notes = row.why.split("; ")
        return f"removed: {notes[1]}" if len(notes) > 3 and not notes[1].startswith("model ") else "removed"
    return {"keep": "kept", "distinct": "different", "duplicate": "the same"}.get(row.decision, row.decision)


def found(outcome: Outcome) -> str:
    """Say an outcome in a few letters, for the list of the last ten."""
    words = {
        outcomes.RIGHT: "right \N{CHECK MARK}",
        outcomes.WRONG: f"wrong \N{RIGHTWARDS ARROW} {outcome.value}",
        outcomes.BAD_PICTURE: f"bad picture: {outcome.value}",
        outcomes.CANDIDATE: f"candidate: {outcome.value}",
        outcomes.OUT_OF_SCOPE: "out of scope",
        outcomes.SHOULD_HAVE_ANSWERED: f"no answer \N{RIGHTWARDS ARROW} {outcome.value}",
    }
    return words.get(outcome.outcome, outcome.outcome)


def nominated(said: Nomination) -> str:
    """Say a nomination or a second look in a few letters, for the list of the last ten."""
    words = {
        nominations.NOMINATED: f"for {said.benchmark}",
        nominations.NAMED: f"second look: {said.value}",
        nominations.NO_CLASS: "second look: no class",
        nominations.CANNOT_TELL: "second look: cannot tell",
    }
    return words.get(said.said, "for no benchmark")
