"""Work in processes of their own: one that dies or hangs costs its task alone, and is started again."""

import gc
import multiprocessing
import os
import resource
import signal
import struct
import threading
import time
from functools import partial
from multiprocessing.connection import Connection

import pytest

from runtime.errors import InputError
from serving import processes
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


class TwoWordsError(Exception):
    """Cannot be read from another process: it asks for more than it gives to Exception."""

    def __init__(self, first, second):
        super().__init__(first)


def raising():
    def work(task):
        if task == 2:
            raise TwoWordsError(1, 2)
        return task

    return work


def starting_while_there(path):
    """Start, or fail, or hang, as a file says."""
    words = path.read_text()
    if words == "fail":
        raise InputError("there is no model")
    if words == "hang":
        time.sleep(600)
    return working()


def answering_half():
    """Answer the first half of a message, and no more."""

    def work(_):
        (connection,) = (each for each in gc.get_objects() if isinstance(each, Connection))
        os.write(connection.fileno(), struct.pack("!i", 1000) + b"half")
        time.sleep(600)

    return work


def refusing():
    raise InputError("there is no model")


def test_a_task_that_kills_or_hangs_costs_itself_alone():
    running = Processes("work", working, timeout_seconds=15)
    futures = [running.do(task) for task in (1, "die", 2, 0, "hang", 4)]
    results = [future.exception(60) or future.result()[0] for future in futures]
    running.close()
    assert [results[0], results[2], results[5]] == [1, 0.5, 0.25]
    assert isinstance(results[1], DiedError)
    assert isinstance(results[3], ZeroDivisionError)
    assert "took longer than 15 s" in str(results[4])
    assert running.restarts == 2


def test_one_that_is_killed_while_it_waits_costs_nothing():
    running = Processes("work", working)
    (pid,) = running.pids
    os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while running.pids in ([], [pid]) and time.monotonic() < end:
        time.sleep(0.05)
    assert running.do(2).result(60)[0] == 0.5
    running.close()


def test_what_cannot_start_is_said_at_once():
    with pytest.raises(InputError, match="there is no model"):
        Processes("work", refusing)


@pytest.mark.parametrize("words", ["fail", "hang"])
def test_while_none_can_be_started_everybody_is_told_at_once_and_later_all_is_well(tmp_path, monkeypatch, words):
    path = tmp_path / "words"
    path.write_text("start")
    monkeypatch.setattr(processes, "_START_SECONDS", 20.0)
    running = Processes("work", partial(starting_while_there, path), timeout_seconds=1)
    path.write_text(words)
    running.do("die").exception(60)
    waiting = [running.do(number) for number in (1, 2)]  # before it is known that none starts
    why = ": there is no model" if words == "fail" else ""
    assert {str(each.exception(15)) for each in waiting} == {f"work does not start{why}"}
    assert running.pids == []
    assert str(running.do(3).exception(0)) == f"work does not start{why}"
    path.write_text("start")
    end, error = time.monotonic() + 120, DiedError()
    while error and time.monotonic() < end:
        time.sleep(0.2)
        error = running.do(4).exception(60)
    assert error is None
    running.close()


def test_what_cannot_start_can_be_closed(tmp_path):
    path = tmp_path / "words"
    path.write_text("start")
    running = Processes("work", partial(starting_while_there, path), timeout_seconds=1)
    path.write_text("fail")
    running.do("die").exception(60)
    running.do(1).exception(60)
    closing = threading.Thread(target=running.close, daemon=True)
    closing.start()
    closing.join(30)
    assert not closing.is_alive()


def test_an_error_that_cannot_be_read_costs_its_task_alone():
    running = Processes("work", raising)
    futures = [running.do(task) for task in (1, 2, 3)]
    assert isinstance(futures[1].exception(60), TypeError)
    assert [futures[0].result(60), futures[2].result(60)] == [1, 3]
    running.close()


def test_one_that_is_stopped_costs_a_large_task_alone():
    running = Processes("work", working, timeout_seconds=15)
    os.kill(running.pids[0], signal.SIGSTOP)
    sent = running.do(bytes(2**22))  # more than a pipe holds
    after = running.do(2)
    assert str(sent.exception(60)) == "work took longer than 15 s"
    assert after.result(60)[0] == 0.5
    running.close()


def test_half_an_answer_is_waited_for_no_longer_than_a_whole_one():
    running = Processes("work", answering_half, timeout_seconds=2)
    assert str(running.do(1).exception(60)) == "work took longer than 2 s"
    running.close()


def test_while_the_system_starts_no_process_everybody_is_told_and_later_all_is_well():
    running = Processes("work", working)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # which are open already
    try:
        running.do("die").exception(60)
        assert str(running.do(1).exception(60)) == "work does not start"
        with pytest.raises(DiedError, match="other does not start: .*Too many open files"):
            Processes("other", working)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    end, error = time.monotonic() + 60, DiedError()
    while error and time.monotonic() < end:
        time.sleep(0.2)
        error = running.do(4).exception(60)
    assert error is None
    running.close()


@pytest.mark.parametrize("words", ["fail", "hang"])
def test_a_start_that_fails_leaves_no_process(tmp_path, monkeypatch, words):
    path = tmp_path / "words"
    path.write_text(words)
    monkeypatch.setattr(processes, "_START_SECONDS", 2.0 if words == "hang" else 60.0)
    with pytest.raises((DiedError, InputError)):
        Processes("leftover", partial(starting_while_there, path), number=2)
    assert [each.pid for each in multiprocessing.active_children() if each.name == "leftover"] == []
