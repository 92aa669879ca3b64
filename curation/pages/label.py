"""Label: pictures that nobody has labelled yet, one by one, with the model's three best guesses."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from curation.actions import Row, why
from curation.ledger import Ledger
from curation.naming import sub_class_named
from curation.pages.page import Pressed, named_by, said_by_model, unknown_key
from curation.snapshot import NUM_BEST, Snapshot, row_of, text_of
from runtime.errors import InputError

WORTHLESS = "not worth labelling"
UNKNOWN = "unknown"


class Label:
    """The page."""

    name = "label"
    title = "Label"
    empty = "Every picture without a label has been looked at."

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the pictures without a label: first those that a class lacks, then the surest."""
        return (image_id for image_id in snapshot.identified.index if not ledger.is_decided(image_id))

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the page shows of a picture."""
        if key not in snapshot.identified.index:
            raise InputError("this picture has a label already, or no run has seen it.")
        row, best = row_of(snapshot.identified, key), guesses(snapshot, key)
        return {
            "image_id": key,
            "path": f"data/{row['path']}",
            "choices": [(name, confidence, snapshot.sub_class_of(name, key)) for name, confidence in best],
            "others": [name for guess, _ in best for name in snapshot.sub_classes.get(guess, [])],
            "examples": [
                {"name": name, "nearest": snapshot.nearest(key, name, 2), "typical": snapshot.typical(name)}
                for name, _ in best
            ],
            "notes": _notes(row),
            "unknown": unknown_sub_class(snapshot),
        }

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> list[Row]:
        """Say what a key decides."""
        image_id, key, best = pressed.image_ids[0], pressed.key, guesses(snapshot, pressed.image_ids[0])

        def row(decision: str, value: str = "", note: str = "") -> list[Row]:
            notes = (note, f"model {snapshot.version}", said_by_model(best))
            return [Row(image_id, decision, value, why(self.name, *notes, action=pressed.action))]

        if named := named_by(pressed, snapshot):
            return row("relabel", named)
        if key == "t":
            return row("relabel", sub_class_named(snapshot, pressed.name, image_id))
        if key == "u" or key.startswith("u:"):
            unknown = unknown_sub_class(snapshot)
            if key not in ("u", f"u:{unknown}"):
                raise InputError(f"what nobody knows is {unknown!r} now. Nothing was written; look at it again.")
            return row("relabel", unknown)
        if key == "d":
            return row("remove", note=WORTHLESS)
        raise unknown_key(pressed)


def guesses(snapshot: Snapshot, image_id: str) -> list[tuple[str, float]]:
    """Give the best classes of a picture without a label, with their confidences, best first."""
    if image_id not in snapshot.identified.index:
        return []
    row = row_of(snapshot.identified, image_id)
    numbers = range(1, NUM_BEST + 1)
    found = [(text_of(row, f"class_{number}"), row[f"confidence_{number}"]) for number in numbers]
    return [(name, float(confidence)) for name, confidence in found if name is not None]


def unknown_sub_class(snapshot: Snapshot) -> str:
    """Name the sub-class of good pictures of which nobody knows what they show."""
    return snapshot.unknown[0] if snapshot.unknown else UNKNOWN


def _notes(row: pd.Series) -> list[str]:
    words = {
        "wanted": "its class lacks pictures",
        "look_alike": "the two best classes are easily confused",
        "novel": "unlike everything that is labelled",
        "low": "the model has no idea",
    }
    notes = [text for name, text in words.items() if bool(row[name])]
    if pd.notna(row["candidate"]) and row["candidate"] != row["class_1"]:
        notes.append(f"by its neighbours a {row['candidate']}")
    return notes
