"""The log: what was said to be kept is kept, however the gateway ends."""

import os
import signal
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from gateways import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InputError
from serving import pictures as pictures_module
from serving import transactions
from serving.log import Log
from serving.pictures import Pictures, image_id_of
from serving.reading import open_place
from serving.transaction_id import new_id, time_of


def keep(log: Log, pictures: Pictures, data: bytes) -> str:
    """Keep a transaction as the gateway does: picture, row under way, row answered."""
    transaction, image_id = new_id(), image_id_of(data)
    with pictures.in_use(image_id):
        pictures.store(data)
        row = {"transaction_id": transaction, "image_id": image_id, "status": "under_way"}
        log.do(partial(transactions.insert, row=row))
        log.do(partial(transactions.update, transaction=transaction, changes={"status": "answered"})).result()
    return transaction


def keep_until_killed(folder: Path, seed: int, said: int) -> None:
    """Keep transactions from four threads, and say each one when it is kept."""
    log, pictures = Log(folder), Pictures(folder / "pictures")

    def work(thread: int) -> None:
        for number in range(10**6):
            transaction = keep(log, pictures, f"{seed} {thread} {number % 5}".encode())
            os.write(said, transaction.encode() + b"\n")

    threads = [threading.Thread(target=work, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def said_before_death(folder: Path, seed: int, enough: int) -> list[str]:
    """Let a process keep transactions, kill it once it has said a few, and give all that it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            keep_until_killed(folder, seed, writer)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as lines:
        said = [lines.readline().strip() for _ in range(enough)]
        os.kill(child, signal.SIGKILL)
        said += lines.read().split()
    os.waitpid(child, 0)
    return [each for each in said if len(each) == 36]


@settings(max_examples=10)
@given(kills=st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_what_was_said_to_be_kept_is_there_after_kills_and_no_row_lacks_its_picture(kills):
    with TemporaryDirectory() as name:
        folder, said = Path(name), []
        for seed, enough in enumerate(kills):
            said += said_before_death(folder, seed, enough)
        Log(folder).close()
        rows = {row["transaction_id"]: row for row in rows_of(folder)}
        pictures = Pictures(folder / "pictures")
        assert {rows[transaction]["status"] for transaction in said} <= {"answered"}
        assert {row["status"] for row in rows.values()} <= {"answered", "aborted"}
        for row in rows.values():
            assert image_id_of(pictures.path(row["image_id"]).read_bytes()) == row["image_id"]


def test_what_fails_undoes_itself_alone_and_says_why(tmp_path):
    log = Log(tmp_path)
    transaction = new_id()
    hold = threading.Event()
    log.do(lambda _: hold.wait())  # so that what follows shares a commit
    good = [log.do(partial(transactions.insert, row={"transaction_id": new_id()})) for _ in range(3)]
    twice = [log.do(partial(transactions.insert, row={"transaction_id": transaction})) for _ in range(2)]
    hold.set()
    assert [future.exception() for future in [*good, twice[0]]] == [None] * 4
    assert isinstance(twice[1].exception(), sqlite3.IntegrityError)
    log.close()
    assert len(rows_of(tmp_path)) == 4


def test_a_full_disk_is_said_and_what_comes_after_it_is_kept(tmp_path):
    log = Log(tmp_path)
    pages = log.do(lambda connection: connection.execute("PRAGMA page_count").fetchone()[0]).result()
    log.do(lambda connection: connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchone()).result()
    row = {"scores": np.zeros(50_000, np.float32)}
    full = log.do(partial(transactions.insert, row=row | {"transaction_id": new_id()}))
    assert "full" in str(full.exception())
    log.do(lambda connection: connection.execute("PRAGMA max_page_count = 100000").fetchone()).result()
    log.do(partial(transactions.insert, row=row | {"transaction_id": new_id()})).result()
    log.close()
    assert len(rows_of(tmp_path)) == 1


def together(log, *tasks):
    """The futures of tasks that the log finds waiting at once, after one that keeps it busy."""
    begun, go = threading.Event(), threading.Event()
    log.do(lambda _: (begun.set(), go.wait()))
    begun.wait()
    futures = [log.do(*task) for task in tasks]
    return futures, go


def test_one_who_does_not_wait_for_the_end_stops_nothing(tmp_path):
    log = Log(tmp_path)
    (gone, other), go = together(log, (lambda _: 1,), (lambda _: 2,))
    assert gone.cancel()
    go.set()
    assert other.result(10) == 2
    assert log.do(lambda _: 3).result(10) == 3
    log.close()


def test_what_cannot_be_erased_yet_is_said_to_who_asked_for_it_alone(tmp_path):
    log = Log(tmp_path)
    reader = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM transactions").fetchall()
    writes = partial(transactions.insert, row={"transaction_id": new_id()})
    (erasing, other), go = together(log, (writes, True), (lambda _: 2,))
    go.set()
    assert other.result(30) == 2
    with pytest.raises(sqlite3.OperationalError, match="another program reads the log"):
        erasing.result(30)
    (milliseconds,) = log.do(lambda connection: connection.execute("PRAGMA busy_timeout").fetchone()).result(30)
    assert milliseconds == 5000  # what others have locked is waited for, apart from that
    reader.close()
    log.close()


def test_nobody_else_may_look_into_the_folder_or_the_database(tmp_path):
    folder = tmp_path / "log"
    folder.mkdir(0o755)
    (folder / "log.db").touch(0o644)
    log = Log(folder)
    log.do(partial(transactions.insert, row={"transaction_id": new_id()})).result()
    modes = {path.name: path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())}
    log.close()
    assert modes == {"log": 0o700, "lock": 0o600} | dict.fromkeys(["log.db", "log.db-wal", "log.db-shm"], 0o600)


def test_what_cannot_be_a_log_is_said(tmp_path):
    (tmp_path / "log.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="cannot be opened as a log"):
        Log(tmp_path)


def test_a_row_is_read_as_it_was_written(tmp_path):
    log = Log(tmp_path)
    now, scores = datetime(2026, 11, 27, 9, 0, 0, 123000, UTC), np.array([0.25, 0.5], np.float32)
    row = {"transaction_id": new_id(), "received_at": now, "scores": scores, "shown": True, "width": 3}
    log.do(partial(transactions.insert, row=row)).result()
    read = log.do(lambda connection: connection.execute("SELECT * FROM transactions").fetchall()).result()
    (given,) = transactions.to_arrow(read).to_pylist()
    log.close()
    assert {name: value for name, value in given.items() if value is not None} == row | {"scores": [0.25, 0.5]}


def make_old(folder: Path) -> str:
    """Take the newest columns out of a log, as of a gateway of before, and close it; gives the transaction in it."""
    log = Log(folder)
    row = {"transaction_id": new_id(), "received_at": datetime(2026, 11, 27, tzinfo=UTC), "status": "answered"}
    log.do(partial(transactions.insert, row=row)).result()
    log.close()
    with closing(sqlite3.connect(folder / "log.db")) as connection:
        for name in NEW:
            connection.execute(f"ALTER TABLE transactions DROP COLUMN {name}")
        connection.commit()
    return row["transaction_id"]


NEW = ("embedding", "scope_distance")


def test_a_log_of_before_is_read_without_its_gateway_and_gets_its_columns_with_the_next_one(tmp_path):
    old = make_old(tmp_path)
    read = open_place(str(tmp_path)).rows("2026-11-01", ["transaction_id", *NEW]).to_pylist()
    assert read == [{"transaction_id": old} | dict.fromkeys(NEW)]
    log = Log(tmp_path)
    row = {"transaction_id": new_id(), "received_at": datetime(2026, 11, 28, tzinfo=UTC), "scope_distance": 0.25}
    log.do(partial(transactions.insert, row=row | {"embedding": np.array([0.5, -2], np.float32)})).result()
    read = open_place(str(tmp_path)).rows("2026-11-01", NEW).to_pylist()
    log.close()
    assert read == [dict.fromkeys(NEW), {"embedding": [0.5, -2.0], "scope_distance": 0.25}]


def test_a_picture_in_use_is_not_removed_and_one_that_is_removed_is_overwritten(tmp_path):
    pictures = Pictures(tmp_path / "pictures")
    image_id = pictures.store(b"a picture")
    linked = tmp_path / "linked"
    linked.hardlink_to(pictures.path(image_id))
    with pictures.in_use(image_id):
        assert not pictures.remove(image_id)
    assert pictures.path(image_id).read_bytes() == b"a picture"
    assert pictures.remove(image_id)
    assert pictures.remove(image_id)
    assert linked.read_bytes() == bytes(9)


def test_a_picture_that_is_sent_again_after_its_removal_ended_half_way_is_whole(tmp_path, monkeypatch):
    pictures = Pictures(tmp_path / "pictures")
    image_id = pictures.store(b"a picture")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda *_, **__: (_ for _ in ()).throw(OSError("it ends here")))
        with pytest.raises(OSError, match="it ends here"):
            pictures.remove(image_id)
    assert pictures.store(b"a picture") == image_id
    assert pictures.path(image_id).read_bytes() == b"a picture"
    assert pictures.remove(image_id)
    assert [path.name for path in Pictures(tmp_path / "pictures").path(image_id).parent.iterdir()] == []


def test_while_a_picture_is_overwritten_another_one_can_be_used(tmp_path, monkeypatch):
    made, erase = Pictures(tmp_path), pictures_module._erase
    image_id, other = made.store(b"a picture"), made.store(b"another")
    used = threading.Event()

    def use():
        with made.in_use(other), made.in_use(image_id):
            used.set()

    def erase_while_others_are_used(path):
        threading.Thread(target=use, daemon=True).start()
        assert used.wait(60)
        erase(path)

    monkeypatch.setattr(pictures_module, "_erase", erase_while_others_are_used)
    assert made.remove(image_id)


def test_one_picture_sent_by_many_at_once_is_kept_once_and_whole(tmp_path):
    pictures, data = Pictures(tmp_path), os.urandom(10**5)
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(pictures.store, [data] * 40))) == 1
    assert [path.read_bytes() == data for path in tmp_path.glob("*/*")] == [True]


@given(st.lists(st.integers(0, 10**16 - 1), min_size=2, max_size=20))
def test_identities_sort_by_their_time_and_say_it_to_the_millisecond_that_the_log_has(microseconds):
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=each) for each in microseconds]
    identities = [new_id(moment) for moment in moments]
    assert [int(each[:8] + each[9:13], 16) for each in identities] == [each // 1000 for each in microseconds]
    assert [transactions.text_of(time_of(each)) for each in identities] == list(map(transactions.text_of, moments))
    assert [each[14] for each in identities] == ["7"] * len(moments)
    assert {each[19] for each in identities} <= set("89ab")


def test_another_identity_is_no_time():
    with pytest.raises(ValueError, match="UUIDv7"):
        time_of("123e4567-e89b-42d3-a456-426614174000")
