"""Names of sub-classes and classes as they are compared: folders are typed by people and by file systems."""

import unicodedata
from collections import defaultdict
from collections.abc import Collection


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
