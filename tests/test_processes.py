"""Work in processes of their own: one that dies or hangs costs its task alone, and is started again."""

import os
import signal
import time

import pytest

from runtime.errors import InputError
from serving.processes import DiedError, Processes

pytestmark = pytest.mark.slow


def working():
    def work(task):
        if task == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if task == "hang":
            time.sleep(600)
        return 1 / task, os.getpid()

    return work


def refusing():
    raise InputError("there is no model")


def test_a_task_that_kills_or_hangs_costs_itself_alone():
    processes = Processes("work", working, timeout_seconds=2)
    futures = [processes.do(task) for task in (1, "die", 2, 0, "hang", 4)]
    results = [future.exception(60) or future.result()[0] for future in futures]
    processes.close()
    assert [results[0], results[2], results[5]] == [1, 0.5, 0.25]
    assert isinstance(results[1], DiedError)
    assert isinstance(results[3], ZeroDivisionError)
    assert "took longer than 2 s" in str(results[4])
    assert processes.restarts == 2


def test_one_that_is_killed_while_it_waits_costs_nothing():
    processes = Processes("work", working)
    (pid,) = processes.pids
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while processes.pids in ([], [pid]) and time.monotonic() < end:
        time.sleep(0.05)
    assert processes.do(2).result(60)[0] == 0.5
    processes.close()


def test_what_cannot_start_is_said_at_once():
    with pytest.raises(InputError, match="there is no model"):
        Processes("work", refusing)
