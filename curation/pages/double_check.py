"""Double-check: a picture that the model doubts, beside typical and nearest ones of its label and of the guess."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from curation.actions import Row, why
from curation.ledger import Ledger
from curation.naming import known_sub_class
from curation.pages.page import REASONS, Pressed, named_by, said_by_model, unknown_key
from curation.snapshot import Snapshot, row_of, text_of
from runtime.errors import InputError

NUM_EXAMPLES = 5  # nearest pictures of a class that `e` goes through
_WORDS = {
    "base_right_new_wrong": "the last model was right",
    "wrong_and_confident": "wrong and confident",
    "probably_mislabelled": "probably mislabelled",
    "near_across_split": "nearly the same as a training picture",
    "wrong": "wrong",
    "class_not_in_model": "its class is not in the model",
    "wrong_though_trained": "wrong, though it was trained on",
    "right_but_unsure": "right, but unsure",
    "suspected_bad_picture": "perhaps a bad picture",
}


class DoubleCheck:
    """The page."""

    name = "double-check"
    title = "Double-check"
    empty = "Everything that the last run doubts has been looked at."

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the review, worst first; with `class`, through whole classes."""
        queue = self._of_classes(snapshot, query["class"]) if query.get("class") else snapshot.review.index
        there, of_no_class = snapshot.images.index, snapshot.of_no_class  # the review may be of an earlier run
        return (each for each in queue if each in there and not ledger.is_decided(each, each in of_no_class))

    def _of_classes(self, snapshot: Snapshot, names: Sequence[str]) -> Iterator[str]:
        rest = {image_id for name in names for image_id in snapshot.members.get(name, ())}
        for image_id in snapshot.review.index:
            if image_id in rest:
                rest.remove(image_id)
                yield image_id
        yield from sorted(rest)

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the page shows of a picture."""
        if key not in snapshot.images.index:
            raise InputError("this picture is neither in the library nor in a benchmark.")
        picture, reviewed = row_of(snapshot.images, key), row_of(snapshot.review, key)
        truth, best = text_of(picture, "class_name"), snapshot.best(key)
        predicted = best[0][0] if best else text_of(reviewed, "predicted")
        label = text_of(picture, "sub_class")
        choices = [(name, confidence, snapshot.sub_class_of(name, key)) for name, confidence in best]
        return {
            "image_id": key,
            "label": label,
            "truth": truth,
            "predicted": predicted,
            "confidence": best[0][1] if best else None,
            "prediction": snapshot.sub_class_of(predicted, key) if predicted and label else None,
            "choices": choices,
            "notes": _notes(snapshot, key, picture, reviewed),
            "examples": [
                {"name": name, "title": title, "kind": kind, **_examples(snapshot, key, name)}
                for name, title, kind in ((truth, "its label", "label"), (predicted, "the guess", "guess"))
                if name and (kind == "label" or name != truth)
            ],
            "reasons": REASONS,
            "can_be_framed": text_of(picture, "set") == "library",
        }

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> list[Row]:
        """Say what a key decides."""
        image_id, best = pressed.image_ids[0], snapshot.best(pressed.image_ids[0])
        notes = (f"model {snapshot.version}", said_by_model(best))

        def row(decision: str, value: str = "", reason: str = "") -> list[Row]:
            return [Row(image_id, decision, value, why(self.name, reason, *notes, action=pressed.action))]

        key = pressed.key
        label = text_of(row_of(snapshot.images, image_id), "sub_class")
        if key.startswith("k:") and key[2:] != (label or ""):
            now = f"labelled {label} now" if label else "of no class now"
            raise InputError(f"this picture is {now}. Nothing was written; look at it again.")
        if key == "k" or key.startswith("k:"):
            return row("relabel", label) if label else row("keep")
        if key.startswith("d:") and key[2:] in REASONS:
            return row("remove", reason=key[2:])
        if not label:  # a relabelling would not be obeyed: the picture is out of every class's scope
            raise unknown_key(pressed)
        if named := named_by(pressed, snapshot):
            return row("relabel", named)
        if key == "t":
            return row("relabel", known_sub_class(snapshot, pressed.name, image_id))
        raise unknown_key(pressed)


def _examples(snapshot: Snapshot, image_id: str, class_name: str) -> dict[str, Any]:
    typical = snapshot.typical(class_name)
    return {
        "nearest": snapshot.nearest(image_id, class_name, NUM_EXAMPLES),
        "typical": typical if typical != image_id else None,
    }


def _notes(snapshot: Snapshot, image_id: str, picture: pd.Series, reviewed: pd.Series) -> list[str]:
    reasons = [text_of(reviewed, "reason"), *(text_of(reviewed, "also") or "").split(", ")]
    notes = [_WORDS.get(reason, reason) for reason in reasons if reason]
    if suggested := text_of(reviewed, "suggested"):
        notes.append(f"pictures like it are {suggested}")
    if faults := text_of(picture, "faults"):
        notes.append(faults)
    file = row_of(snapshot.files, image_id)
    if "width" in file:
        notes.append(f"{file['width']} \N{MULTIPLICATION SIGN} {file['height']}")
    if source := text_of(picture, "source"):
        notes.append(f"from {source}")
    if (of_set := text_of(picture, "set")) not in (None, "library"):
        notes.append(f"in the benchmark {of_set}")
    return notes
