"""A first classes.yaml for a library: its folders, and what their names propose, all of it commented out."""

import re
from collections.abc import Collection, Mapping

import yaml

from stages.labels import decisions

# A word at the beginning or the end of a folder's name, and the origin that it hints at.
_HINTS = {"staged": "staged", "synthetic": "synthetic", "rendered": "synthetic", "unknown": "unknown"}
# Names of whole folders in which people leave what they could not name.
_LEFT_OVER = re.compile(
    r"(not[\s._-]*sure|unsure|others?|misc(ellaneous)?|unclear|to[\s._-]*sort|unsorted)", re.IGNORECASE
)
# Between the levels of a name such as Group__Coarse__Fine.
_LEVELS = "__"
_WORDS = "|".join(_HINTS)
_LAST = re.compile(rf"(?:(?P<rest>.*?)[\s._-]+)?(?P<word>{_WORDS})", re.IGNORECASE | re.DOTALL)
_FIRST = re.compile(rf"(?P<word>{_WORDS})[\s._-]+(?P<rest>.*)", re.IGNORECASE | re.DOTALL)

_EXAMPLE = {"merge": {"boots": ["boots", "boots_kids"]}, "origin": {"staged": ["boots_staged"]}}
Headings = dict[str, dict[str, list[str]]]


def propose(sub_classes: Collection[str]) -> Headings:
    """Propose merges and origins from the names of folders alone.

    `boots_staged` is proposed as staged, and merged into `boots`; `unknown`, `boots_unknown`, `other` and `not_sure` as
    unknown, and merged into nothing. `Wear__Boots__Kids` and `Wear__Boots__Rain` are merged into `Wear__Boots`.

    Args:
        sub_classes: names of folders.

    Returns:
        `merge`: class to sub-classes, and `origin`: origin to sub-classes, as classes.yaml has them; without what is
        empty.
    """
    merge: dict[str, list[str]] = {}
    origin: dict[str, list[str]] = {}
    for name in sorted(sub_classes):
        rest, hints = _read_name(name)
        if not hints:
            continue
        kind = "unknown" if "unknown" in hints else hints[0]
        origin.setdefault(kind, []).append(name)
        if rest and kind != "unknown":
            real = _folder(rest, sub_classes)
            merge.setdefault(real or rest, [real] if real else []).append(name)
    taken = {name for names in merge.values() for name in names}
    merge |= _of_levels(
        sorted({name for name in sub_classes if not _read_name(name)[1]} - taken), {*sub_classes, *merge}
    )
    return {heading: entries for heading, entries in (("merge", merge), ("origin", origin)) if entries}


def classes_yaml(counts: Mapping[str, int], minimum: int) -> str:
    """Write a classes.yaml that lists the folders and proposes, with nothing in force.

    Args:
        counts: sub-class to how many files it has.
        minimum: `split.minimum`, how many pictures a class needs.

    Returns:
        The file's text: comments only.
    """
    proposed = propose(counts)
    hints = {name: kind for kind, names in proposed.get("origin", {}).items() for name in names}
    lines = [
        "Which sub-classes (folders of data/library) merge into which class, and which hold no real pictures of users.",
        "A folder that is not named here is a real class of its own, so this file may stay as it is.",
        "Where you rename a folder later, say so under `was` (docs/guide/decisions.md), so that decisions still hold.",
        "",
        f"Found: {sum(counts.values()):,} files in {len(counts):,} folders. A class needs {minimum} pictures"
        " (split.minimum of params.yaml), or it is left out.",
        "",
        *(_described(name, counts[name], minimum, hints.get(name)) for name in sorted(counts)),
        "",
        "Proposed by the folders' names. None of it is in force: check each line, and take the leading # off those that"
        " are right."
        if proposed
        else "The folders' names propose nothing. What is wanted is written like this, without the leading #:",
        "",
        yaml.safe_dump(proposed or _EXAMPLE, allow_unicode=True, default_flow_style=None, width=float("inf")),
    ]
    # A name may hold what breaks a line: every line of the whole is made a comment.
    return "".join((f"# {line}\n" if line else "#\n") for line in "\n".join(lines).splitlines())


def decisions_example() -> str:
    """Write a file of decisions with a comment for each kind, and nothing in force."""
    one, other, on = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210", "2026-11-02T09:15:00.000Z"
    lines = (
        f"{one},keep,,{on},the picture stays whatever it resembles",
        f"{one},remove,,{on},the picture is not used",
        f"{one},relabel,boots,{on},the picture belongs to the sub-class boots",
        f"{one},distinct,{other},{on},the two pictures are not duplicates",
        f"{one},duplicate,{other},{on},the two pictures are duplicates",
        f"{one},undo,,{on},what was decided of the picture before is withdrawn",
    )
    return "".join(
        (
            f"{','.join(decisions.COLUMNS)}\n",
            "# One line of each kind. Copy what you need to <you>.csv in this folder and take the leading # off.\n",
            *(f"# {line}\n" for line in lines),
        )
    )


def _read_name(name: str) -> tuple[str, list[str]]:
    """Split a name into what remains of it and the origins that its words hint at."""
    if _LEFT_OVER.fullmatch(name.rpartition(_LEVELS)[2].strip(" ._-")):
        return "", ["unknown"]
    hints: list[str] = []
    while match := _LAST.fullmatch(name) or _FIRST.fullmatch(name):
        hints.append(_HINTS[match["word"].lower()])
        name = match["rest"] or ""
    return name, hints


def _of_levels(names: Collection[str], known: Collection[str]) -> dict[str, list[str]]:
    """Group names that have a level below another: the name without its last level to two and more names.

    Args:
        names: that are in no other group, sorted.
        known: names of classes and folders, which a group may have only if it holds the folder.
    """
    groups: dict[str, list[str]] = {}
    for name in names:
        coarse, _, fine = name.rpartition(_LEVELS)
        if coarse.strip(" ._") and fine.strip(" ._") and (coarse in names or coarse not in known):
            groups.setdefault(coarse, [coarse] if coarse in names else []).append(name)
    several = {coarse: members for coarse, members in groups.items() if len(members) > 1}
    # A name that is the head of a group stands in no other.
    for coarse, members in several.items():
        several[coarse] = [name for name in members if name == coarse or name not in several]
    return {coarse: members for coarse, members in several.items() if len(members) > 1}


def _folder(name: str, sub_classes: Collection[str]) -> str | None:
    if name in sub_classes:
        return name
    return next((other for other in sorted(sub_classes) if other.casefold() == name.casefold()), None)


def _described(name: str, count: int, minimum: int, hint: str | None) -> str:
    written = yaml.safe_dump([name], allow_unicode=True, default_flow_style=True, width=float("inf")).strip()[1:-1]
    remarks = [f"fewer than {minimum}"] * (count < minimum) + [f"{hint}?"] * (hint is not None)
    return f"{count:>9,}  {written}" + (f"  <- {', '.join(remarks)}" if remarks else "")
