"""A command as a user meets it: one message and exit status 1 where they can mend it, and never a traceback."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from backends import run_on
from conftest import ROOT
from pictures import save

from runtime.command import run
from runtime.errors import InputError


def stage(name: str) -> subprocess.CompletedProcess[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    command = [sys.executable, "-m", f"stages.{name}"]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=False)


def test_what_a_user_can_mend_is_one_message_and_status_1(capsys):
    def main():
        raise InputError("no pictures: put some there")

    with pytest.raises(SystemExit, match="1"):
        run(main)
    assert capsys.readouterr().err == "error: no pictures: put some there\n"


def test_a_bug_of_ours_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run(lambda: 1 // 0)


@pytest.mark.slow
def test_where_jax_finds_no_library_of_tpus_nobody_is_told():
    done = run_on("jax", "-c", "import jax; from runtime.command import run; run(jax.devices)")
    assert (done.returncode, done.stdout) == (0, "")
    assert "tpu" not in done.stderr.lower()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (
            "data/classes.yaml",
            "merge:\n  feline: [lion]\n",
            "data/classes.yaml, line 2: there is no folder data/library/",
        ),
        (
            "data/classes.yaml",
            "merge:\n  a: [кот]\n  b: [кот]\n",
            "data/classes.yaml, line 3: кот is named under a alr",
        ),
        (
            "data/decisions/ana.csv",
            "image_id,decision,value,on,why\nx,keep,,now,\n",
            "data/decisions/ana.csv, line 2: ",
        ),
        ("params.yaml", "dedup: {distance: 40}\n", "dedup.distance: input should be less than or equal to 20, got 40"),
    ],
)
def test_a_broken_instruction_stops_the_command_before_any_work(workspace, file, text, words):
    save(workspace / "data/library/кот/1.png", 1)
    assert stage("fingerprint").returncode == 0
    Path(file).write_text(text, encoding="utf-8")
    done = stage("dedup")
    assert (done.returncode, done.stdout) == (1, "")
    (message,) = done.stderr.splitlines()
    assert message.startswith("error: ")
    assert words in message
    assert not Path("data/duplicates.parquet").exists()


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "data/x/table.parquet"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        OSError("Unable to write file (errno = 28, error message = 'No space left on device')"),
    ],
)
def test_a_full_disk_is_one_sentence_wherever_it_is_met(capsys, error, workspace):
    def main():
        try:
            raise error
        except OSError as cause:
            raise ValueError("the writer's own words") from cause

    with pytest.raises(SystemExit) as ended:
        run(main)
    assert ended.value.code == 1
    assert "error: the disk is full" in capsys.readouterr().err
