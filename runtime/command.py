"""Run a stage's or a command's `main()` as a user meets it: log lines on the terminal, one message on failure."""

import logging
import os
import sys
import traceback
from collections.abc import Callable
from typing import TextIO

from tqdm import tqdm

from runtime.errors import RetrainError
from runtime.terminal import LOG, terminal

# Loggers of what stages consist of; a stage's own is named `__main__`.
OURS = ("__main__", "runtime", "stages")
# What a shell reports of a command that Ctrl-C ended.
INTERRUPTED = 130


def run(main: Callable[[], None]) -> None:
    """Call `main` and turn what a user can mend into one message and exit status 1.

    Below `runtime.repro`, a bug of ours is one message too: its traceback is in the log that the message names.

    Args:
        main: a function without arguments.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=_handlers())
    try:
        main()
    except RetrainError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if terminal() is sys.stderr:
            raise
        traceback.print_exc()
        _fail(f"{type(error).__name__}: {error}. This is a bug of ours: its traceback is in {LOG}")


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines above the progress bar that the terminal may show."""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream.isatty():
            with tqdm.external_write_mode(file=self.stream):
                super().emit(record)
        else:
            super().emit(record)


def _handlers() -> list[logging.Handler]:
    """Write every line to stderr; where that is a log file, write our own lines to the terminal too."""
    handlers: list[logging.Handler] = [_Handler(sys.stderr)]
    if terminal() is not sys.stderr:
        handlers.append(_Handler(terminal()))
        handlers[-1].addFilter(lambda record: record.name.partition(".")[0] in OURS)
    return handlers


def _fail(message: str) -> None:
    for stream in {sys.stderr, terminal()}:
        print(f"error: {message}", file=stream)
    sys.exit(1)
