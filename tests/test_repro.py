"""`make repro` as a user meets it: our lines on the terminal, everybody's in the log, and one message on failure."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import repositories
from conftest import ROOT
from test_child import eventually

from runtime.command import INTERRUPTED
from runtime.terminal import LOG

pytestmark = pytest.mark.slow

STAGE = """\
import logging, os, sys, time, warnings
from pathlib import Path
from runtime.command import run
from runtime.errors import InputError
from runtime.progress import progress

def main():
    os.write(1, b"noise: C++ on 1\\n")
    os.write(2, b"noise: C++ on 2\\n")
    print("noise: print")
    logging.getLogger("tensorflow").warning("noise: a library's logger")
    warnings.warn("noise: a warning")
    logging.getLogger(__name__).info("noisy: reads 3 pictures")
    try:
        logging.getLogger("stages.training.fit").warning("noisy: a shared module's line")
        for _ in progress(range(3), total=3, what="pictures"):
            time.sleep(SECONDS)
    finally:
        Path("undone").touch()
    END
    Path("out.txt").write_text("done")
    logging.getLogger(__name__).info("noisy: done")

if __name__ == "__main__":
    run(main)
"""
OURS = ["noisy: reads 3 pictures", "noisy: a shared module's line", "noisy: done"]
PIPELINE = f"stages: {{noisy: {{cmd: {sys.executable} -m noisy, deps: [noisy.py], outs: [out.txt]}}}}\n"
COMMAND = [sys.executable, "-m", "runtime.repro"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in a Git and DVC repository of one stage."""
    folder = tmp_path / "clone"
    folder.mkdir()
    with repositories.surroundings(folder):
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        monkeypatch.setenv("SHELL", "/bin/sh")
        repositories.run("git", "init", "--quiet")
        repositories.write(".dvc/config", "[core]\n    analytics = false\n")
        repositories.write(".dvc/.gitignore", "/tmp\n/cache\n")  # noqa: S108
        repositories.write("dvc.yaml", PIPELINE)
        repositories.run("git", "commit", "--quiet", "--allow-empty", "--message", "Begin")
        yield folder


def write_stage(end: str = "", seconds: float = 0.0) -> None:
    repositories.write("noisy.py", STAGE.replace("END", end).replace("SECONDS", str(seconds)))


def repro(*arguments: str) -> tuple[int, list[str]]:
    """Run the command without a terminal, and give its exit status and its lines."""
    done = subprocess.run([*COMMAND, *arguments], capture_output=True, encoding="utf-8", check=False)
    assert done.stdout == ""
    return done.returncode, done.stderr.splitlines()


def test_our_lines_are_on_the_terminal_and_all_lines_are_in_the_log(folder):
    write_stage()
    status, lines = repro()
    assert status == 0
    assert lines[1:] == [*OURS, "repro: 1 stage ran, 0 did not change"]
    log = LOG.read_text()
    for words in (
        *OURS,
        "C++ on 1",
        "C++ on 2",
        "noise: print",
        "library's logger",
        "a warning",
        "Running stage 'noisy'",
    ):
        assert words in log

    assert repro() == (0, [lines[0], "repro: nothing to do, 1 stage did not change"])
    Path("out.txt").unlink()
    Path("dvc.lock").unlink()
    assert repro()[1][1:] == ["repro: 0 stages ran, 1 stage came from the run cache, 0 did not change"]


def test_what_a_user_can_mend_is_one_message_and_the_log_is_named(folder):
    write_stage('raise InputError("no pictures: put some there")')
    status, lines = repro("noisy")
    assert status == 1
    assert lines[3:] == ["error: no pictures: put some there", f"repro: stopped. All lines of the run are in {LOG}"]


def test_a_repository_without_a_commit_is_refused_before_any_work(folder):
    repositories.run("git", "update-ref", "-d", "HEAD")
    write_stage()
    status, lines = repro()
    assert status == 1
    assert "no commit yet" in lines[0]
    assert not Path("out.txt").exists()


