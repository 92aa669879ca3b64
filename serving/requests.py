"""Read what a request holds, within limits: a picture (raw bytes, or the first file of a form), or a little JSON."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect, Request

MAX_BYTES = 20 * 10**6
_MAX_FORM_BYTES = MAX_BYTES + 2**16  # heads and other fields
# What is too large is read this far and thrown away: a client that cannot send on would not hear why.
_MAX_READ_BYTES = 5 * MAX_BYTES
_MAX_PARTS = 100
_SECONDS = 30.0  # within which a picture has to arrive
FULL = "More pictures wait than can be answered in time. Try again in a second."
MAX_JSON_BYTES = 2**14  # a comment of 500 characters, each written as two times \\uXXXX, and more
_JSON = "application/json"
_TOO_LARGE = f"The picture has more than {MAX_BYTES // 10**6} MB. Send a smaller one."
_EMPTY = "The request holds no picture. Send its bytes as the body, or in a form (multipart/form-data) as a file."


class RefusedError(Exception):
    """The request is refused.

    Attributes:
        status: of HTTP.
        words: what is wrong and what to do.
    """

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status, self.words = status, words


class Bodies:
    """The bodies of pictures that are here: from before they arrive, which may take long, until they are answered.

    Args:
        most: that may be here at once.
        most_bytes: that all of them may have together.

    Attributes:
        num: that are here.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self.num = self._num_bytes = 0

    @contextmanager
    def one_more(self) -> Iterator[Callable[[int], None]]:
        """Let a body in.

        Yields:
            What has to be told how many bytes are kept, before they are.

        Raises:
            RefusedError: there is no room for another one, or for its bytes.
        """
        kept = 0

        def keep(num_bytes: int) -> None:
            nonlocal kept
            if self._num_bytes + num_bytes > self._most_bytes:
                raise RefusedError(429, FULL)
            self._num_bytes += num_bytes
            kept += num_bytes

        if self.num >= self._most:
            raise RefusedError(429, FULL)
        self.num += 1
        try:
            yield keep
        finally:
            self.num -= 1
            self._num_bytes -= kept


async def read_picture(request: Request, keep: Callable[[int], None]) -> bytes:
    """Read the bytes of a picture.

    Args:
        request: that holds it.
        keep: is told how many bytes are kept, before they are.

    Raises:
        RefusedError: there is none, it is too large, or it takes too long to arrive; or whatever `keep` raises.
    """
    kind = request.headers.get("content-type", "")
    is_form = kind.lower().startswith("multipart/form-data")
    body = await _read(request, _MAX_FORM_BYTES if is_form else MAX_BYTES, _TOO_LARGE, keep)
    picture = _first_file(kind, body) if is_form else body
    if len(picture) > MAX_BYTES:
        raise RefusedError(413, _TOO_LARGE)
    if not picture:
        raise RefusedError(400, _EMPTY)
    return picture


async def read_json(request: Request) -> bytes:
    """Read a small body of JSON.

    Raises:
        RefusedError: it is of another type, too large, or takes too long to arrive.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:
        raise RefusedError(415, f"This takes JSON (Content-Type: {_JSON}).")
    return await _read(request, MAX_JSON_BYTES, f"This has more than {MAX_JSON_BYTES} bytes. Send less.")


async def _read(
    request: Request, most: int, too_large: str, keep: Callable[[int], None] = lambda num_bytes: None
) -> bytes:
    """Read a body of at most so many bytes, within the time that it may take."""
    try:
        async with asyncio.timeout(_SECONDS):
            body = await _body(request, most, keep)
    except TimeoutError:
        raise RefusedError(408, f"What you sent did not arrive within {_SECONDS:g} s. Send it again.") from None
    except ClientDisconnect:
        raise RefusedError(400, "The connection ended before all had arrived.") from None
    if body is None:
        raise RefusedError(413, too_large)
    return body


async def _body(request: Request, most: int, keep: Callable[[int], None]) -> bytes | None:
    """Read a body; None where it is too large."""
    body, num_bytes = bytearray(), 0
    async for part in request.stream():
        num_bytes += len(part)
        if num_bytes > _MAX_READ_BYTES:
            break
        if num_bytes <= most:
            keep(len(part))
            body += part
    return bytes(body) if num_bytes <= most else None


def _first_file(kind: str, body: bytes) -> bytes:
    """Give the content of the first file of a form.

    Source: RFC 7578 and RFC 2046, section 5.1.1: a line of two hyphens and the boundary stands in no part's content.
    """
    boundary = re.search(r"boundary=(?:\"([^\"]{1,70})\"|([^\s;]{1,70}))", kind)
    if not boundary:
        raise RefusedError(400, "The form names no boundary (multipart/form-data; boundary=...).")
    delimiter = b"\r\n--" + (boundary[1] or boundary[2]).encode()
    for part in (b"\r\n" + body).split(delimiter, _MAX_PARTS)[1:-1]:
        head, _, content = part.partition(b"\r\n\r\n")
        if re.search(rb"(?im)^content-disposition:.*\bfilename\*?=", head):
            return content
    raise RefusedError(400, _EMPTY)
