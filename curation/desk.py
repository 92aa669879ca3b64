"""Serve the desk: people decide about pictures in the browser, and each decision is a row of data/decisions.

    python -m curation.desk [--port 8765] [--person ana]
    python -m curation.desk --team ana,ben,carl [--share 0.1] [--repeats 0.02] [--blind 50]
    python -m curation.desk --host 192.168.1.5 [--site desk.example.org] [--invite ben [--days 30] | --withdraw ben]

Reads: the tables of the last run, the pictures, data/decisions/
Writes: <person>.csv in data/decisions/, data/outcomes/, data/nominations/ and data/blind/; data/standards.md; below
    .dvc/tmp/retrain renditions of pictures, and digests of invitations
"""

import argparse
import logging
from datetime import UTC, datetime

import uvicorn

from curation import security, web
from curation.blind_round import MOST_OF_ROUND, ROUND_SIZE
from curation.invites import DAYS, MOST_DAYS, Invites
from curation.parting import SHARE, Parting
from curation.state import Desk, person_of
from runtime.command import run
from runtime.errors import InstructionError, RepositoryError
from runtime.repository import require_root
from runtime.wording import counted

log = logging.getLogger(__name__)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m curation.desk", description="Serve the desk.")
    parser.add_argument("--host", default="", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="to listen on")
    parser.add_argument("--site", default="", help="name by which browsers call it, such as a proxy's")
    parser.add_argument("--person", default="", help="whose decisions are written")
    parser.add_argument("--team", default="", help="people among whom queues are parted, with commas between them")
    parser.add_argument("--share", type=float, default=None, help="of the pictures that two of the team decide, 0 to 1")
    parser.add_argument("--repeats", type=float, default=0.0, help="of what somebody decided, asked again, 0 to 1")
    parser.add_argument("--blind", type=int, default=ROUND_SIZE, help="pictures of a round of the blind test")
    parser.add_argument("--invite", default="", help="print a link for this person, and end")
    parser.add_argument("--days", type=int, default=DAYS, help="that the link lasts")
    parser.add_argument("--withdraw", default="", help="end all links of this person")
    parser.add_argument("--proxy", default="", help="address of the only machine that may name people")
    parser.add_argument("--user-header", default="", help="of its requests, which names the person")
    options = parser.parse_args()
    options.host = options.host or "127.0.0.1"
    if bool(options.proxy) != bool(options.user_header):
        raise InstructionError("a proxy and its header go together: PROXY=10.0.0.5 USER_HEADER=X-Forwarded-User.")
    return options


def _invite(options: argparse.Namespace) -> None:
    """Print a link for a person."""
    if not options.site and (security.is_loopback(options.host) or options.host in security.ANY_ADDRESS):
        raise RepositoryError(
            f"nobody else can reach {options.host}. Say where the desk is found: make desk INVITE=ben "
            "HOST=192.168.1.5, or SITE=desk.example.org behind a proxy."
        )
    if not 1 <= options.days <= MOST_DAYS:
        raise InstructionError(f"a link lasts 1 to {MOST_DAYS} days: make desk INVITE=ben DAYS=30.")
    person = person_of(options.invite)
    secret = Invites().add(person, options.days, datetime.now(UTC))
    place = f"https://{options.site}" if options.site else _address(options)
    lasts = counted(options.days, "day")
    log.info("desk: for %s alone, for %s: %s/invited/%s", person, lasts, place, secret)


def _address(options: argparse.Namespace) -> str:
    """Give the address at which browsers find the desk; one of IPv6 stands in brackets there."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"http://{host}:{options.port}"


def _withdraw(name: str) -> None:
    person = person_of(name)
    log.info("desk: %s of %s ended", counted(Invites().withdraw(person), "link"), person)


def _parting(options: argparse.Namespace) -> Parting:
    """Read among whom queues are parted."""
    team = tuple(sorted({person_of(name) for each in options.team.split(",") if (name := each.strip())}))
    share = SHARE if options.share is None else options.share
    if not 0 <= share <= 1:
        raise InstructionError(f"SHARE={share:g} is no share: give a number from 0 to 1, such as SHARE=0.1.")
    if options.share is not None and len(team) < 2:
        raise InstructionError("a share is given to two of a team: make desk SHARE=0.1 TEAM=ana,ben.")
    return Parting(team, share if team else 0.0)


def _serve(options: argparse.Namespace) -> None:
    proxy = security.Proxy(options.proxy, options.user_header) if options.proxy else None
    door = security.door(options.host, options.port, options.person, options.site, proxy)
    parting = _parting(options)
    if parting.team and door.owner and door.owner not in parting.team:
        raise InstructionError(
            f"{door.owner} is not in the team {', '.join(parting.team)}. Add the name: make desk "
            f"TEAM={','.join((*parting.team, door.owner))}; everybody gives the same TEAM and SHARE."
        )
    if not 0 <= options.repeats <= 1:
        raise InstructionError(f"REPEATS={options.repeats:g} is no share: give a number from 0 to 1: REPEATS=0.02.")
    if not 1 <= options.blind <= MOST_OF_ROUND:
        raise InstructionError(f"a round of the blind test has 1 to {MOST_OF_ROUND} pictures: make desk BLIND=50.")
    desk = Desk(parting=parting, repeats=options.repeats)
    desk.snapshot  # noqa: B018 (a damaged table is a message, not a page)
    for notice in desk.file(door.owner).notices if door.owner else ():
        log.warning("desk: %s", notice)
    who = door.owner or ("whoever the proxy names" if proxy else "whoever was invited (make desk INVITE=ben)")
    log.info("desk: %s, at %s/; Ctrl-C ends it", who, _address(options))
    uvicorn.run(
        web.make(desk, door, options.blind), host=options.host, port=options.port, log_level="warning",
        access_log=False, server_header=False, proxy_headers=False,
    )  # fmt: skip


def main() -> None:
    """Run the command."""
    options = _options()
    require_root()
    if options.invite:
        _invite(options)
    elif options.withdraw:
        _withdraw(options.withdraw)
    else:
        _serve(options)


if __name__ == "__main__":
    run(main)
