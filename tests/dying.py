"""Work that a worker of a cluster is killed at, once. A module of its own, since workers import it."""

import os
import signal
from pathlib import Path

KILLED = Path("killed")


class Dying:
    """A function that holds what all items share; the first worker that is given a certain item is killed at it."""

    def __init__(self, function, deadly):
        self._function = function
        self._deadly = deadly

    def __call__(self, item, **options):
        if item == self._deadly and not KILLED.exists():
            KILLED.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._function(item, **options)
