"""What pages with a grid of pictures have: cells that keys mark, and what a key would write about those marked."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from curation.actions import Row
from curation.ledger import Ledger
from curation.pages.page import Pressed, Queue
from curation.snapshot import Snapshot
from runtime.errors import InputError


@dataclass(frozen=True)
class Batch:
    """What a key would decide.

    Attributes:
        rows: in the order in which the page shows the pictures.
        words: what they do and what is left out, in sentences that a person reads before they are written.
    """

    rows: Sequence[Row]
    words: Sequence[str]

    @property
    def digest(self) -> str:
        """Tell these rows from others: 32 hex digits."""
        return hashlib.sha256(repr([tuple(row) for row in self.rows]).encode()).hexdigest()[:32]


class GridPage(Queue, Protocol):
    """A page that shows many items of its queue at a time.

    Attributes:
        has_names: whether a name stands after the page's own in its address.
    """

    has_names: bool

    def cell(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the grid shows of a picture: `image_id`, `text`, `notes`, and whether it `is_done`."""

    def around(
        self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]], open_keys: Sequence[str]
    ) -> dict[str, Any]:
        """Collect what the page shows around its grids: `grids` with a `title` and a `query` each, and its own.

        Args:
            snapshot: the tables.
            ledger: what people decided.
            query: what the queue is filtered by.
            open_keys: of the whole queue.

        Raises:
            InputError: the address asks for what there is not.
        """

    def batch(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> Batch:
        """Say what a key decides.

        Raises:
            InputError: the key or the name means nothing here, or nothing is left to write.
        """


def left_over(words: Sequence[str]) -> InputError:
    """Say that a key would write nothing, and why."""
    return InputError(" ".join(["nothing is left to write.", *words]))
