"""Class: the pictures of a class or sub-class, the strangest first; what is marked moves to another or to a new one."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from curation.actions import Row, why
from curation.ledger import Ledger
from curation.naming import as_written, sub_classes_named
from curation.pages.grid import Batch, left_over
from curation.pages.page import REASONS, Pressed, said_by_model, unknown_key
from curation.snapshot import Snapshot
from curation.suggestions import told
from runtime.errors import InputError
from runtime.wording import counted
from stages.embeddings.class_means import left_out_distances
from stages.embeddings.vectors import units


class Classes:
    """The page; without a name, the list of the classes."""

    name = "class"
    title = "Class"
    empty = "No picture is here."
    has_names = True

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the pictures of a class, the strangest first; those that have their answer last."""
        name, only = (query.get(each, [""])[0] for each in ("name", "only"))
        if not name:
            return iter(snapshot.sub_classes)
        return iter(strangest_first(snapshot, ledger, members(snapshot, ledger, name, only)))

    def cell(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the grid shows of a picture: its label, and what the model says where that is another class."""
        label = label_of(snapshot, ledger, key) or ""
        best = snapshot.best(key)
        differs = best and best[0][0] != snapshot.classes.class_names.get(label, label)
        text = f"{label} \N{EM DASH} {best[0][0]} {best[0][1]:.0f}" if differs else label
        notes = [f"the model says {best[0][0]} {best[0][1]:.0f}"] if differs else []
        return {"image_id": key, "text": text, "notes": notes, "is_done": is_answered(ledger, key)}

    def around(
        self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]], open_keys: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Collect the one or two classes that are shown, and the list of all."""
        name, beside = (as_written(snapshot, query.get(each, [""])[0]) for each in ("name", "beside"))
        only = query.get("only", [""])[0]
        for each in filter(None, (name, beside)):
            is_known = each in snapshot.sub_classes or each in snapshot.classes.class_names
            if not is_known and not members(snapshot, ledger, each):
                raise InputError(f"there is no class and no sub-class {each!r}. The page /class lists them.")
        sides = [
            {"title": only or each, "query": {"name": [each], **({"only": [only]} if only else {})}, "path": path(each)}
            for each, only in ((name, only), (beside, ""))
            if each
        ]
        return {
            "grids": sides,
            "class_name": name,
            "only": only,
            "beside": beside,
            "path": path,
            "parts": snapshot.sub_classes.get(name, []),
            "is_class": name in snapshot.sub_classes,
            "classes": [] if name else listing(snapshot, ledger),
            "reasons": REASONS,
        }

    def batch(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> Batch:
        """Say what a key decides."""
        unique = list(dict.fromkeys(pressed.image_ids))
        labels = {each: label for each in unique if (label := label_of(snapshot, ledger, each))}
        words = []
        if gone := len(unique) - len(labels):
            words.append(f"{counted(gone, 'picture')} not here any more: left out.")
        values, note = self._values(snapshot, pressed, labels)
        if pressed.key == "t":
            same = [image_id for image_id, value in values.items() if value == labels[image_id]]
            values = {image_id: value for image_id, value in values.items() if value != labels[image_id]}
            if same:
                words.append(f"{counted(len(same), 'picture')} there already: left out.")
        if not values:
            raise left_over(words)
        number = counted(len(values), "picture")
        kind = "removed: " + note if note else told(values.values(), snapshot)
        first = f"{number} will be {kind}." if pressed.key != "k" else f"{number} rightly {kind}."
        if any(value and value not in snapshot.classes.class_names for value in values.values()):
            words.append("The new sub-class is made when somebody runs `make intake`.")
        return Batch(list(self._rows(snapshot, pressed, values, note)), [first, *words])

    def _values(self, snapshot: Snapshot, pressed: Pressed, labels: Mapping[str, str]) -> tuple[dict[str, str], str]:
        """Give what a key makes of each picture: its sub-class, or nothing where it is removed; and why that."""
        ids, key = list(labels), pressed.key
        if key == "k":
            return dict(labels), ""
        if key.startswith("d:") and key[2:] in REASONS:
            return dict.fromkeys(ids, ""), key[2:]
        if key == "t" and ids:
            return sub_classes_named(snapshot, pressed.name, ids), ""
        if key == "t":
            return {}, ""
        raise unknown_key(pressed)

    def _rows(self, snapshot: Snapshot, pressed: Pressed, values: Mapping[str, str], note: str) -> Iterator[Row]:
        version, several = f"model {snapshot.version}", len(pressed.image_ids) > 1
        for image_id, value in values.items():
            said = said_by_model(snapshot.best(image_id))
            text = why(self.name, note, version, said, action=pressed.action, batch=several)
            yield Row(image_id, "relabel" if value else "remove", value, text)


def label_of(snapshot: Snapshot, ledger: Ledger, image_id: str) -> str | None:
    """Give the sub-class of a picture of the library, as people decided; None if it is not used, or not there."""
    if image_id not in snapshot.labels:
        return None
    fate, label = ledger.answer(image_id, "fate"), ledger.answer(image_id, "label")
    if fate is not None and fate.decision == "remove":
        return None
    return label.value if label is not None else snapshot.labels[image_id]


def is_answered(ledger: Ledger, image_id: str) -> bool:
    """Say whether a person gave the picture its label, or said that it is right."""
    return ledger.answer(image_id, "label") is not None


def members(snapshot: Snapshot, ledger: Ledger, name: str, only: str = "") -> dict[str, str]:
    """List the pictures of a class, or of a sub-class where no class has the name.

    Args:
        snapshot: the tables.
        ledger: what people decided: who was moved here is here, also where the sub-class has no folder yet.
        name: of the class or sub-class.
        only: the only sub-class that is wanted, if not empty.

    Returns:
        The sub-class of each, by image_id.
    """
    wanted = {only} if only else set(snapshot.sub_classes.get(name, [name]))
    found = {image_id: label for image_id, label in snapshot.labels.items() if label in wanted}
    for image_id in ledger.image_ids():
        label = label_of(snapshot, ledger, image_id)
        if label in wanted:
            found[image_id] = label
        else:
            found.pop(image_id, None)
    return found


def strangest_first(snapshot: Snapshot, ledger: Ledger, labels: Mapping[str, str]) -> list[str]:
    """Order pictures by how far they are from what their sub-classes have in common, the farthest first.

    The distance is that to the nearest mean of the sub-classes, made without the picture and its near-duplicates.

    Args:
        snapshot: the tables.
        ledger: what people decided; the pictures that a person gave their label come last.
        labels: the sub-class of each picture, by image_id.

    Returns:
        image_ids; equals in their order, and those without an embedding after the others.
    """
    ids = sorted(labels)
    distances = dict.fromkeys(ids, -1.0)
    rows = snapshot.rows_of(ids)
    embedded = [image_id for image_id, row in zip(ids, rows, strict=True) if row >= 0]
    if embedded and snapshot.vectors is not None:
        names, codes = np.unique([labels[image_id] for image_id in embedded], return_inverse=True)
        together = pd.factorize(snapshot.images["group"].reindex(embedded).fillna(pd.Series(embedded, embedded)))[0]
        vectors = units(snapshot.vectors[rows[rows >= 0]])
        far = left_out_distances(vectors, codes, together, len(names))
        distances |= dict(zip(embedded, far.tolist(), strict=True))
    return sorted(ids, key=lambda each: (is_answered(ledger, each), -distances[each], each))


def listing(snapshot: Snapshot, ledger: Ledger) -> list[tuple[str, int, list[tuple[str, int]]]]:
    """List the classes by name, each with its pictures and those of its sub-classes, as people decided."""
    labels = dict(snapshot.labels)
    for image_id in ledger.image_ids():
        label = label_of(snapshot, ledger, image_id)
        if label is None:
            labels.pop(image_id, None)
        else:
            labels[image_id] = label
    counts = Counter(labels.values())
    known = {name for names in snapshot.sub_classes.values() for name in names}
    parts = snapshot.sub_classes | {name: [name] for name in counts if name not in known}
    listed = [(name, [(each, counts[each]) for each in parts[name]]) for name in sorted(parts)]
    return [(name, sum(number for _, number in each), each) for name, each in listed]


def path(name: str) -> str:
    """Give the address of a class."""
    return f"/class/{quote(name, safe='')}"
