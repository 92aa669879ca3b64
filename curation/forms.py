"""What a browser sends to the desk: forms, addresses, ids."""

import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qs

from fastapi import Request

from curation.actions import ACTION_ID
from runtime.errors import InputError

_MOST_BYTES = 2**20  # of what a form sends
_MOST_ITEMS = 8  # that a page asks for at once


def new_action() -> str:
    """Draw the id of an action."""
    return secrets.token_hex(6)


async def form_of(request: Request) -> dict[str, list[str]]:
    """Read what a form sends.

    Raises:
        InputError: it is too large.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > _MOST_BYTES:
            raise InputError("the form is too large.")
    return parse_qs(body.decode(errors="replace"), keep_blank_values=True)


def query_of(request: Request) -> dict[str, list[str]]:
    """Read what stands after the ? of an address."""
    return parse_qs(request.url.query)


def one(form: Mapping[str, Sequence[str]], name: str) -> str:
    """Give the first value of a name; empty where there is none."""
    return form.get(name, [""])[0]


def number_of_items(query: Mapping[str, Sequence[str]]) -> int:
    """Read how many items an address asks for: 1 to 8.

    Raises:
        InputError: it is no number.
    """
    most = one(query, "most") or "1"
    if not (most.isascii() and most.isdecimal() and int(most[:9])):
        raise InputError(f"most={most} is not how many items could be shown: give a number from 1 to {_MOST_ITEMS}.")
    return min(_MOST_ITEMS, int(most[:9]))


def action_of(form: Mapping[str, Sequence[str]]) -> str:
    """Give the id of the action that a form sends; a new one where it sends none."""
    action = one(form, "action")
    return action if ACTION_ID.fullmatch(action) else new_action()


def wants_json(request: Request) -> bool:
    """Say whether a script asks, rather than a page without one."""
    return "application/json" in request.headers.get("accept", "")


def is_image_id(text: str) -> bool:
    """Say whether a text is 32 hex digits."""
    return len(text) == 32 and set(text) <= set("0123456789abcdef")
