"""Who may ask the desk: people who are known, from the desk's own pages.

A page of another site can make a browser send requests here, or give a name of its own this machine's address (DNS
rebinding). So the Host is one of ours, and what another site's page asks for is refused. Headers keep the browser from
loading or running anything that the desk did not send. Whose browser it is, the `Door` knows.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from curation.invites import Invites
from curation.state import person_of
from runtime.errors import RetrainError

Handler = Callable[[Request], Awaitable[Response]]
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "desk"
OPEN = ("/static/", "/invited")  # what somebody may ask for of whom nothing is known
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (is compared with)
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


class Proxy(NamedTuple):
    """A server in front of the desk that knows who somebody is."""

    address: str
    header: str  # of its requests, which names the person


@dataclass(frozen=True)
class Door:
    """Who comes in.

    Attributes:
        hosts: names by which a browser may call the desk, each with its port, from `hosts`.
        port: that the desk listens on.
        any_address: whether it listens on all addresses of this machine, and may be called by any address.
        owner: whose decisions are written where nobody else can reach the desk; None: everybody says who they are.
        proxy: the one that says who somebody is; None: invitations do.
        invites: links that were given out.
    """

    hosts: frozenset[str]
    port: int
    any_address: bool
    owner: str | None
    proxy: Proxy | None
    invites: Invites

    def person(self, request: Request) -> str | None:
        """Say whose request it is; None if nobody knows."""
        if self.owner is not None:
            return self.owner
        try:
            return self._invited(request) if self.proxy is None else self._named(request, self.proxy)
        except RetrainError:  # the list of invitations is damaged, or the name cannot be a person's
            return None

    def _invited(self, request: Request) -> str | None:
        invite = self.invites.find(request.cookies.get(COOKIE, ""))
        return invite.person if invite else None

    def _named(self, request: Request, proxy: Proxy) -> str | None:
        if request.client is None or request.client.host != proxy.address:
            return None
        names = request.headers.getlist(proxy.header)  # of several, a client may have sent the first
        name = names[0].partition("@")[0] if len(names) == 1 else ""
        return person_of(name) if name else None

    def is_ours(self, host: str) -> bool:
        """Say whether a browser may call the desk so; an address cannot be given away by a name server."""
        address = host.removesuffix(f":{self.port}").removeprefix("[").removesuffix("]")
        return host in self.hosts or (self.any_address and _is_address(address))


def door(host: str, port: int, person: str, name: str = "", proxy: Proxy | None = None) -> Door:
    """Decide who comes in.

    Args:
        host: the address that the desk listens on.
        port: likewise.
        person: whose decisions are written where nobody else can reach the desk, as `person_of` takes it.
        name: by which browsers call it besides, if any: of this machine or of a proxy, with a port where it has one.
        proxy: the one that says who somebody is.
    """
    owner = person_of(person) if is_loopback(host) and not name and proxy is None else None
    return Door(hosts(host, port, name), port, host in ANY_ADDRESS, owner, proxy, Invites())


def is_loopback(host: str) -> bool:
    """Say whether an address can be reached from this machine only."""
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def hosts(host: str, port: int, name: str = "") -> frozenset[str]:
    """List what a browser may call the desk: each name with the port, and without where a browser leaves it out."""
    names = {*LOOPBACK, f"[{host}]" if ":" in host else host}
    ports = ("", f":{port}") if port in (80, 443) else (f":{port}",)
    return frozenset(f"{each}{ending}" for each in names for ending in ports) | (
        {name, f"{name}:{port}"} if name else set()
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def refusal(method: str, headers: Mapping[str, str], is_ours: Callable[[str], bool]) -> str | None:
    """Say why a request is refused; None if it is not.

    Args:
        method: such as GET.
        headers: of the request.
        is_ours: whether a browser may call the desk by a name.
    """
    host = headers.get("host", "")
    if not is_ours(host):
        return f"This desk is not called {host}."
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
        return "This request comes from a page of another site."
    followed_link = method in _SAFE and headers.get("sec-fetch-mode") == "navigate"
    if site not in ("same-origin", "none") and not followed_link:
        return "This request comes from a page of another site."
    return None


async def guard(request: Request, handle: Handler, door: Door, stranger: Callable[[], Response]) -> Response:
    """Answer a request, or refuse it; either way with the headers.

    Args:
        request: whose `state.person` is set.
        handle: answers it.
        door: says who comes in.
        stranger: what somebody is answered of whom nothing is known.
    """
    why = refusal(request.method, request.headers, door.is_ours)
    request.state.person = None if why else door.person(request)
    if why:
        response: Response = PlainTextResponse(why, 403)
    elif request.state.person is None and not request.url.path.startswith(OPEN):
        response = stranger()
    else:
        response = await handle(request)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _person(request: Request) -> str:
    person: str = request.state.person  # known: `guard` lets no stranger pass
    return person


Person = Annotated[str, Depends(_person)]
