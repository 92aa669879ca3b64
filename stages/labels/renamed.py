"""Classes under the name that they have now: a folder was renamed, or macOS wrote its name in another form."""

from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from stages.labels.names import composed


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
