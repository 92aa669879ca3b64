import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT

from stages.shards.decoded import DEFAULT_FOLDER, DecodedPictures

PICTURE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
DISK = shutil.disk_usage("/")


@pytest.fixture
def decoded(tmp_path):
    with DecodedPictures(["a", "b"], PICTURE.nbytes, tmp_path) as decoded:
        yield decoded


def loaded(decoded, image_id):
    pixels = np.zeros_like(PICTURE)
    return pixels if decoded.load(image_id, pixels) else None


def test_what_was_stored_is_loaded(decoded):
    assert loaded(decoded, "b") is None
    decoded.store("b", PICTURE)
    decoded.store("a", 255 - PICTURE)
    assert np.array_equal(loaded(decoded, "b"), PICTURE)
    assert np.array_equal(loaded(decoded, "a"), 255 - PICTURE)


def test_a_picture_that_has_no_place_is_not_kept(decoded):
    decoded.store("c", PICTURE)
    assert loaded(decoded, "c") is None


def test_a_flipped_bit_is_found_and_the_picture_can_be_stored_again(decoded, caplog):
    decoded.store("a", PICTURE)
    decoded.store("b", PICTURE)
    os.pwrite(decoded._file.fileno(), b"\x02", 1 + PICTURE.nbytes)
    assert loaded(decoded, "b") is None
    assert "decoded picture b in" in caplog.text
    assert loaded(decoded, "a") is not None
    decoded.store("b", PICTURE)
    assert np.array_equal(loaded(decoded, "b"), PICTURE)


def test_nothing_is_left_when_it_ends_even_by_a_kill(tmp_path):
    program = (
        "import numpy, sys, time; from pathlib import Path; from stages.shards.decoded import DecodedPictures\n"
        "with DecodedPictures(['a'], 48, Path(sys.argv[1])) as decoded:\n"
        "    decoded.store('a', numpy.ones((4, 4, 3), numpy.uint8)); print('stored', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"stored\n"
        process.send_signal(signal.SIGKILL)
    assert not list(tmp_path.iterdir())


def test_a_tenth_of_the_disk_stays_free_and_the_log_says_what_is_needed(tmp_path, monkeypatch, caplog):
    usage = DISK._replace(total=1_000_000_000, free=102_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with DecodedPictures(["a", "b"], 1_000_000, tmp_path) as decoded:
        decoded.store("a", np.ones(1_000_000, np.uint8))
        assert decoded.load("a", np.empty(1_000_000, np.uint8))
    assert not caplog.text
    with DecodedPictures(["a", "b"], 1_000_001, tmp_path) as decoded:
        decoded.store("a", np.ones(1_000_001, np.uint8))
        assert not decoded.load("a", np.empty(1_000_001, np.uint8))
    assert "no room for 2 decoded pictures: they take 2 MB, 2 MB may be used" in caplog.text
    assert "RETRAIN_DECODED names a folder on another disk" in caplog.text


@pytest.mark.parametrize("call", ["posix_fallocate", "pwrite", "preadv"])
def test_a_disk_that_fails_costs_the_pictures_that_were_kept_and_not_the_run(tmp_path, monkeypatch, caplog, call):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with DecodedPictures(["a"], PICTURE.nbytes, tmp_path) as decoded:
        decoded.store("a", PICTURE)
        assert loaded(decoded, "a") is None
        assert loaded(decoded, "a") is None
    assert caplog.text.count("keeps no decoded pictures ([Errno 28] No space left on device)") == 1


def test_it_stands_where_the_environment_says_else_among_dvcs_temporary_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for value, folder in ((None, DEFAULT_FOLDER), ("elsewhere", "elsewhere")):
        monkeypatch.delenv("RETRAIN_DECODED", raising=False)
        if value is not None:
            monkeypatch.setenv("RETRAIN_DECODED", value)
        with DecodedPictures(["a"], PICTURE.nbytes) as decoded:
            decoded.store("a", PICTURE)
            assert Path(folder).is_dir()
            assert loaded(decoded, "a") is not None


def test_an_empty_name_in_the_environment_keeps_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RETRAIN_DECODED", "")
    with DecodedPictures(["a"], PICTURE.nbytes) as decoded:
        decoded.store("a", PICTURE)
        assert loaded(decoded, "a") is None
    assert not list(tmp_path.iterdir())
