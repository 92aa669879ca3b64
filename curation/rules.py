"""Markdown that people wrote, as the desk shows it: what is no Markdown stays text, and examples become pictures."""

import re
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from review.markdown import visible

_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


class Block(NamedTuple):
    """A part of the page.

    Attributes:
        html: of the rules; empty where pictures are shown.
        lines: numbers of the lines whose pictures are shown, from 0.
    """

    html: Markup
    lines: Sequence[int]


def blocks(text: str, lines: Collection[int], hidden: Collection[int]) -> list[Block]:
    """Split Markdown into what is text and what are examples; raw HTML stays text, and no picture is loaded.

    Args:
        text: of the file.
        lines: numbers of the lines that begin an item of a list and are shown as pictures, from 0.
        hidden: numbers of lines that are not shown.

    Returns:
        In the order of the text.
    """
    tokens = _parser().parse(_plain(text))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):  # the page has a heading of its own
            token.tag = f"h{min(6, int(token.tag[1]) + 1)}"
    found: list[Block] = []
    for is_example, parts in groupby(_items(tokens, {*lines, *hidden}), lambda part: part[0] is not None):
        if is_example:
            found.append(Block(Markup(), [number for number, _ in parts if number in lines]))  # type: ignore[misc]
        else:
            html = _parser().renderer.render([token for _, part in parts for token in part], _parser().options, {})
            found.append(Block(Markup(html), ()))  # noqa: S704 (the parser escapes what is no Markdown)
    return [block for block in found if block.html or block.lines]


def _items(tokens: Sequence[Token], lines: Collection[int]) -> Iterator[tuple[int | None, Sequence[Token]]]:
    """Go through the blocks of a text; a list that has examples is parted into its items."""
    for block in _parts(tokens):
        items = list(_parts(block[1:-1])) if block[0].type == "bullet_list_open" else []
        numbers = [item[0].map[0] if item[0].map else -1 for item in items]
        if not {*numbers} & {*lines}:
            yield None, block
            continue
        for number, item in zip(numbers, items, strict=True):
            yield (number, item) if number in lines else (None, [block[0], *item, block[-1]])


def _parts(tokens: Sequence[Token]) -> Iterator[Sequence[Token]]:
    """Part tokens where all that was opened is closed."""
    begin = depth = 0
    for number, token in enumerate(tokens, 1):
        depth += token.nesting
        if not depth:
            yield tokens[begin:number]
            begin = number


def _plain(text: str) -> str:
    """Take comments out and show characters that have no glyph by their number; lines keep theirs."""
    bare = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text.replace("\r\n", "\n"))
    return "\n".join(visible(line.expandtabs(4)) for line in bare.split("\n"))


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
