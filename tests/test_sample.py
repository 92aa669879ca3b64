import hashlib
import re
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from sample.write import write
from stages._errors import InputError


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample") / "data"
    write(folder)
    return folder


def test_the_sample_is_the_same_bytes_every_time(written, tmp_path):
    write(tmp_path / "data")
    assert digests(tmp_path / "data") == digests(written)


def test_the_instructions_are_those_that_git_has(written):
    for name in ("classes.yaml", "confused.csv", "decisions/ana.csv", "decisions/ben.csv"):
        assert (written / name).read_text() == (ROOT / "data" / name).read_text()


def test_the_sample_holds_what_its_dvc_files_say(written):
    for name in ("library", "benchmarks", "unlabelled"):
        recorded = yaml.safe_load((ROOT / f"data/{name}.dvc").read_text())["outs"][0]
        assert recorded["nfiles"] == len(digests(written / name))
        assert recorded["size"] == sum(path.stat().st_size for path in (written / name).rglob("*") if path.is_file())


def test_one_class_is_just_too_small_and_its_members_stand_among_the_unlabelled(written):
    counts = Counter(path.split("/")[0] for path in digests(written / "library"))
    assert counts["flower"] == 37
    assert sum(path.startswith("flower") for path in digests(written / "unlabelled")) == 8


def test_a_library_that_is_there_already_is_not_overwritten(written):
    before = digests(written)
    with pytest.raises(InputError, match="is there already, and the sample overwrites nothing"):
        write(written)
    assert digests(written) == before


@pytest.mark.parametrize("name", ["library", "benchmarks", "unlabelled", "base"])
def test_where_git_names_pictures_of_another_library_the_sample_is_not_written(tmp_path, name):
    for own in ("library", "benchmarks", "unlabelled", "base"):
        shutil.copy(ROOT / f"data/{own}.dvc", tmp_path)
    theirs = tmp_path / f"{name}.dvc"
    theirs.write_text(re.sub("md5: [0-9a-f]+", "md5: 0123456789abcdef0123456789abcdef", theirs.read_text()))
    before = digests(tmp_path)
    with pytest.raises(InputError, match=rf"{name} is not here, and .*{name}.dvc says .*`dvc pull` fetches"):
        write(tmp_path)
    assert digests(tmp_path) == before
    assert all(path.is_file() for path in tmp_path.iterdir())


def test_where_git_names_the_sample_it_is_written(tmp_path, written):
    for name in ("library", "benchmarks", "unlabelled", "base"):
        shutil.copy(ROOT / f"data/{name}.dvc", tmp_path)
    write(tmp_path)
    assert {path: digest for path, digest in digests(tmp_path).items() if not path.endswith(".dvc")} == digests(written)
