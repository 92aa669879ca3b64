"""Markdown in which what comes from names, people and reasons stays text, on GitHub and elsewhere."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

MOST_CHARACTERS = 65_000  # of a comment: GitHub refuses more than 65,536
MOST_ROWS = 50  # of a table: nobody reads farther
_MOST_IN_CELL = 160  # characters
# What Markdown, or a forge's addition to it, could take for more than text: mathematics, emoji and links too.
_STRUCTURE = frozenset("\\`*_{}[]<>#!|~&@$:^")
# A forge looks for people and issues in the finished page, where entities are gone: a space of no width parts them.
_CALLS = frozenset("@#")


class Markup(str):
    """A cell that is Markdown already."""


def text(value: str) -> str:
    """Write a text so that it is shown as it is, on one line; what has no glyph is shown by its number.

    Source: CommonMark 0.31, section 2.5: an entity stands for its character as text, never as structure.
    """
    escaped = "".join(map(_character, shortened(visible(value))))
    # Inside a word, and before a space, these two are never structure: the source stays readable.
    return re.sub(r"&#58;(?=\s|$)", ":", re.sub(r"(?<=\w)&#95;(?=\w)", "_", escaped))


def visible(value: str) -> str:
    """Show control, format and line-breaking characters by their number, such as U+202E, which turns letters around."""
    hidden = ("Cc", "Cf", "Zl", "Zp", "Cs")
    return "".join(f"U+{ord(each):04X}" if unicodedata.category(each) in hidden else each for each in value)


def shortened(value: str) -> str:
    """Cut a text that is longer than a cell should be."""
    return value if len(value) <= _MOST_IN_CELL else value[: _MOST_IN_CELL - 1] + "…"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay rows out as a table; what a cell holds stays text, but for Markup, and None is a dash."""
    lines = [headings, ["---"] * len(headings), *([_cell(value) for value in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def section(title: str, headings: Sequence[str], rows: Sequence[Sequence[object]], note: str = "") -> str:
    """Put the first rows of a table, or that there are none, under a title."""
    body = table(headings, rows[:MOST_ROWS]) if rows else "No change."
    rest = f"And {len(rows) - MOST_ROWS} more." if len(rows) > MOST_ROWS else ""
    return "\n\n".join(part for part in (f"## {title}", body, rest, note) if part)


def folded(body: str) -> str:
    """Fold a section, all but its title."""
    title, _, rest = body.partition("\n\n")
    return f"<details><summary>{title.lstrip('# ')}</summary>\n\n{rest}\n\n</details>"


def comment(sections: Mapping[str, str]) -> str:
    """Put sections under one another, each whole, as far as a comment has room.

    Args:
        sections: name to text, the most important first; an empty text is left out.
    """
    parts, left_out, room = [], [], MOST_CHARACTERS
    for name, body in sections.items():
        if not body:
            continue
        if len(body) > room:
            left_out.append(name)
            continue
        parts.append(body)
        room -= len(body) + 2
    if left_out:
        parts.append(f"Too long for a comment, and left out: {', '.join(left_out)}.")
    return "\n\n".join(parts) + "\n"


def _character(each: str) -> str:
    if each not in _STRUCTURE:
        return each
    return f"&#{ord(each)};" + ("&#8203;" if each in _CALLS else "")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Markup):
        return value
    return text(f"{value:.6g}" if isinstance(value, float) else str(value))
