"""Progress of long work: nothing is estimated before it can be, and a log has whole lines."""

import io
import logging

import pytest

from runtime import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("done", "seconds", "words"),
    [
        (0, 30.0, ""),
        (5, 0.2, ""),
        (50, 10.0, ", 10 s left"),
        (10, 10.0, ", 1 min left"),
        (1, 100.0, ", 2 h 45 min left"),
        (100, 7.0, ", 0 s left"),
    ],
)
def test_an_estimate_is_in_whole_numbers_and_only_where_there_is_one(done, seconds, words):
    assert progress.estimate(done, 100, seconds) == words


def test_a_log_gets_a_line_at_each_interval(monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(progress, "command_name", lambda: "train")
    assert list(progress.progress(iter("abcdefg"), total=7, what="steps")) == list("abcdefg")
    assert caplog.messages == ["train: 2 of 7 steps, 30 s left", "train: 5 of 7 steps, 10 s left"]


def test_a_terminal_gets_a_bar_that_goes_when_work_is_done(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(progress, "terminal", lambda: terminal)
    monkeypatch.setattr(progress, "command_name", lambda: "train")
    monkeypatch.setattr(progress, "DELAY", 0.0)
    assert list(progress.progress(range(2000), total=2000, what="steps")) == list(range(2000))
    assert "train: 0 of 2,000 steps" in terminal.getvalue()
    assert "?" not in terminal.getvalue()
    assert terminal.getvalue().rpartition("\r")[2].strip() == ""
