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
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from runtime import child
from runtime.errors import RetrainError
from runtime.regular_files import require_no_pipes
from runtime.repository import mend_cut_off_files, require_a_commit
from runtime.terminal import LOG, VARIABLE
from runtime.tracked import DATA, changed_meanwhile, require_recorded
from runtime.wording import counted, listed

SECONDS_TO_UNDO = 30  # that an interrupted stage has before this command ends
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
        The exit status: 0, 1, or what a shell reports after Ctrl-C or another signal.
    """
    mend_cut_off_files()
    try:
        require_a_commit()
        require_no_pipes(*DATA.glob("*"))
        require_recorded(may_be_absent=not {"--allow-missing", "--pull"}.isdisjoint(arguments))
    except RetrainError as error:
        _say(f"error: {error}")
        return 1
    _say(f"repro: looking for what changed; DVC's and TensorFlow's own lines go to {LOG}")
    status, signals = _run_dvc(arguments)
    words = LOG.read_text(encoding="utf-8", errors="replace")
    if status and signals:
        _say("repro: interrupted. `make repro` goes on where it was: stages that ended are kept.")
        return 128 + signals[0]
    if status == 0 and (changed := changed_meanwhile(set(NAMED.findall(words)))):
        _say(
            f"error: {listed(changed)} changed while the run went on, so what it made is of no commit's pictures. `dvc "
            "add` records the folder as it is now, and `make repro` again makes what belongs to it."
        )
        return 1
    _say(_failure(words) if status else f"repro: {_summary(words)}")
    return int(status != 0)


def _run_dvc(arguments: Sequence[str]) -> tuple[int, list[int]]:
    """Run `dvc repro`, and tell its exit status and the signals that came meanwhile."""
    signals: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: signals.append(number))
    with _terminal() as path, child.tied() as parent:
        LOG.parent.mkdir(parents=True, exist_ok=True)
        LOG.unlink(missing_ok=True)  # another run that goes on keeps writing to its own
        with LOG.open("ab") as log:
            process = subprocess.Popen(
                child.command_of("dvc", "repro", *arguments),
                stdin=parent,
                stdout=log,
                stderr=log,
                env=os.environ | {VARIABLE: path},
                process_group=0,  # DVC, the stage and its workers: what comes here is sent to all of them, once
            )
        _forward(process.pid, signals)
        status = process.wait()
        if signals:
            _wait_for(process.pid)
        return status, signals


def _wait_for(group: int) -> None:
    """Wait until every process of a group has ended: the stage's shell, and so DVC, may end before it has undone."""
    until = time.monotonic() + SECONDS_TO_UNDO
    with suppress(ProcessLookupError):  # none is left
        while time.monotonic() < until:
            os.killpg(group, 0)
            time.sleep(0.05)


def _forward(group: int, signals: list[int]) -> None:
    """Interrupt a group of processes as Ctrl-C does, whichever signal ends this one; pause it where this one is.

    Args:
        group: the number of its first process.
        signals: those that came; the ones to come are added.
    """

    def send(number: int) -> None:
        with suppress(ProcessLookupError):  # it has ended
            os.killpg(group, number)

    def end(number: int, _: object) -> None:
        signals.append(number)
        send(signal.SIGINT)

    def pause(*_: object) -> None:
        send(signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        send(signal.SIGCONT)

    if signals:
        send(signal.SIGINT)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as `nohup` has it
            signal.signal(number, end)
    signal.signal(signal.SIGTSTP, pause)


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
