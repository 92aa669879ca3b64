"""The gateway as `make gateway` starts it, but for its clock, which is set: nobody can set it from outside."""

import random
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import uvicorn

from serving.app import make_app
from serving.clock import Clock
from serving.keeper import Keeper
from serving.start import SERVER, open_gateway, read_arguments

HOST = "127.0.0.1"
_PATIENT_SECONDS = 60.0  # for the model, on a machine that does much else: the same pictures are answered each time


class SetClock:
    """A clock that stands where it was set.

    Args:
        seed: of the identities.

    Attributes:
        moment: that it shows.
    """

    def __init__(self, seed: int) -> None:
        self.moment = datetime.now(UTC)
        self._rng = random.Random(seed)

    @property
    def shown(self) -> Clock:
        """The clock as a gateway reads it."""
        return Clock(lambda: self.moment, self._rng.getrandbits)


class Played(NamedTuple):
    """A gateway that answers.

    Attributes:
        port: where, on this machine.
        keeper: of its log; it ships when it is told to.
    """

    port: int
    keeper: Keeper


@contextmanager
def played_gateway(folder: Path, ship_to: Path, clock: SetClock) -> Iterator[Played]:
    """Have a gateway answer over HTTP while the block runs.

    Args:
        folder: of its log.
        ship_to: where rows and pictures go.
        clock: that it reads.

    Raises:
        RetrainError: it cannot be started.
    """
    arguments = read_arguments([f"--ship-to={ship_to}", f"--timeout={_PATIENT_SECONDS}"])
    opened = open_gateway(arguments, folder, clock.shown)
    listening = socket.create_server((HOST, 0))  # whoever connects before it answers waits
    server = uvicorn.Server(uvicorn.Config(make_app(*opened), **SERVER))
    thread = threading.Thread(target=server.run, args=([listening],), name="gateway")
    thread.start()
    try:
        yield Played(listening.getsockname()[1], opened.keeper)
    finally:
        server.should_exit = True
        thread.join()
