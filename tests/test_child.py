"""A process that must not outlive the one that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

# Stands for DVC: says which process it is, and whether it has a child, and sleeps.
MODULE = """
import os, subprocess, sys, time
from pathlib import Path

started = [subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])] if "parent" in sys.argv else []
Path("numbers.partial").write_text(" ".join(map(str, [os.getpid(), *(each.pid for each in started)])))
Path("numbers.partial").rename("numbers")
time.sleep(60)
"""
OWN_GROUP = "subprocess.run(child.command_of('dvc', 'parent'), stdin=parent, process_group=0)"
SAME_GROUP = "subprocess.run(child.command_of('dvc'), stdin=parent)"
PARENT = "import subprocess\nfrom runtime import child\nwith child.tied() as parent:\n    "
ADD = "from runtime import repository\nrepository.mend_cut_off_files = lambda: None\nrepository.dvc_add(['folder'])"


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (PARENT + SAME_GROUP, signal.SIGKILL),
        (PARENT + OWN_GROUP, signal.SIGKILL),
        ("import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n" + PARENT + OWN_GROUP, signal.SIGKILL),
        (ADD, signal.SIGKILL),
        (ADD, signal.SIGTERM),
        (ADD, signal.SIGINT),
    ],
)
def test_it_ends_when_its_parent_is_killed(tmp_path, code, number):
    (tmp_path / "dvc.py").write_text(MODULE)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL, start_new_session=True
    )
    numbers = [int(text) for text in eventually((tmp_path / "numbers").read_text).split()]
    process.send_signal(number)
    process.wait()
    assert eventually(lambda: not any(map(is_alive, numbers)) or None)


def eventually(ask, seconds=20):
    """Ask until there is an answer."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if (answer := ask()) is not None:
                return answer
        except FileNotFoundError:
            pass
        time.sleep(0.02)
    raise AssertionError("no answer")


def is_alive(number):
    """Say whether a process runs; one that has ended may stay listed until it is waited for."""
    try:
        return ") Z " not in Path(f"/proc/{number}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
