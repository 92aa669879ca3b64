"""Who may ask the desk: this machine's browser, from the desk's own pages.

A page of another site can make a browser send requests here, or give a name of its own this machine's address (DNS
rebinding). So the Host is one of ours, and what another site's page asks for is refused. Headers keep the browser from
loading or running anything that the desk did not send.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

Handler = Callable[[Request], Awaitable[Response]]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_SAFE = frozenset({"GET", "HEAD"})


def hosts(host: str, port: int) -> frozenset[str]:
    """List what a browser may call the desk: each name with the port."""
    names = {*LOOPBACK, f"[{host}]" if ":" in host else host}
    return frozenset(f"{name}:{port}" for name in names)


def refusal(method: str, headers: Mapping[str, str], ours: Collection[str]) -> str | None:
    """Say why a request is refused; None if it is not.

    Args:
        method: such as GET.
        headers: of the request.
        ours: from `hosts`.
    """
    host = headers.get("host", "")
    if host not in ours:
        return f"This desk is not called {host}."
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and origin != f"http://{host}":
        return "This request comes from a page of another site."
    followed_link = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not followed_link:
        return "This request comes from a page of another site."
    return None


async def guard(request: Request, handle: Handler, ours: Collection[str]) -> Response:
    """Answer a request, or refuse it; either way with the headers."""
    why = refusal(request.method, request.headers, ours)
    response = PlainTextResponse(why, 403) if why else await handle(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response
