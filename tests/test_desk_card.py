"""docs/desk.md, the card of the desk's keys, has every key that a page has, and no other."""

import re
from pathlib import Path

import pytest

from curation import web

TEMPLATES, CARD = Path(web.HERE, "templates"), Path(__file__).parents[1] / "docs/desk.md"
PAGES = {
    "Double-check": ["double_check"],
    "Duplicates": ["duplicates", "rules"],
    "Label": ["label"],
    "Sort": ["sort", "grid", "cells"],
    "Class": ["class", "grid", "cells"],
    "Frame": ["frame"],
    "Production": ["production"],
    "Second look": ["second_look"],
    "Blind test": ["blind", "blind_item"],
}
ARROWS = {f"{shift}Arrow{way}" for shift in ("", "Shift+") for way in ("Left", "Up", "Down", "Right")}
DIGITS = set("123456789")
SIGNS = {"←": {"ArrowLeft"}, "↑": {"ArrowUp"}, "↓": {"ArrowDown"}, "→": {"ArrowRight"}}
NAMES = SIGNS | {"Space": {" "}, "arrows": ARROWS, "Shift": ARROWS, "PgUp": {"PageUp"}, "PgDn": {"PageDown"}}
WORDS = {"and", "or", "then", "of", "one", "drag", "to"}
MACROS = {
    "moved": {"t"},
    "removing": {"d", *DIGITS},
    "common": {"Backspace", "?"},
    "framing": {"F"},
    "choice": set("123"),
}
WITHOUT_BUTTON = {key for key in ARROWS if "+" in key}  # in a grid, where a button has the arrows mark too
ASKED = {"Enter", "Escape"}  # before a batch is written


def keys_of(name: str) -> set[str]:
    """The keys of a template's buttons."""
    text = Path(TEMPLATES, f"{name}.html").read_text(encoding="utf-8")
    found = set(re.findall(r'data-key="([^"{]+)"', text))
    found |= set(re.findall(r'\b(?:key|acting|judging)\("([^"]+)"', text))
    for macro, keys in MACROS.items():
        found |= keys if f"m.{macro}(" in text else set()
    for arguments in re.findall(r"m\.typed\((.*?)\)", text):
        found.add((re.findall(r'"(.)"', arguments) or ["t"])[0])
    for arguments in re.findall(r"m\.example\((.*?)\)", text):
        found |= {"g", (re.findall(r'"(.)"', arguments) or ["b"])[0]}
    if 'data-key="{{ loop.index }}"' in text or "each.number | string" in text:
        found |= DIGITS
    for arguments in re.findall(r"m\.arrows\((.*?)\) }}", text):
        found |= {key for key in ARROWS if ("Shift" in key) == ("Shift" in arguments)}
    return found | (WITHOUT_BUTTON if name == "grid" else set())


def keys_in(cell: str) -> set[str]:
    """The keys that a cell of the card names."""
    found = set()
    for low, high in re.findall(r"(\d) to (\d)", cell):
        found |= set(map(str, range(int(low), int(high) + 1)))
    for token in cell.replace(",", " ").split():
        found |= set() if token in WORDS else NAMES.get(token, {token})
    return found


def tables() -> dict[str, dict[str, str]]:
    """The card's tables, by the words of their first line before the colon: what stands beside the keys."""
    found: dict[str, dict[str, str]] = {}
    for line in CARD.read_text(encoding="utf-8").splitlines():
        if line.endswith(" | |"):
            rows = found[line.removeprefix("| ").partition(":")[0].removesuffix(" | |")] = {}
        elif line.startswith("| ") and not line.startswith("| ---"):
            keys, words = line.removeprefix("| ").removesuffix(" |").split(" | ", 1)
            rows[keys] = words
    return found


@pytest.mark.parametrize("page", PAGES)
def test_the_card_has_the_keys_of_each_page(page):
    common, *_ = tables().values()
    own = set().union(*map(keys_in, tables()[page]))
    shared = set().union(*map(keys_in, common))
    # Such as `t`, which is `r` on Duplicates: "(Duplicates: r)".
    exceptions = re.findall(rf"{page}: ([^;)]+)", " ".join(common.values()))
    shared |= set().union(*(keys_in(each.partition(" of ")[0]) for each in exceptions if "cannot" not in each))
    there = set().union(*map(keys_of, PAGES[page]))
    assert there - own - shared - (ASKED if "grid" in PAGES[page] else set()) == set()
    assert own - there == set()


def test_the_card_says_which_keys_answer_a_question():
    text = CARD.read_text(encoding="utf-8")
    assert keys_of("grid") >= ASKED
    assert "Enter does it, Esc does not." in text.replace("\n", " ")


def test_keys_that_go_through_a_grid_have_a_button():
    script = Path(web.HERE, "static/grid.js").read_text(encoding="utf-8")
    (listed,) = re.findall(r"for \(const arrow of \[(.*?)\]\)", script)
    assert {"Home", "ArrowUp"} < set(re.findall(r'"(\w+)"', listed)) <= keys_of("grid") - WITHOUT_BUTTON
