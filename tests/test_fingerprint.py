import hashlib
import os

import pytest
from pictures import draw, save

from stages import fingerprint
from stages._errors import InputError
from stages.tables.fingerprints import FINGERPRINTS


def test_every_file_is_a_row_whatever_it_holds(workspace):
    save(workspace / "data/library/a b's “鳥”/1.png", 1)
    save(workspace / "data/benchmarks/hard/x/2.jpg", 2)
    (workspace / "data/unlabelled/note.jpg").write_text("hello")
    (workspace / "data/library/empty.png").touch()
    fingerprint.main()
    rows = FINGERPRINTS.read().set_index("path")
    assert list(rows.index) == sorted(rows.index)
    good = rows.loc["library/a b's “鳥”/1.png"]
    assert good["image_id"] == hashlib.md5((workspace / "data/library/a b's “鳥”/1.png").read_bytes()).hexdigest()
    assert (good["width"], good["height"], good["format"]) == (40, 30, "PNG")
    assert rows["error"].dropna().to_dict() == {
        "library/empty.png": "the file is empty",
        "unlabelled/note.jpg": "not a picture in one of the formats JPEG, PNG, WEBP, GIF, BMP, TIFF, AVIF",
    }


def test_a_broken_file_is_counted_and_named_in_the_log(workspace, caplog):
    caplog.set_level("INFO")
    draw(1).save(workspace / "data/library/whole.jpg")
    (workspace / "data/library/cut.jpg").write_bytes((workspace / "data/library/whole.jpg").read_bytes()[:-99])
    fingerprint.main()
    assert "data/library/cut.jpg cannot be read" in caplog.text
    assert "2 files in data/library, 0 files in data/benchmarks, 0 files in data/unlabelled; 1 cannot" in caplog.text


def test_a_file_name_that_is_not_utf_8_is_a_row_with_an_error(workspace):
    save(workspace / "data/library/good/1.png", 1)
    with open(os.fsencode(workspace / "data/library/good/") + b"\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    fingerprint.main()
    errors = FINGERPRINTS.read()["error"].dropna().tolist()
    assert errors == ["the file's name is not UTF-8: rename it"]


def test_an_empty_library_stops_the_stage_and_says_what_to_do(workspace):
    save(workspace / "data/unlabelled/1.png", 1)
    with pytest.raises(InputError, match=r"data/library holds no files\. Put a folder of pictures per sub-class there"):
        fingerprint.main()
