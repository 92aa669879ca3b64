"""Second look: pictures that somebody nominated for a benchmark, named by somebody who knows nothing of them.

Nothing shows the model's answer, what the first person said, or who that was; pictures that nobody nominated come in
between. What was said of such a picture counts if somebody nominates it later.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.actions import NominationRow, why
from curation.blind_round import order
from curation.ledger import Ledger
from curation.nominating import class_of_now, may_look, others, waiting
from curation.pages.page import Pressed, unknown_key
from curation.snapshot import Snapshot
from intake.nominations import CANNOT_TELL, NAMED, NO_CLASS
from runtime.errors import InputError


class SecondLook:
    """The page. Its ledger has a viewer."""

    name = "second-look"
    title = "Second look"
    empty = "Nothing waits for your second look. What you nominated or judged yourself is for somebody else."

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the pictures that the viewer has not named yet, in an order that is random to the viewer."""
        nominated = waiting(snapshot, ledger)
        return iter(order(ledger.viewer, 1, {*nominated, *others(snapshot, ledger, nominated)}))

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the page shows of a picture: nothing but itself."""
        _require_blind(snapshot, ledger, key)
        return {"image_id": key}

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> list[NominationRow]:
        """Say what a key calls the picture."""
        image_id = pressed.image_ids[0]
        _require_blind(snapshot, ledger, image_id)
        said = {"t": NAMED, "o": NO_CLASS, "u": CANNOT_TELL}.get(pressed.key)
        if said is None:
            raise unknown_key(pressed)
        value = class_of_now(snapshot, pressed.name) if said == NAMED else ""
        return [NominationRow(image_id, said, "", value, why(self.name, action=pressed.action))]


def _require_blind(snapshot: Snapshot, ledger: Ledger, image_id: str) -> None:
    """Refuse a picture that the viewer knows something of.

    Raises:
        InputError: it is one, or none of the harvest.
    """
    if not may_look(snapshot, ledger, image_id):
        raise InputError(
            "this picture is not for your second look: you have judged, nominated or named it, or it is not harvested "
            "any more. Nothing was written."
        )
