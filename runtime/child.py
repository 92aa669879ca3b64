"""Run a Python module in a process that ends when the one that started it has ended, however that ended.

After SIGKILL nobody tells a child. So it is given an end of a pipe whose other end its parent alone has, and waits for
that to close. Only what Python brings is imported here: the file is run by its path, outside of any clone too.
"""

import os
import runpy
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def command_of(module: str, *arguments: str) -> list[str]:
    """Write the command that runs a module, with a standard input from `tied`."""
    return [sys.executable, "-P", str(Path(__file__).resolve()), module, *arguments]


@contextmanager
def tied() -> Iterator[int]:
    """Yield what the child gets as its standard input; it reads nothing from it."""
    reader, writer = os.pipe()
    try:
        yield reader
    finally:
        os.close(reader)
        os.close(writer)


def main() -> None:
    """Run the module that the arguments name."""
    parent = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    # A shell starts what it puts into the background with this signal ignored, and it would be ignored by all below.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=_end_with, args=[parent], daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with(parent: int) -> None:
    os.read(parent, 1)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGINT)  # with all that it has started, as Ctrl-C does
    else:
        os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    main()
