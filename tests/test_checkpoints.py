import logging
import os
from pathlib import Path
from threading import Event

import numpy as np
import pytest

from stages.training.checkpoints import DEFAULT_FOLDER, NUM_RUNS_KEPT, Checkpoints


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints("run", tmp_path)


def save(checkpoints, number):
    checkpoints.save(number, {"weights": np.full((2, 3), number, np.float32)}, [{"epoch": number, "loss": 0.1}])
    checkpoints.finish()


def test_what_was_saved_is_read_to_the_last_bit(checkpoints):
    arrays = {"a": np.array([0.1, np.pi], np.float64), "b": np.zeros((0, 4), np.float32), "c": np.array(7, np.int64)}
    checkpoints.save(1, arrays, [{"loss": 0.1 + 0.2}])
    read, state = checkpoints.latest()
    assert state == [{"loss": 0.1 + 0.2}]
    assert all(read[name].tobytes() == arrays[name].tobytes() for name in arrays)
    assert all(read[name].dtype == arrays[name].dtype for name in arrays)


def test_one_is_written_behind_training_as_everything_was_when_it_was_begun(checkpoints, monkeypatch):
    may_write, written = Event(), np.savez

    def slow(*arguments, **named):
        assert may_write.wait(60)
        written(*arguments, **named)

    monkeypatch.setattr(np, "savez", slow)
    state = {"history": [1]}
    checkpoints.save(1, {"weights": np.zeros(3)}, state)  # returns before anything is written
    state["history"].append(2)
    may_write.set()
    assert checkpoints.latest()[1] == {"history": [1]}


def test_what_could_not_be_written_is_said_before_the_next_one_is(checkpoints, tmp_path):
    save(checkpoints, 1)
    (tmp_path / "run/000000001").rename(tmp_path / "kept")
    (tmp_path / "run").rmdir()
    (tmp_path / "run").write_text("in the way")
    checkpoints.save(2, {"weights": np.zeros(3)}, [])
    with pytest.raises(OSError, match="run"):
        checkpoints.save(3, {"weights": np.zeros(3)}, [])


def test_there_is_none_before_the_first(checkpoints):
    assert checkpoints.latest() is None


def test_the_newest_is_read_and_two_are_kept(checkpoints, tmp_path):
    for number in (1, 2, 9, 10):
        save(checkpoints, number)
    assert checkpoints.latest()[1][0]["epoch"] == 10
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["000000009", "000000010"]


@pytest.mark.parametrize("name", ["arrays.npz", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone"])
def test_a_damaged_newest_one_gives_way_to_the_one_before_and_the_log_says_so(
    checkpoints, tmp_path, caplog, name, damage
):
    save(checkpoints, 1)
    save(checkpoints, 2)
    path = tmp_path / "run/000000002" / name
    data = path.read_bytes()
    middle = len(data) // 2
    contents = {
        "cut": data[:middle],
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "empty": b"",
    }
    path.unlink() if damage == "gone" else path.write_bytes(contents[damage])
    with caplog.at_level(logging.WARNING):
        assert checkpoints.latest()[1][0]["epoch"] == 1
    assert "000000002 is damaged" in caplog.text


def test_one_that_was_being_written_does_not_count(checkpoints, tmp_path):
    save(checkpoints, 1)
    (tmp_path / "run/000000002.partial").mkdir()
    assert checkpoints.latest()[1][0]["epoch"] == 1
    save(checkpoints, 2)
    assert checkpoints.latest()[1][0]["epoch"] == 2


def test_a_pickle_is_never_read(checkpoints, tmp_path):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    checkpoints.save(1, {"weights": np.array([Harmful()], object)}, [])
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        checkpoints.finish()
    assert checkpoints.latest() is None
    assert not (tmp_path / "ran").exists()


def test_removing_leaves_those_of_other_runs(checkpoints, tmp_path):
    save(checkpoints, 1)
    other = Checkpoints("other", tmp_path)
    save(other, 1)
    checkpoints.remove()
    assert checkpoints.latest() is None
    assert other.latest() is not None


def test_runs_abandoned_longest_ago_are_dropped(tmp_path):
    for number in range(NUM_RUNS_KEPT + 2):
        save(Checkpoints(f"run{number}", tmp_path), 1)
        os.utime(tmp_path / f"run{number}", (number, number))
    save(Checkpoints("now", tmp_path), 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["now", "run3", "run4"]


def test_they_stand_where_the_environment_says_else_among_dvcs_temporary_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RETRAIN_CHECKPOINTS", raising=False)
    save(Checkpoints("run"), 1)
    assert (tmp_path / DEFAULT_FOLDER / "run/000000001/arrays.npz").is_file()
    monkeypatch.setenv("RETRAIN_CHECKPOINTS", str(tmp_path / "elsewhere"))
    save(Checkpoints("run"), 1)
    assert (tmp_path / "elsewhere/run/000000001").is_dir()
