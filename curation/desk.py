"""Serve the desk: people decide about pictures in the browser, and each decision is a row of data/decisions.

    python -m curation.desk [--port 8765] [--person ana]

Reads: the tables of the last run, the pictures, data/decisions/
Writes: data/decisions/<person>.csv; renditions of pictures below .dvc/tmp/retrain
"""

import argparse
import logging

import uvicorn

from curation import security, web
from curation.state import Desk, person_of
from runtime.command import run
from runtime.errors import RepositoryError
from runtime.repository import require_root

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m curation.desk", description="Serve the desk.")
    parser.add_argument("--host", default="", help="address to listen on")
    parser.add_argument("--port", type=int, default=8765, help="to listen on")
    parser.add_argument("--person", default="", help="whose decisions are written")
    options = parser.parse_args()
    host = options.host or "127.0.0.1"
    require_root()
    if host not in ("127.0.0.1", "localhost", "::1"):
        raise RepositoryError(f"the desk serves this machine only, at 127.0.0.1, not {host}.")
    person = person_of(options.person)
    desk = Desk()
    desk.snapshot  # noqa: B018 (a damaged table is a message, not a page)
    for notice in desk.file(person).notices:
        log.warning("desk: %s", notice)
    app = web.make(desk, person, security.hosts(host, options.port))
    log.info("desk: %s, at http://%s:%d/; Ctrl-C ends it", person, host, options.port)
    uvicorn.run(app, host=host, port=options.port, log_level="warning", access_log=False, server_header=False)


if __name__ == "__main__":
    run(main)