def test_a_bug_of_ours_is_one_message_and_its_traceback_is_in_the_log(folder):
    write_stage("1 // 0")
    status, lines = repro()
    assert status == 1
    assert lines[3].startswith("error: ZeroDivisionError: ")
    assert str(LOG) in lines[3]
    assert "Traceback (most recent call last)" in LOG.read_text()


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        (PIPELINE, "failed to run"),  # the stage is killed, as when memory is full
        ("stages: [", "dvc.yaml"),
    ],
)
def test_what_no_message_of_ours_explains_shows_how_the_log_ends(folder, pipeline, words):
    write_stage("os.kill(os.getpid(), 9)")
    Path("dvc.yaml").write_text(pipeline)
    status, lines = repro()
    assert status == 1
    message = "\n".join(lines)
    assert f"error: `dvc repro` failed. The last lines of {LOG}:\n    " in message
    assert words in message
    assert len(lines) < 20


def test_what_is_written_to_a_file_is_not_overwritten(folder):
    write_stage()
    with Path("file").open("w") as file:
        print("before", file=file, flush=True)
        subprocess.run(COMMAND, stderr=file, check=True)
        print("after", file=file, flush=True)
    lines = Path("file").read_text().splitlines()
    assert [lines[0], *lines[2:5], lines[-1]] == ["before", *OURS, "after"]


def on_a_terminal(keys: bytes = b"") -> tuple[int, str]:
    """Run the command on a terminal, type `keys` when the stage has begun, and give the status and what appeared."""
    process, terminal = pty.fork()
    if not process:
        os.execv(sys.executable, COMMAND)  # noqa: S606
    words = b""
    while True:
        try:
            words += os.read(terminal, 1 << 16)
        except OSError:  # every process that had it has ended
            break
        if keys and b"shared module" in words:
            os.write(terminal, keys)
            keys = b""
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), words.decode()


def test_a_terminal_shows_a_bar_and_no_noise(folder):
    write_stage(seconds=0.7)
    status, words = on_a_terminal()
    assert status == 0
    assert "noisy: 1 of 3 pictures" in words
    assert "noise" not in words
    assert "?" not in words


def test_ctrl_c_reaches_the_stage_once_and_the_run_can_go_on(folder):
    write_stage('Path("after").touch()', seconds=20.0)
    status, words = on_a_terminal(b"\x03")
    assert status == INTERRUPTED
    assert "repro: interrupted" in words
    assert "Traceback" not in words
    assert not Path("after").exists()
    write_stage()
    assert repro()[0] == 0


def test_a_command_that_is_paused_goes_on(folder):
    write_stage(seconds=1.0)
    with subprocess.Popen(COMMAND, stderr=subprocess.PIPE, encoding="utf-8") as process:
        while "shared module" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGTSTP)
        assert os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1])
        process.send_signal(signal.SIGCONT)
        assert process.communicate(timeout=60)[1].splitlines()[-1] == "repro: 1 stage ran, 0 did not change"
    assert process.returncode == 0


def test_a_stage_ends_when_the_command_is_killed(folder):
    write_stage('Path("after").touch()', seconds=20.0)
    process = subprocess.Popen(COMMAND, stderr=subprocess.PIPE, encoding="utf-8")
    while "shared module" not in process.stderr.readline():
        pass
    process.kill()
    process.stderr.close()
    process.wait()
    eventually(lambda: Path("undone").exists() or None)
    assert not Path("after").exists()


def test_plain_dvc_repro_shows_everything_and_leaves_no_log(folder):
    write_stage()
    done = subprocess.run([sys.executable, "-m", "dvc", "repro"], capture_output=True, encoding="utf-8", check=True)
    assert "Running stage 'noisy'" in done.stdout
    assert [line for line in done.stderr.splitlines() if line.startswith("noisy: ")] == OURS
    assert "C++ on 2" in done.stderr
    assert not LOG.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_the_command_ends_the_stage_as_ctrl_c_does(folder, number):
    write_stage('Path("after").touch()', seconds=20.0)
    process = subprocess.Popen(COMMAND, stderr=subprocess.PIPE, encoding="utf-8")
    while "shared module" not in process.stderr.readline():
        pass
    process.send_signal(number)
    words = process.communicate(timeout=60)[1]
    assert process.returncode == 128 + number
    assert "repro: interrupted. `make repro` goes on" in words
    assert Path("undone").exists()
    assert not Path("after").exists()
