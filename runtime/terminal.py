"""Where a command's own lines appear: on stderr, or, below `runtime.repro`, on the terminal of that command.

Below `runtime.repro`, stdout and stderr of a stage are a log file: TensorFlow and CUDA write to both by themselves.
"""

import functools
import os
import sys
from pathlib import Path
from typing import TextIO

VARIABLE = "RETRAIN_TERMINAL"
LOG = Path(".dvc/tmp/retrain/repro.log")


def terminal() -> TextIO:
    """Give the stream that a person reads."""
    path = os.environ.get(VARIABLE)
    return (_opened(path) if path else None) or sys.stderr


def command_name() -> str:
    """Name the running command as its log lines begin: "train" for `python -m stages.train`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return spec.name.removesuffix(".__main__").rpartition(".")[2] if spec else Path(sys.argv[0]).stem


@functools.cache
def _opened(path: str) -> TextIO | None:
    """Open the stream, or give None when `runtime.repro` has ended or the terminal is another user's."""
    try:
        # Appended: several stages write to what may be a file.
        return Path(path).open("a", encoding="utf-8", buffering=1)
    except OSError:
        return None
