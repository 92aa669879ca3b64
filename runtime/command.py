"""Run a stage's or a command's `main()` as a user meets it: log lines on the terminal, one message on failure."""

import errno
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from shutil import disk_usage
from tempfile import gettempdir
from typing import TextIO

from tqdm import tqdm

from runtime.errors import RetrainError
from runtime.terminal import LOG, terminal

# Loggers of what stages consist of; a stage's own is named `__main__`.
OURS = ("__main__", "runtime", "stages")
# What says nothing that a user can use: JAX tells everybody without one that it found no library for TPUs.
QUIET = ("jax._src.xla_bridge",)
# What a shell reports of a command that Ctrl-C ended.
INTERRUPTED = 130
_FULL = {errno.ENOSPC, errno.EDQUOT}


def run(main: Callable[[], None]) -> None:
    """Call `main` and turn what a user can mend into one message and exit status 1.

    Below `runtime.repro`, a bug of ours is one message too: its traceback is in the log that the message names.

    Args:
        main: a function without arguments.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=_handlers())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    before = signal.signal(signal.SIGTERM, partial(_end, os.getpid()))
    try:
        main()
    except RetrainError as error:
        _fail(str(error))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        if full := full_disk(error):
            _fail(full)
        if terminal() is sys.stderr:
            raise
        traceback.print_exc()
        _fail(f"{type(error).__name__}: {error}. This is a bug of ours: its traceback is in {LOG}")
    finally:
        signal.signal(signal.SIGTERM, before)


def full_disk(error: BaseException) -> str | None:
    """Say which disk is full, if that is what an error is about.

    Args:
        error: of the system, or of a library that writes; some give the system's words alone.
    """
    if not isinstance(error, OSError) or not (error.errno in _FULL or "No space left on device" in str(error)):
        return full_disk(cause) if (cause := error.__cause__ or error.__context__) else None
    written = [Path(error.filename).parent] if isinstance(error.filename, str) else []
    folders = [folder for folder in written if folder.is_dir()] or [Path.cwd(), Path(gettempdir())]
    folder = min(folders, key=lambda each: disk_usage(each).free)
    free = f"{disk_usage(folder).free / 1e6:,.0f} MB"
    return (
        f"the disk is full, or its quota: writing to {folder} failed ({error}). {free} are free there. Nothing "
        "that was whole is lost. Make room (`make gc` lists what nothing needs), then run the same command again."
    )


def _end(owner: int, number: int, _: object) -> None:
    """End as Ctrl-C does, so that what was begun is undone; a worker, which was forked from the owner, ends at once."""
    if os.getpid() != owner:
        os._exit(128 + number)
    signal.signal(number, signal.SIG_IGN)  # `make` passes on what its group got too: undoing is not interrupted
    sys.exit(128 + number)


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
