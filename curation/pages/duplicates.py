"""Duplicates: a group of pictures that show the same thing, side by side at one scale, and which of them to keep."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from curation.actions import Row, why
from curation.ledger import Ledger
from curation.naming import known_sub_class
from curation.pages.page import Pressed, unknown_key
from curation.snapshot import Snapshot
from runtime.errors import InputError
from stages.labels.decisions import Pair
from stages.tables.duplicates import DUPLICATES

MOST = 9  # pictures of a group that are shown at once: there are nine digits
_GREY = 4 / 255  # as `stages/labels/preference.py` has it


class Duplicates:
    """The page. An item is a group; its key is the image_id of its first picture."""

    name = "duplicates"
    title = "Duplicates"
    empty = "Every group of duplicates has its answer."

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the groups: those in two classes first, then those with the same pixels."""
        return iter(groups(snapshot, ledger))

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the page shows of a group."""
        found = groups(snapshot, ledger).get(key)
        if found is None:
            raise InputError("this group has its answer already.")
        return self._item(snapshot, ledger, found)

    def pair(self, snapshot: Snapshot, ledger: Ledger, image_ids: Sequence[str]) -> dict[str, Any]:
        """Collect what the page shows of a pair that is asked for, whether it has its answer or not.

        Raises:
            InputError: these are not two pictures that are there.
        """
        return {**self._item(snapshot, ledger, _pair(snapshot, ledger, image_ids)), "sent": {"pair": "1"}}

    def _item(self, snapshot: Snapshot, ledger: Ledger, found: pd.DataFrame) -> dict[str, Any]:
        members, kept = shown(found), suggested(found)
        files, seen = snapshot.files.loc[members], _among(found, members)
        num_all = len({*found["image_a"], *found["image_b"]})
        return {
            "image_id": members[0],
            "image_ids": members,
            "shown": f"{len(members)} of {num_all}" if num_all > len(members) else str(num_all),
            "pictures": [
                {
                    "image_id": image_id,
                    "number": number,
                    "label": _label(snapshot, ledger, image_id),
                    "suggested": image_id == kept,
                    "words": _words(snapshot, files, image_id),
                    "width": int(files["width"][image_id]),
                    "height": int(files["height"][image_id]),
                    "path": f"data/{files['path'][image_id]}",
                }
                for number, image_id in enumerate(members, 1)
            ],
            "side": (int(files["width"].max()), int(files["height"].max())),
            "conflict": bool(seen["label_conflict"].any()),
            "identical": bool((seen["kind"] == "identical").all()),
            "suggested": members.index(kept) + 1,
        }

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> list[Row]:
        """Say what a key decides: about the pictures that were shown, where they still are the group.

        A key that keeps a picture says which: `keep:<image_id>`, or `same:<image_id>`.
        """
        ids = pressed.image_ids
        found = _pair(snapshot, ledger, ids) if pressed.is_pair else groups(snapshot, ledger).get(ids[0])
        members = shown(found) if found is not None else []
        if found is None or set(members) != set(ids):
            raise self._changed(snapshot, ledger, ids)
        key, _, kept = pressed.key.partition(":")
        others = [each for each in members if each != kept]
        text = why(self.name, f"model {snapshot.version}", f"suggested {suggested(found)}", action=pressed.action)
        if key == "a":
            seen = _among(found, members)
            return [Row(a, "distinct", b, text) for a, b in sorted(zip(seen["image_a"], seen["image_b"], strict=True))]
        if key == "r":
            return self._relabel(snapshot, ledger, members, pressed)
        if kept not in members or key not in ("keep", "same"):
            raise unknown_key(pressed)
        same = [Row(kept, "duplicate", each, text) for each in others if key == "same"]
        gone = [each for each in others if key == "keep" or _fate(ledger, each) == "keep"]
        return [Row(kept, "keep", "", text), *same, *(Row(each, "remove", "", text) for each in gone)]

    def _changed(self, snapshot: Snapshot, ledger: Ledger, image_ids: Sequence[str]) -> InputError:
        """Say that a group is not what it was when it was shown."""
        now = {image_id for pairs in groups(snapshot, ledger).values() for image_id in shown(pairs)}
        if now.isdisjoint(image_ids):
            return InputError("this group has its answer already.")
        return InputError("this group is another now than when it was shown. Nothing was written; look at it again.")

    def _relabel(self, snapshot: Snapshot, ledger: Ledger, members: Sequence[str], pressed: Pressed) -> list[Row]:
        """Give every labelled picture of the group one label."""
        name = known_sub_class(snapshot, pressed.name, members[0])
        text = why(self.name, f"model {snapshot.version}", action=pressed.action)
        labels = {each: _label(snapshot, ledger, each) for each in members}
        rows = [Row(each, "relabel", name, text) for each, label in labels.items() if label and label != name]
        if not rows:
            raise InputError(f"each of them that has a label is a {name!r} already.")
        return rows


class Groups(Mapping[str, pd.DataFrame]):
    """Groups in their order, by the first image_id of each; the pairs of one are collected when they are asked for.

    Args:
        pairs: of all groups: rows of data/duplicates.parquet.
        rows: of each group, by their places in `pairs`.
    """

    def __init__(self, pairs: pd.DataFrame, rows: Mapping[str, Sequence[int]]) -> None:
        self._pairs, self._rows = pairs, rows

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self._pairs.iloc[list(self._rows[name])]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def groups(snapshot: Snapshot, ledger: Ledger) -> Groups:
    """Collect the groups whose answer is open.

    Returns:
        By the first image_id of each group, its open pairs. Groups in two classes come first, then those whose pictures
        have the same pixels.
    """
    return ledger.remembered("groups", snapshot, lambda: _groups(snapshot, ledger))


def _groups(snapshot: Snapshot, ledger: Ledger) -> Groups:
    table = _with_conflicts(snapshot, ledger)
    files = snapshot.files.index  # of what a new run has not compared yet, pictures may be gone
    table = table[table["image_a"].isin(files) & table["image_b"].isin(files)]
    known = set(ledger.image_ids())
    pairs = list(zip(table["image_a"], table["image_b"], strict=True))
    said = [(a in known or b in known) for a, b in pairs]  # of the others nothing can have been said
    same = _joined(_said_same(ledger, (pair for pair, is_said in zip(pairs, said, strict=True) if is_said)))
    is_open = [not is_said or _is_open(ledger, same, *pair) for pair, is_said in zip(pairs, said, strict=True)]
    opened = table[np.array(is_open, bool)]  # an empty list would choose columns
    root = _joined(zip(opened["image_a"], opened["image_b"], strict=True))
    rows: dict[str, list[int]] = {}
    conflicts, others = set(), set()  # names of groups in two classes, and of those whose pixels differ
    of_pairs = zip(opened["image_a"], opened["label_conflict"], opened["kind"], strict=True)
    for number, (image_id, conflict, kind) in enumerate(of_pairs):
        name = root[image_id]
        rows.setdefault(name, []).append(number)
        if conflict:
            conflicts.add(name)
        if kind != "identical":
            others.add(name)
    order = sorted(rows, key=lambda name: (name not in conflicts, name in others, name))
    return Groups(opened, {name: rows[name] for name in order})


def shown(pairs: pd.DataFrame) -> list[str]:
    """List the pictures of a group that are shown: its first, and each time the one that most pairs join to those.

    So whatever is said of them closes a pair, and of a large group others are shown the next time.

    Returns:
        At most `MOST`, the smallest image_id first.
    """
    joined = defaultdict(set)
    for a, b in zip(pairs["image_a"], pairs["image_b"], strict=True):
        joined[a].add(b)
        joined[b].add(a)
    if len(joined) <= MOST:
        return sorted(joined)
    chosen = {min(joined)}
    while len(chosen) < MOST:
        near = set().union(*(joined[each] for each in chosen)) - chosen
        chosen.add(min(near, key=lambda each: (-len(joined[each] & chosen), each)))
    return sorted(chosen)


def _pair(snapshot: Snapshot, ledger: Ledger, image_ids: Sequence[str]) -> pd.DataFrame:
    """Give the row of a pair; of one that a person called different, a run has none any more."""
    ids = sorted({*image_ids})
    if len(ids) != 2 or not all(each in snapshot.files.index for each in ids):
        raise InputError("these are not two pictures that are there. Nothing was written.")
    a, b = ids
    row = {"image_a": a, "image_b": b, "kind": "near", "keep": a, "label_conflict": False}
    table = _with_conflicts(snapshot, ledger)
    found = table[(table["image_a"] == a) & (table["image_b"] == b)]
    return found if len(found) else pd.DataFrame([row])


def _among(pairs: pd.DataFrame, members: Collection[str]) -> pd.DataFrame:
    return pairs[pairs["image_a"].isin(members) & pairs["image_b"].isin(members)]


def suggested(pairs: pd.DataFrame) -> str:
    """Choose the picture that gives way to the fewest of the group, of those that are shown."""
    members = shown(pairs)
    wins = Counter(pairs["keep"])
    losses = Counter(
        b if kept == a else a for a, b, kept in zip(pairs["image_a"], pairs["image_b"], pairs["keep"], strict=True)
    )
    return min(members, key=lambda each: (losses[each], -wins[each], each))


def _said_same(ledger: Ledger, pairs: Iterable[Pair]) -> Iterator[Pair]:
    for image_id in sorted({each for pair in pairs for each in pair}):
        for (subject, question), said in ledger.standing(image_id).items():
            if question == "pair" and list(said.values())[-1].decision == "duplicate":
                yield subject


def _is_open(ledger: Ledger, same: Mapping[str, str], a: str, b: str) -> bool:
    """Whether nobody answered whether two pictures are the same, nor made the question needless.

    That one is kept does not: the other was removed then, or not shown. Of two that are the same one is kept at most.
    """
    fates, said = [_fate(ledger, each) for each in (a, b)], ledger.answer(a, "pair", b)
    if "remove" in fates or (said and said.decision == "distinct"):
        return False
    return fates == ["keep", "keep"] or not (said or (a in same and same[a] == same.get(b)))


def _fate(ledger: Ledger, image_id: str) -> str | None:
    said = ledger.answer(image_id, "fate")
    return said.decision if said else None


def _joined(pairs: Iterable[Pair]) -> dict[str, str]:
    """Name the smallest picture that each picture is joined with, directly or through others."""
    parent: dict[str, str] = {}

    def root(image_id: str) -> str:
        while parent.setdefault(image_id, image_id) != image_id:
            parent[image_id] = parent[parent[image_id]]
            image_id = parent[image_id]
        return image_id

    for a, b in pairs:
        first, second = sorted((root(a), root(b)))
        parent[second] = first
    return {image_id: root(image_id) for image_id in list(parent)}


def _with_conflicts(snapshot: Snapshot, ledger: Ledger) -> pd.DataFrame:
    """Give the pairs; where a picture has been given another label since, whether the two differ follows from that."""
    table = snapshot.tables[DUPLICATES]
    given = [each for each in ledger.image_ids() if ledger.answer(each, "label")]
    changed = table["image_a"].isin(given) | table["image_b"].isin(given)
    if not changed.any():
        return table
    names = snapshot.classes.class_names
    classes = {
        each: names.get(label, label) if (label := _label(snapshot, ledger, each)) else None
        for each in {*table.loc[changed, "image_a"], *table.loc[changed, "image_b"]}
    }
    differs = [
        None not in (of_two := {classes[a], classes[b]}) and len(of_two) > 1
        for a, b in zip(table.loc[changed, "image_a"], table.loc[changed, "image_b"], strict=True)
    ]
    return table.assign(label_conflict=table["label_conflict"].mask(changed, pd.Series(differs, table.index[changed])))


def _label(snapshot: Snapshot, ledger: Ledger, image_id: str) -> str | None:
    """Name the sub-class that a picture has, or was given since the last run."""
    if given := ledger.answer(image_id, "label"):
        return given.value
    label = snapshot.images["sub_class"].get(image_id)
    return None if label is None or pd.isna(label) else str(label)


def _words(snapshot: Snapshot, files: pd.DataFrame, image_id: str) -> list[str]:
    """Say what speaks for a picture, compared with the others of its group."""
    words = [
        f"{files['width'][image_id]} \N{MULTIPLICATION SIGN} {files['height'][image_id]}",
        str(files["format"][image_id]),
    ]
    pixels = files["width"] * files["height"]
    if pixels[image_id] > pixels.drop(image_id).max():
        words.append("more pixels")
    if files["sharpness"][image_id] > 1.1 * files["sharpness"].drop(image_id).max():
        words.append("sharper")
    if files["chroma"][image_id] >= _GREY > files["chroma"].min():
        words.append("in colour")
    if image_id in snapshot.trained:
        words.append("already trained on")
    return words
