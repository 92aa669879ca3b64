"""Run what changed, as `dvc repro` does, and show the stages' own lines alone.

    python -m runtime.repro [arguments of `dvc repro`]

What DVC, TensorFlow and other libraries write goes to .dvc/tmp/retrain/repro.log, together with our lines.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from runtime.command import INTERRUPTED
from runtime.errors import RetrainError
from runtime.repository import remove_unreadable_lock, require_a_commit
from runtime.terminal import LOG, VARIABLE
from runtime.tracked import changed_meanwhile, require_recorded
from runtime.wording import counted, listed

# Of the log, shown when DVC ends without a message of ours: it could not start, or a stage was killed.
NUM_LAST_LINES = 10
# How DVC says what became of a stage.
RAN = re.compile(r"^Running stage '", re.MULTILINE)
CACHED = re.compile(r"^Stage '.*' is cached", re.MULTILINE)
UNCHANGED = re.compile(r"^Stage '.*' didn't change", re.MULTILINE)
NAMED = re.compile(r"^(?:Running stage|Stage) '(.+?)'", re.MULTILINE)


def reproduce(arguments: Sequence[str]) -> int:
    """Run `dvc repro` and say how it ended.

    Args:
        arguments: those of `dvc repro`.

    Returns:
        The exit status: 0, 1, or what a shell reports after Ctrl-C.
    """
    remove_unreadable_lock()
    try:
        require_a_commit()
        require_recorded(may_be_absent=not {"--allow-missing", "--pull"}.isdisjoint(arguments))
    except RetrainError as error:
        _say(f"error: {error}")
        return 1
    _say(f"repro: looking for what changed; DVC's and TensorFlow's own lines go to {LOG}")
    status, interrupted = _run_dvc(arguments)
    words = LOG.read_text(encoding="utf-8", errors="replace")
    if status and interrupted:
        _say("repro: interrupted. `make repro` goes on where it was: stages that ended are kept.")
        return INTERRUPTED
    if status == 0 and (changed := changed_meanwhile(set(NAMED.findall(words)))):
        _say(
            f"error: {listed(changed)} changed while the run went on, so what it made is of no commit's pictures. `dvc "
            "add` records the folder as it is now, and `make repro` again makes what belongs to it."
        )
        return 1
    _say(_failure(words) if status else f"repro: {_summary(words)}")
    return int(status != 0)


def _run_dvc(arguments: Sequence[str]) -> tuple[int, bool]:
    """Run `dvc repro`, and tell its exit status and whether Ctrl-C ended it."""
    interrupts: list[int] = []
    # The terminal sends Ctrl-C to DVC and to the stage as well: this command waits until they have ended.
    signal.signal(signal.SIGINT, lambda number, _: interrupts.append(number))
    with _terminal() as path:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.unlink(missing_ok=True)  # another run that goes on keeps writing to its own
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dvc", "repro", *arguments],
                stdout=log,
                stderr=log,
                env=os.environ | {VARIABLE: path},
            )
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait(), bool(interrupts)


@contextmanager
def _terminal() -> Iterator[str]:
    """Yield the path at which stages open what this command's stderr is."""
    path = f"/proc/{os.getpid()}/fd/2"
    if sys.stderr.isatty() and os.access(path, os.W_OK):
        yield path
        return
    # A file would be overwritten from its start, and a socket cannot be opened.
    reader, writer = os.pipe()
    thread = threading.Thread(target=_relay, args=[reader], daemon=True)
    thread.start()
    yield f"/proc/{os.getpid()}/fd/{writer}"
    os.close(writer)
    thread.join(timeout=5)  # a process that a stage left behind may hold the other end


def _relay(reader: int) -> None:
    while data := os.read(reader, 1 << 16):
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()


def _summary(words: str) -> str:
    ran, cached, unchanged = (len(pattern.findall(words)) for pattern in (RAN, CACHED, UNCHANGED))
    if not ran + cached:
        return f"nothing to do, {counted(unchanged, 'stage')} did not change"
    kept = f"{counted(cached, 'stage')} came from the run cache, " if cached else ""
    return f"{counted(ran, 'stage')} ran, {kept}{unchanged} did not change"


def _failure(words: str) -> str:
    """Name the log; show how it ends, unless a stage has said what is wrong."""
    if re.search(r"^error: ", words, re.MULTILINE):
        return f"repro: stopped. All lines of the run are in {LOG}"
    last = words.strip().splitlines()[-NUM_LAST_LINES:]
    return "\n".join([f"error: `dvc repro` failed. The last lines of {LOG}:", *(f"    {line}" for line in last)])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(reproduce(sys.argv[1:]))
