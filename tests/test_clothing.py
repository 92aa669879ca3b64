import csv
import runpy
import subprocess
import sys
import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "docs/measurements/clothing/arrange.py"
REAL = ROOT.parent / "shared/data"
SENDERS = {f"library/hat/{number}.jpg": str(number % 5) for number in range(100)}
arranging = runpy.run_path(str(SCRIPT))


def archive(path, members):
    with tarfile.open(path, "w") as tar:
        for name in members:
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, BytesIO(name.encode()))


@pytest.fixture
def shared(tmp_path):
    archive(tmp_path / "clothing.tar", [*(f"library/hat/{n}.jpg" for n in range(100)), "unlabelled/u.jpg"])
    archive(tmp_path / "out_of_scope.tar", [f"{n}.jpg" for n in range(100)])
    return tmp_path


def files(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.jpg")}


def test_every_picture_goes_to_one_destination_and_what_is_held_back_leaves_the_library(shared):
    held_back = {"hat/7.jpg": "difficult"}
    counts = arranging["arrange"](shared, shared / "target", SENDERS, held_back)
    found = files(shared / "target")
    assert Counter(found.values()).most_common(1)[0][1] == 1
    assert len(found) == sum(counts.values()) == 201
    assert found["benchmarks/difficult/hat/2_7.jpg"] == "library/hat/7.jpg"
    assert counts["benchmarks/difficult"] == 1
    assert 0 < counts["delivery"] < 25
    assert 30 < counts["benchmarks/out_of_scope"] < 70
    assert counts["unlabelled"] == 101 - counts["benchmarks/out_of_scope"]


def test_a_picture_s_destination_does_not_depend_on_the_others():
    first = arranging["clothing_destination"]("library/hat/1.jpg", "3", {})
    assert first == arranging["clothing_destination"]("library/hat/1.jpg", "3", {"hat/2.jpg": "difficult"})


def test_a_picture_that_is_to_be_held_back_and_is_not_there_is_refused_before_anything_is_written(shared):
    with pytest.raises(ValueError, match=r"held_back.csv names hat/none.jpg, which clothing.tar lacks"):
        arranging["arrange"](shared, shared / "target", SENDERS, {"hat/none.jpg": "difficult"})
    assert not (shared / "target").exists()


@pytest.mark.slow
def test_the_real_pictures_are_arranged_as_held_back_says(tmp_path):
    if not REAL.is_dir():
        pytest.skip(f"no real pictures at {REAL}")
    command = [sys.executable, str(SCRIPT), str(REAL), str(tmp_path / "clothing")]
    subprocess.run(command, check=True, capture_output=True)
    benchmarks = (tmp_path / "clothing/benchmarks").rglob("*.jpg")
    found = {
        (*path.parts[-3:-1], path.name.partition("_")[2]) for path in benchmarks if "out_of_scope" not in path.parts
    }
    with SCRIPT.with_name("held_back.csv").open(newline="") as file:
        assert found == {tuple(row.values()) for row in csv.DictReader(file)}
    library = {path.name.partition("_")[2] for path in (tmp_path / "clothing/library").rglob("*.jpg")}
    assert not library & {name for _, _, name in found}
