"""Sort: pictures that nobody has labelled yet, many at a time, chosen by what the model says of them."""

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from curation.actions import Row, why
from curation.forms import is_image_id
from curation.ledger import Ledger
from curation.naming import sub_classes_named
from curation.pages.grid import Batch, left_over
from curation.pages.page import REASONS, Pressed, said_by_model, unknown_key
from curation.snapshot import Snapshot, row_of, text_of
from curation.suggestions import MOST_NAMED, class_of, num_real, reaching, resembling_benchmark, suggested, told
from runtime import parameters
from runtime.errors import InputError
from runtime.wording import counted, listed
from stages.labels.folders import UNLABELLED

ACCEPTED = "accepted on the model's suggestion"
UNKNOWN = "unknown"
FILTERS = {
    "wanted": "its class lacks pictures",
    "staged": "its class was learned from staged pictures too",
    "high": "the model is sure",
    "low": "the model has no idea",
    "look_alike": "the two best classes are easily confused",
    "novel": "unlike everything that is labelled",
    UNKNOWN: "a good picture that nobody could name",
}


class Filters(NamedTuple):
    """What a person wants to see.

    Attributes:
        class_name: that the model takes the pictures for; empty for any.
        least: of the confidence, 0 to 100.
        most: of the confidence.
        only: names of `FILTERS` that all must be true.
        group: of novel pictures; 0 for any.
        like: image_id of the picture that is to be resembled; empty for none.
    """

    class_name: str
    least: float
    most: float
    only: tuple[str, ...]
    group: int
    like: str


