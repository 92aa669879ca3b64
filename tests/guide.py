"""The commands of a page of docs/guide, for tests that run them word for word."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def command(page: str, words: str) -> str:
    """Give the one indented line of a page that has these words."""
    text = (ROOT / "docs/guide" / page).read_text(encoding="utf-8")
    (found,) = (line for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE) if words in line)
    return found
