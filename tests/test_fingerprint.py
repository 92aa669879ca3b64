import hashlib
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pictures import draw, save

from runtime import identity
from runtime.errors import InputError
from stages import fingerprint
from stages.memos import file_memo
from stages.tables.fingerprints import FINGERPRINTS


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


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
    assert "2 files in data/library, 0 files in data/benchmarks, 0 files in data/unlabelled" in caplog.text
    assert "1 fingerprint taken; 1 file cannot be read" in caplog.text


def test_a_file_name_that_is_not_utf_8_is_a_row_with_an_error(workspace):
    save(workspace / "data/library/good/1.png", 1)
    with open(os.fsencode(workspace / "data/library/good/") + b"\xff.png", "wb") as file:  # noqa: PTH123
        file.write(b"x")
    fingerprint.main()
    errors = FINGERPRINTS.read()["error"].dropna().tolist()
    assert errors == ["the file's name is not UTF-8: rename it"]


@pytest.mark.parametrize(
    "name", [".DS_Store", "._1.png", "Thumbs.db", "desktop.ini", ".thumbnails/1.png", "@eaDir/1.png", "1.png~"]
)
@pytest.mark.parametrize("folder", ["library/boot", "benchmarks", "benchmarks/hard", "unlabelled"])
def test_what_file_managers_leave_is_no_row_and_is_named(workspace, caplog, folder, name):
    caplog.set_level("INFO")
    save(workspace / "data/library/boot/0.png", 1)
    litter = workspace / "data" / folder / name
    litter.parent.mkdir(parents=True, exist_ok=True)
    draw(2).save(litter, "PNG")
    fingerprint.main()
    assert FINGERPRINTS.read()["path"].tolist() == ["library/boot/0.png"]
    assert f"1 file of file managers or editors ignored: data/{folder}/{name}" in caplog.text


def test_a_pipe_and_a_link_to_a_device_are_rows_with_an_error_and_never_opened(workspace):
    save(workspace / "data/library/boot/0.png", 1)
    os.mkfifo(workspace / "data/library/boot/pipe.png")
    (workspace / "data/library/boot/zero.png").symlink_to("/dev/zero")
    fingerprint.main()
    rows = FINGERPRINTS.read().dropna(subset="error")
    assert rows["path"].tolist() == ["library/boot/pipe.png", "library/boot/zero.png"]
    assert set(rows["error"]) == {fingerprint.NO_FILE}


def test_an_empty_library_stops_the_stage_and_says_what_to_do(workspace):
    save(workspace / "data/unlabelled/1.png", 1)
    with pytest.raises(InputError, match=r"data/library holds no files\. Put a folder of pictures per sub-class there"):
        fingerprint.main()


@pytest.fixture
def decoded(monkeypatch):
    """What was decoded since, as `data` in order."""
    seen = []
    plain = fingerprint.fingerprint
    monkeypatch.setattr(fingerprint, "fingerprint", lambda data, limit: (seen.append(data), plain(data, limit))[1])
    return seen


def table():
    fingerprint.main()
    return Path(FINGERPRINTS.path).read_bytes()


def age(folder, seconds=100):
    """Make a folder's files so old that the memo trusts their times; only the time of modification can be set."""
    for path in folder.rglob("*.*"):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - seconds))


@pytest.fixture
def library(workspace, monkeypatch):
    monkeypatch.setattr(file_memo, "_RACY_NS", -(10**12))  # a test cannot wait until its files are old
    for number in range(5):
        save(workspace / f"data/library/boot/{number}.png", number)
    (workspace / "data/library/boot/cut.jpg").write_bytes(b"\xff\xd8\xff")
    return workspace / "data/library"


def test_nothing_is_opened_twice_while_its_path_and_stamp_are_the_same(library, decoded, monkeypatch):
    first = table()
    assert len(decoded) == 6
    monkeypatch.setattr(fingerprint, "read", pytest.fail)
    assert table() == first


def test_what_was_touched_moved_or_copied_is_read_and_not_decoded(library, decoded):
    table()
    decoded.clear()
    age(library)
    (library / "boot/0.png").rename(library / "boot/moved.png")
    (library / "shoe").mkdir()
    shutil.copy(library / "boot/1.png", library / "shoe/copy.png")
    remembered = table()
    assert decoded == []
    shutil.rmtree(".dvc")
    assert table() == remembered


def test_a_change_that_leaves_size_and_time_of_modification_is_seen(library):
    table()
    path = library / "boot/cut.jpg"
    before = path.stat()
    path.write_bytes(b"\xff\xd8\xfe")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    table()
    assert FINGERPRINTS.read().set_index("path").loc["library/boot/cut.jpg", "image_id"] == md5(b"\xff\xd8\xfe")


