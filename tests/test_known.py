"""`make known` on a small repository: which pictures are here already, where, and under which label."""

import logging
import shutil

import numpy as np
import pytest
from conftest import ROOT
from pictures import draw, save
from PIL import Image
from repositories import run, surroundings, write

from intake import known
from runtime.errors import InputError
from stages import dedup, embed, fingerprint, merge, pretrained, shard
from stages.tables.embeddings import EMBEDDINGS

pytestmark = pytest.mark.slow
SIZE = (320, 240)
HEADER = "image_id,decision,value,on,why\n"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Eight pictures of two classes, one of a benchmark, one unlabelled; what the stages up to merge write."""
    folder = tmp_path_factory.mktemp("known")
    with surroundings(folder):
        run("git", "init", "--quiet")
        write(".dvc/config", "")
        shutil.copy(ROOT / "params.yaml", ".")
        for number in range(8):
            save(folder / f"data/library/{('bee', 'cow')[number % 2]}/{number}.png", number, SIZE)
        save(folder / "data/benchmarks/difficult/bee/8.png", 8, SIZE)
        save(folder / "data/unlabelled/9.png", 9, SIZE)
        write("data/classes.yaml", "merge: {cattle: [cow]}\n")
        for path in ("data/instructions.txt", "data/decisions/ana.csv"):
            write(path, HEADER if path.endswith("csv") else "")
        (folder / "data/base").mkdir()
        for stage in (pretrained, fingerprint, shard, embed, dedup, merge):
            stage.main()
        yield folder


@pytest.fixture
def said(repository, monkeypatch, caplog):
    """Ask about pictures; gives the lines that the command says."""

    def ask(*files):
        monkeypatch.setattr("sys.argv", ["known", "--files", " ".join(map(str, files))])
        caplog.clear()
        with caplog.at_level(logging.INFO, "intake.known"):
            known.main()
        return [record.getMessage() for record in caplog.records if record.name == "intake.known"]

    return ask


def test_each_file_is_named_with_what_it_is_known_as(repository, said, tmp_path):
    shutil.copy(repository / "data/library/bee/0.png", tmp_path / "0.png")
    draw(1, SIZE).save(tmp_path / "1.webp", lossless=True)
    draw(2, SIZE).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "2.jpg", quality=80)
    draw(8, SIZE).resize((200, 150)).save(tmp_path / "8.jpg")
    shutil.copy(repository / "data/unlabelled/9.png", tmp_path / "9.png")
    save(tmp_path / "new.png", 100, SIZE)
    (tmp_path / "odd.jpg").write_bytes(b"no picture")
    lines = [line.removeprefix(f"{tmp_path}/") for line in said(tmp_path)]
    assert lines[:6] == [
        "0.png: the same file as data/library/bee/0.png (bee)",
        "1.webp: the same pixels as data/library/cow/1.png (cow, a part of cattle)",
        "2.jpg: resembles data/library/bee/2.png (bee)",
        "8.jpg: resembles data/benchmarks/difficult/bee/8.png (bee)",
        "9.png: the same file as data/unlabelled/9.png (not labelled yet)",
        "new.png: new",
    ]
    assert lines[6].startswith("odd.jpg: cannot be read: ")
    assert lines[7:] == ["7 files: 5 known, 1 new, 1 unreadable"]


def test_a_turned_part_of_a_picture_is_known_by_what_the_network_sees(repository, said, tmp_path):
    part = draw(3, (640, 480)).rotate(8, Image.Resampling.BICUBIC).crop((90, 70, 550, 410))
    part.save(tmp_path / "part.png")
    assert "resembles data/library/cow/3.png" in said(tmp_path / "part.png")[0]


def test_what_somebody_removed_is_said_even_where_no_file_is_left(repository, said, tmp_path):
    save(tmp_path / "gone.png", 200, SIZE)
    image_id = known.md5_of_bytes((tmp_path / "gone.png").read_bytes())
    write("data/decisions/ana.csv", f"{HEADER}{image_id},remove,,2026-11-27T10:00:00.000Z,blurred\n")
    assert said(tmp_path / "gone.png")[0].endswith("gone.png: somebody decided to remove this file")


def test_a_picture_that_was_not_embedded_yet_is_still_compared(repository, said):
    rows, matrix = known.EMBEDDED.read(), np.load(EMBEDDINGS)
    path = repository / "data/library/bee/4.png"
    others = rows["image_id"] != known.md5_of_bytes(path.read_bytes())
    known.EMBEDDED.write(rows[others])
    np.save(EMBEDDINGS, matrix[others])
    assert said(path)[0].endswith("4.png: the same file as data/library/bee/4.png (bee)")
    known.EMBEDDED.write(rows)
    np.save(EMBEDDINGS, matrix)


def test_what_is_not_there_and_an_empty_folder_are_named(said, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="nothing.png is not there. Name pictures"):
        said(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="empty holds no files"):
        said(tmp_path / "empty")
    with pytest.raises(InputError, match="Name pictures, or folders of them"):
        said("")
    with pytest.raises(InputError, match="No closing quotation"):
        said("'a.png")
    with pytest.raises(InputError, match="photo_0.png is not there"):
        said(" ".join(f"photo_{number}.png" for number in range(100)))  # is longer than a path may be


def test_the_bits_of_a_hash_are_kept_beside_a_file_that_cannot_be_read(repository, said, monkeypatch, tmp_path):
    hashes = []
    monkeypatch.setattr(known, "_matches", lambda asked, params: hashes.append(asked["phash"].tolist()) or {})
    (tmp_path / "a.png").write_bytes(b"no picture")
    shutil.copy(repository / "data/library/bee/0.png", tmp_path / "b.png")
    said(tmp_path)
    rows = known.FINGERPRINTS.read().set_index("path")
    assert hashes == [[rows.loc["library/bee/0.png", "phash"]]]


def test_names_are_taken_as_a_shell_takes_them_and_a_file_twice_named_once(repository, said, tmp_path):
    for name in ("a picture.png", "b.png"):
        save(tmp_path / "my files" / name, 300, SIZE)
    assert said(tmp_path / "my files")[-1] == "2 files: 0 known, 2 new, 0 unreadable"
    assert said(f"'{tmp_path}/my files/a picture.png'", repository / "data/library/bee", repository / "data/library")[
        -1
    ] == ("9 files: 8 known, 1 new, 0 unreadable")
