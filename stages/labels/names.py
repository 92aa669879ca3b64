"""Names of sub-classes and classes: as they are compared, and the ones that they have now.

Folders are typed by people, renamed, and written by file systems (macOS stores other bytes for the same letters).
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence

import pandas as pd


def composed(name: str) -> str:
    """Write a name in Unicode's form C, in which names are compared: macOS writes folders in another form."""
    return unicodedata.normalize("NFC", name)


def look_alikes(names: Collection[str]) -> list[list[str]]:
    """Group names that differ in nothing but case, Unicode's form or spaces.

    Returns:
        Groups of two and more names, each sorted, in order.
    """
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        groups["".join(unicodedata.normalize("NFKC", name).casefold().split())].append(name)
    return sorted(group for group in groups.values() if len(group) > 1)


def renamed_classes(images: pd.DataFrame) -> dict[str, str]:
    """Find the classes that were called otherwise when their folder was.

    Args:
        images: columns `sub_class`, `class_name`, and `was`, the sub-class's old names with / between them, or null.

    Returns:
        Old name to the name now, of classes that have the name of a sub-class. A name that a class has now is none of
        the old ones.
    """
    renamed = images[images["was"].notna() & (images["sub_class"] == images["class_name"])]
    first = renamed.drop_duplicates("class_name")
    taken = set(images["class_name"].dropna())
    return {
        old: now
        for now, names in zip(first["class_name"], first["was"], strict=True)
        for old in names.split("/")
        if old not in taken
    }


def names_now(base_classes: Sequence[str], renamed: Mapping[str, str]) -> list[str]:
    """Name a base's classes as they are called now.

    Args:
        base_classes: names when the base was trained.
        renamed: from `renamed_classes`.

    Returns:
        In the same order, still unique: two that would have one name keep theirs.
    """
    now = [renamed.get(composed(name), composed(name)) for name in base_classes]
    uses = Counter(now)
    return [new if uses[new] == 1 else old for old, new in zip(base_classes, now, strict=True)]