class Sort:
    """The page."""

    name = "sort"
    title = "Sort"
    empty = "No picture without a label is like this."
    has_names = False

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the pictures without a label: first those that a class lacks, then the surest; or by likeness."""
        filters = read_filters(query)
        found: list[str] = snapshot.identified.index[matching(snapshot.identified, filters)].tolist()
        if filters.like:
            found = snapshot.likest(filters.like, found)
        return (
            each
            for each in found
            if not ledger.is_decided(each) or (UNKNOWN in filters.only and _is_unknown(snapshot, ledger, each))
        )

    def cell(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the grid shows of a picture."""
        row = row_of(snapshot.identified, key)
        name = text_of(row, "class_1")
        words = [text for filter_, text in FILTERS.items() if filter_ in row and bool(row[filter_])]
        text = f"{name} {row['confidence_1']:.0f}" if name else "no guess"
        return {"image_id": key, "text": text, "notes": words, "is_done": False, "says": name}

    def around(
        self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]], open_keys: Sequence[str]
    ) -> dict[str, Any]:
        """Collect the filters, with how many open pictures each class and group has; there is one grid."""
        identified = snapshot.identified.loc[list(open_keys), ["class_1", "novel_group"]]
        classes = identified["class_1"].value_counts()
        groups = identified["novel_group"].dropna().astype(int).value_counts()
        return {
            "grids": [{"title": "pictures without a label", "query": query}],
            "filters": read_filters(query),
            "words": FILTERS,
            "classes": sorted((str(name), int(number)) for name, number in classes.items()),
            "groups": sorted((int(str(number)), int(size)) for number, size in groups.items()),
            "reasons": REASONS,
        }

    def batch(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> Batch:
        """Say what a key decides."""
        left, ids = _open(snapshot, ledger, pressed.image_ids)
        if pressed.key == "y":
            return self._accepted(snapshot, ledger, pressed, ids, left)
        if pressed.key == "t":
            values = sub_classes_named(snapshot, pressed.name, ids) if ids else {}
            words = [f"{counted(len(ids), 'picture')} will be {told(values.values(), snapshot)}."]
        elif pressed.key.startswith("d:") and pressed.key[2:] in REASONS:
            values = {}
            words = [f"{counted(len(ids), 'picture')} will be removed: {pressed.key[2:]}."]
        else:
            raise unknown_key(pressed)
        return self._batch(snapshot, pressed, ids, values, [*words, *left], pressed.key[2:])

    def _accepted(
        self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed, ids: Sequence[str], left: Sequence[str]
    ) -> Batch:
        """Give pictures the class that the model takes them for; those that resemble a benchmark are left out."""
        if len(ids) == 1 and pressed.name not in ("", says := str(snapshot.identified["class_1"][ids[0]])):
            raise InputError(f"the model says {says!r} of this picture now. Nothing was written; look at it again.")
        known = resembling_benchmark(snapshot, ledger, ids)
        apart = [image_id for image_id in ids if image_id in known]
        values = suggested(snapshot, [image_id for image_id in ids if image_id not in known])
        words = [f"{counted(len(values), 'picture')} will be {told(values.values(), snapshot)}."]
        if len(ids) > 1:  # of one picture nobody reads the words, and the key is answered sooner
            words += _reached(snapshot, ledger, values.values())
        if apart:
            verb = "resembles" if len(apart) == 1 else "resemble"
            words.append(f"{counted(len(apart), 'picture')} {verb} a benchmark: left out.")
        if unnamed := len(ids) - len(apart) - len(values):
            words.append(f"{counted(unnamed, 'picture')} of no class that there is now: left out.")
        return self._batch(snapshot, pressed, list(values), values, [*words, *left], ACCEPTED)

    def _batch(
        self,
        snapshot: Snapshot,
        pressed: Pressed,
        ids: Sequence[str],
        values: Mapping[str, str],
        words: Sequence[str],
        note: str,
    ) -> Batch:
        """Write a row for each picture: its sub-class in `values`, or its removal."""
        if not ids:
            raise left_over(words[1:])
        version, decision = f"model {snapshot.version}", "relabel" if values else "remove"
        guessed = snapshot.identified.loc[list(ids)]
        rows = [
            Row(
                image_id,
                decision,
                values.get(image_id, ""),
                why(
                    self.name,
                    note,
                    version,
                    said_by_model([(name, confidence)] if name else []),
                    action=pressed.action,
                    batch=len(pressed.image_ids) > 1,
                ),
            )
            for image_id, name, confidence in zip(ids, guessed["class_1"], guessed["confidence_1"], strict=True)
        ]
        return Batch(rows, words)


def _reached(snapshot: Snapshot, ledger: Ledger, values: Collection[str]) -> list[str]:
    """Say which classes reach the cut-off with pictures of these sub-classes."""
    minimum = parameters.read(parameters.Split).minimum
    added = Counter(class_of(snapshot, value) for value in values)
    reached = reaching(num_real(snapshot, ledger), added, minimum)
    if not reached:
        return []
    verb = "reaches" if len(reached) == 1 else "reach"
    names = listed(reached, most=MOST_NAMED)
    return [f"{counted(len(reached), 'class', 'classes')} {verb} {minimum}: {names}."]


def read_filters(query: Mapping[str, Sequence[str]]) -> Filters:
    """Read the filters of an address.

    Raises:
        InputError: a confidence or a group is no number.
    """
    first = {name: values[0] for name, values in query.items() if values and values[0]}
    return Filters(
        class_name=first.get("class", ""),
        least=_number(first.get("least", "0")),
        most=_number(first.get("most", "100")),
        only=tuple(name for name in FILTERS if name in first),
        group=int(_number(first.get("group", "0"))),
        like=like if is_image_id(like := first.get("like", "")) else "",
    )


def matching(identified: pd.DataFrame, filters: Filters) -> "pd.Series[bool]":
    """Tell which pictures a person wants to see.

    Args:
        identified: columns of data/identified.parquet, by image_id.
        filters: from `read_filters`.
    """
    found = identified["confidence_1"].fillna(0.0).between(filters.least, filters.most)
    if filters.class_name:
        found &= identified["class_1"] == filters.class_name
    if filters.group:
        found &= (identified["novel_group"] == filters.group).fillna(False).astype(bool)
    for name in filters.only:
        found &= ~identified["path"].str.startswith(UNLABELLED) if name == UNKNOWN else identified[name].astype(bool)
    return found


def _open(snapshot: Snapshot, ledger: Ledger, image_ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part pictures: words about those that were decided meanwhile, and those that are open, each once."""
    unique = list(dict.fromkeys(image_ids))
    ids = [
        each
        for each in unique
        if each in snapshot.identified.index and (not ledger.is_decided(each) or _is_unknown(snapshot, ledger, each))
    ]
    gone = len(unique) - len(ids)
    return ([f"{counted(gone, 'picture')} decided already: left out."] if gone else []), ids


def _is_unknown(snapshot: Snapshot, ledger: Ledger, image_id: str) -> bool:
    """Say whether a picture lies where people put it who could not name it, and nobody has named it since."""
    fate = ledger.answer(image_id, "fate")
    is_unknown = fate is not None and fate.decision == "relabel" and fate.value in snapshot.unknown
    return is_unknown and not snapshot.identified["path"][image_id].startswith(UNLABELLED)


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{text!r} is no number. Confidences are numbers from 0 to 100.")
    return number