def test_no_time_and_no_inode_is_too_large(library):
    os.utime(library / "boot/0.png", (1.1e10, 1.1e10))  # in the year 2318, when nanoseconds outgrow 63 bits
    assert table() == table()
    status = SimpleNamespace(st_size=1, st_mtime_ns=2**70, st_ctime_ns=2**70, st_ino=2**64 - 1)
    assert max(file_memo.stamp_of(status)) == 2**63 - 1


def test_a_broken_link_is_a_row_with_an_error_each_time(library):
    (library / "boot/gone.jpg").symlink_to("nowhere.jpg")
    assert table() == table()
    assert FINGERPRINTS.read().set_index("path").loc["library/boot/gone.jpg", "error"] == "No such file or directory"


def test_the_times_of_a_file_that_was_just_changed_are_not_trusted(library, monkeypatch):
    monkeypatch.setattr(file_memo, "_RACY_NS", 2 * 10**9)
    table()
    read = []
    plain = fingerprint.read
    monkeypatch.setattr(fingerprint, "read", lambda wanted, **rest: (read.append(wanted), plain(wanted, **rest))[1])
    table()
    assert len(read) == 6


def test_another_version_of_the_code_or_another_limit_knows_nothing(library, decoded, monkeypatch):
    table()
    Path("params.yaml").write_text(Path("params.yaml").read_text().replace("max_pixels: 100000000", "max_pixels: 99"))
    table()
    assert len(decoded) == 12
    monkeypatch.setattr(identity, "_version", lambda package: "99")
    table()
    assert len(decoded) == 18


def test_the_memos_of_few_versions_are_kept(library, monkeypatch):
    for number in range(6):
        monkeypatch.setattr(identity, "_version", lambda package, number=number: str(number))
        table()
    assert len(list(Path(".dvc/tmp/retrain/memo/fingerprints").iterdir())) == file_memo.NUM_KEPT


def test_a_memo_that_cannot_be_written_is_said_and_costs_nothing_else(library, monkeypatch, caplog):
    first = table()
    Path("file").touch()
    monkeypatch.setenv("RETRAIN_MEMO", "file")
    assert table() == first
    assert "memo: cannot be kept in file/fingerprints" in caplog.text


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.integers(0, 3), st.integers(0, 3)),
            st.tuples(st.sampled_from(["delete", "age", "lose", "damage"]), st.integers(0, 3), st.integers(0, 10**6)),
        ),
        max_size=8,
    )
)
def test_whatever_happens_to_files_and_memo_the_table_is_that_of_a_first_run(library, steps):
    names = [library / f"boot/{number}.png" for number in range(4)]
    for step, number, value in steps:
        if step == "write":
            save(names[number], value)
        elif step == "delete":
            names[number].unlink(missing_ok=True)
        elif step == "age":
            age(library, value)
        for memo in Path(".dvc/tmp/retrain/memo/fingerprints").glob("*"):
            if step == "lose":
                memo.unlink()
            elif step == "damage":
                data = bytearray(memo.read_bytes())
                data[value % len(data)] ^= 1 << number
                memo.write_bytes(data)
        remembered = table()
    remembered = table()
    shutil.rmtree(".dvc")
    assert table() == remembered


def reading_that_adds(monkeypatch, names):
    """Let a picture arrive after each reading, as long as there are names."""
    pending = list(names)
    over = fingerprint.over

    def slow(function, items, **options):
        yield from over(function, items, **options)
        if pending:
            save(Path("data/library/late", pending.pop()), len(pending))

    monkeypatch.setattr(fingerprint, "over", slow)


def test_a_picture_that_arrives_while_others_are_read_is_read_too(library, monkeypatch, caplog):
    reading_that_adds(monkeypatch, ["late.png"])
    with caplog.at_level("INFO"):
        fingerprint.main()
    assert "library/late/late.png" in set(FINGERPRINTS.read()["path"])
    assert "reads again, since files changed meanwhile: library/late/late.png" in caplog.text


def test_folders_that_do_not_come_to_rest_stop_the_run(library, monkeypatch):
    reading_that_adds(monkeypatch, [f"{number}.png" for number in range(9)])
    with pytest.raises(InputError, match=r"files below data/ change while they are read: library/late/\d\.png"):
        fingerprint.main()


def test_a_file_of_terabytes_is_a_row_with_an_error_and_is_not_read(workspace):
    save(workspace / "data/library/boot/0.png", 0)
    path = workspace / "data/library/boot/huge.jpg"
    path.touch()
    os.truncate(path, 2**40)
    fingerprint.main()
    rows = FINGERPRINTS.read().set_index("path")
    assert rows.loc["library/boot/huge.jpg", "error"] == "larger than any picture: more than 1,073,741,824 bytes"
    assert rows["error"].isna().sum() == 1
