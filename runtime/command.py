"""Run a stage's or a command's `main()` as a user meets it: log lines on stderr, one message on failure."""

import logging
import os
import sys
from collections.abc import Callable

from runtime.errors import RetrainError


def run(main: Callable[[], None]) -> None:
    """Call `main` and turn what a user can mend into one message and exit status 1.

    Args:
        main: a function without arguments.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        main()
    except RetrainError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
