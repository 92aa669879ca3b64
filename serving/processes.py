"""Work in processes of their own, which are started again when they die: what kills them costs one answer."""

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from runtime.errors import RetrainError

_CONTEXT = multiprocessing.get_context("spawn")  # a fork would inherit the log's connection and locks
_PAUSE_SECONDS = 1.0  # between attempts to start what does not start
_START_SECONDS = 120.0
_LOOK_SECONDS = 1.0
Work = Callable[[Any], Any]


class DiedError(Exception):
    """The process that had the task ended, or took too long and was ended."""


class _Task(NamedTuple):
    argument: Any
    future: "Future[Any]"


class Processes:
    """Processes that all do the same work, each one task at a time.

    Args:
        name: for messages.
        make: called in each process; gives the function that does the work. It can be pickled.
        number: of processes.
        timeout_seconds: a task that takes longer ends its process.

    Raises:
        RetrainError: what `make` raised.
        DiedError: a process does not start. Nothing of what was started is left then.
    """

    def __init__(self, name: str, make: Callable[[], Work], number: int = 1, timeout_seconds: float = 30.0) -> None:
        self.name, self.restarts = name, 0
        self._make, self._timeout_seconds = make, timeout_seconds
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._ready: list[_Process] = []
        self._lock = threading.Lock()  # of the two above, and of this:
        self._is_away = False  # none is ready, and none could be started when that was tried last
        self._why = ""  # not, where `make` said it
        self._ends = threading.Event()
        first = _all_started(name, make, number)
        self._threads = [
            threading.Thread(target=self._serve, args=[process], name=name, daemon=True) for process in first
        ]
        for thread in self._threads:
            thread.start()

    @property
    def pids(self) -> list[int]:
        """Of the processes that are ready."""
        return [process.pid for process in list(self._ready)]

    def do(self, argument: Any) -> "Future[Any]":
        """Do the work of one argument.

        Returns:
            Its result, or what it raised, or DiedError: at once where no process can be started.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._is_away:
                future.set_exception(self._does_not_start())
            else:
                self._tasks.put(_Task(argument, future))
        return future

    def close(self) -> None:
        """End the processes, each after its task."""
        self._ends.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self, process: "_Process | None") -> None:
        while process := process or self._started_again():
            with self._lock:
                self._ready.append(process)
                self._is_away = False
            task = self._next(process)
            alive = task is not None and self._answer(process, task)
            with self._lock:
                self._ready.remove(process)
            if task is None and process.is_alive():
                process.end()
                return
            if not alive:
                process.end()
                process = None

    def _next(self, process: "_Process") -> _Task | None:
        """Wait for a task, and watch the process meanwhile: one that died is not given any."""
        while process.is_alive():
            with suppress(queue.Empty):
                return self._tasks.get(timeout=0.2)
        return None

    def _answer(self, process: "_Process", task: _Task) -> bool:
        """Have a task done; False where the process did not outlive it."""
        if not task.future.set_running_or_notify_cancel():
            return True  # whoever asked is gone
        try:
            result, error = process.do(task.argument, self._timeout_seconds)
        except TimeoutError:
            task.future.set_exception(DiedError(f"{self.name} took longer than {self._timeout_seconds:g} s"))
            return False
        except (EOFError, OSError):
            task.future.set_exception(DiedError(f"{self.name} ended"))
            return False
        except Exception as problem:  # what cannot be sent, or not be read: it belongs to whoever asked
            task.future.set_exception(problem)
            return False
        if error is not None:
            task.future.set_exception(error)
        else:
            task.future.set_result(result)
        return True

    def _started_again(self) -> "_Process | None":
        """Start a process, trying until one starts; None where all is to end."""
        while not self._ends.is_set():
            self.restarts += 1
            if process := self._started():
                return process
            self._refuse()
            self._ends.wait(_PAUSE_SECONDS)
        return None

    def _started(self) -> "_Process | None":
        """Try once to start a process."""
        try:
            process = _Process(self.name, self._make)
        except OSError:  # no memory, or too many processes or files are open
            return None
        if self._starts(process):
            return process
        process.end()
        return None

    def _starts(self, process: "_Process") -> bool:
        """Wait for a process; who waits for an answer meanwhile does not wait for longer than one may take."""
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end and not self._ends.is_set():
            try:
                if process.is_ready(min(self._timeout_seconds, _LOOK_SECONDS)):
                    return True
            except DiedError:
                self._why = ""
                return False
            except RetrainError as error:
                self._why = f": {error}"
                return False
            if time.monotonic() > end - _START_SECONDS + self._timeout_seconds:
                self._refuse()
        return False

    def _refuse(self) -> None:
        """Tell those who wait that there is no process, unless there is another one."""
        with self._lock:
            if self._ready:
                return
            self._is_away = True
            tasks = []
            with suppress(queue.Empty):
                while True:
                    tasks.append(self._tasks.get_nowait())
            for task in tasks:
                if task is None:
                    self._tasks.put(None)
                elif task.future.set_running_or_notify_cancel():
                    task.future.set_exception(self._does_not_start())

    def _does_not_start(self) -> DiedError:
        return DiedError(f"{self.name} does not start{self._why}")


def _all_started(name: str, make: Callable[[], Work], number: int) -> "list[_Process]":
    """Start several processes, or end them all where one does not start."""
    started: list[_Process] = []
    try:
        for _ in range(number):
            started.append(_Process(name, make))
        if not all(process.is_ready(_START_SECONDS) for process in started):
            raise DiedError(f"{name} does not start")
    except BaseException as error:
        for process in started:
            process.end()
        if isinstance(error, OSError):
            raise DiedError(f"{name} does not start: {error}") from None
        raise
    return started


class _Process:
    def __init__(self, name: str, make: Callable[[], Work]) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_run, args=(theirs, make), name=name, daemon=True)
        self._process.start()
        theirs.close()
        self.pid = self._process.pid or 0

    def is_ready(self, seconds: float) -> bool:
        """Wait this long for it to be ready, and raise what it raised."""
        try:
            if not self._connection.poll(seconds):
                return False
            error = self._connection.recv()[1]
        except (EOFError, OSError):
            raise DiedError(f"{self._process.name} does not start") from None
        if error is not None:
            raise error
        return True

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def do(self, argument: Any, timeout_seconds: float) -> tuple[Any, Exception | None]:
        """Have a task done. One that takes longer is ended by a timer: sending and receiving have no timeout."""
        is_late = threading.Event()
        timer = threading.Timer(timeout_seconds, self._end_late, [is_late])
        timer.start()
        try:
            self._connection.send(argument)
            received: tuple[Any, Exception | None] = self._connection.recv()
        except (EOFError, OSError):
            if is_late.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            timer.join()
        if is_late.is_set():  # it was ended just after it had answered
            raise TimeoutError
        return received

    def _end_late(self, is_late: threading.Event) -> None:
        is_late.set()
        self._process.kill()

    def end(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.join()


def _run(connection: Connection, make: Callable[[], Work]) -> None:
    """Do what is asked for until the one who asks is gone."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which ends us after our task
    try:
        work = make()
    except RetrainError as error:
        connection.send((None, error))
        return
    connection.send((None, None))
    with suppress(EOFError, OSError):
        while True:
            argument = connection.recv()
            try:
                outcome: tuple[Any, Exception | None] = work(argument), None
            except Exception as error:  # belongs to whoever asked
                outcome = None, error
            connection.send(outcome)
