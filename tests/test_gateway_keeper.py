"""Shipping, retention and forgetting: each row once, here or there, and of what is forgotten no byte."""

import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import fsspec
import pyarrow.parquet as pq
import pytest
from azure.core.exceptions import ResourceExistsError
from gateways import rows_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runtime.errors import InputError, RemoteError
from serving import forget, keeper, late_feedback, transactions
from serving.archive import Archive
from serving.clock import MACHINE, Clock
from serving.keeper import Keeper
from serving.log import Log
from serving.pictures import Pictures, image_id_of
from serving.reading import open_place
from serving.transaction_id import new_id

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


def name_replica(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("INSERT INTO replica SELECT ? WHERE NOT EXISTS (SELECT 1 FROM replica)", [name])


class World:
    """A log with a keeper, and a place that it ships to."""

    def __init__(
        self,
        folder: Path,
        url: str = "",
        retention_days: int | None = None,
        replica: str = "a_1",
        log: str = "log",
        clock: Clock = MACHINE,
    ) -> None:
        self.folder, self.url = folder / log, url or str(folder / "archive")
        self.log = Log(self.folder)
        self.log.do(partial(name_replica, name=replica)).result()
        self.pictures = Pictures(self.folder / "pictures")
        self.archive = Archive(self.url)
        self.keeper = Keeper(self.folder, self.log, self.pictures, replica, self.archive, retention_days, clock)

    def add(self, received: datetime, data: bytes = b"a picture", status: str = "answered") -> str:
        row = {"transaction_id": new_id(received), "received_at": received}
        row |= {"image_id": self.pictures.store(data), "status": status, "comment": f"said of {data.decode()}"}
        self.log.do(partial(transactions.insert, row=row)).result()
        return row["transaction_id"]

    def say(self, transaction: str, feedback: str, moment: datetime = NOW) -> bool:
        said = {"feedback": feedback, "comment": f"{feedback} indeed", "feedback_at": moment}
        return self.log.do(partial(late_feedback.note, transaction=transaction, said=said)).result()

    def said(self) -> dict[str, str | None]:
        """What whoever reads the archive learns of each transaction's feedback."""
        rows = open_place(self.url).rows("2026-01-01", ["comment", "feedback", "transaction_id"]).to_pylist()
        assert all(row["comment"] in (None, f"{row['feedback']} indeed") or not row["feedback"] for row in rows)
        return {row["transaction_id"]: row["feedback"] for row in rows}

    def there(self) -> list[str]:
        """The transactions in the archive, as often as they are in it."""
        storage, folder = fsspec.url_to_fs(self.url)
        files = [path for path in storage.find(folder) if path.endswith(".parquet") and "/feedback/" not in path]
        return sorted(row for path in files for row in pq.read_table(storage.open(path))["transaction_id"].to_pylist())

    def here(self) -> list[str]:
        return [row["transaction_id"] for row in rows_of(self.folder)]

    def everything(self) -> bytes:
        """All bytes of the log, its pictures and the archive."""
        storage, folder = fsspec.url_to_fs(self.url)
        here = b"".join(path.read_bytes() for path in self.folder.rglob("*") if path.is_file())
        return here + b"".join(storage.cat(path) for path in storage.find(folder))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    with suppress(OSError):
        made.log.close()


def test_rows_of_whole_hours_are_shipped_with_their_pictures_by_day_and_are_no_longer_here(world):
    old = [world.add(NOW - timedelta(days=1, minutes=minute), b"one") for minute in range(3)]
    recent = world.add(NOW - timedelta(hours=3), b"two")
    kept = [world.add(NOW - timedelta(minutes=40), b"two"), world.add(NOW - timedelta(hours=3), b"x", "under_way")]
    assert world.keeper.ship(NOW) == 4
    assert world.there() == sorted([*old, recent])
    assert world.here() == sorted(kept)
    root = Path(world.url)
    assert sorted(path.parent.name for path in root.glob("day=*/a_1-*.parquet")) == ["day=2026-11-26", "day=2026-11-27"]
    assert (root / "pictures/day=2026-11-26/a_1" / image_id_of(b"one")).read_bytes() == b"one"
    assert world.pictures.all_ids() == {image_id_of(b"two"), image_id_of(b"x")}  # a row here still has it
    assert world.keeper.ship(NOW) == 0


def test_rows_are_read_once_while_gateways_forget_and_remove(tmp_path, monkeypatch):
    world = World(tmp_path, retention_days=0)
    moments = [NOW - timedelta(hours=hours) for hours in (2, 26, 50, 50)]
    new, yesterday, old, secret = (world.add(moment, f"{number}".encode()) for number, moment in enumerate(moments))
    world.keeper.ship(NOW)
    reader, opened = Archive(world.url), []

    def opening(file, columns, checked=reader._checked_rows):
        if not opened:  # what was listed is written anew
            world.keeper.forget(secret, NOW)
        opened.append(file)
        if len(opened) == 3:  # and a day that was listed is removed
            world.keeper.remove_old(NOW)
        return checked(file, columns)

    monkeypatch.setattr(reader, "_checked_rows", opening)
    found = reader.read_rows("2026-01-01", ["transaction_id"])["transaction_id"].to_pylist()
    assert sorted(found) == sorted([old, new])
    assert yesterday not in world.there()
    world.log.close()


class KilledError(Exception):
    """The gateway is killed here."""


def kill_after(steps: int, patch: pytest.MonkeyPatch, world: World) -> None:
    """Let a world do so many things to its log and its archive, and no more."""
    left = iter(range(steps))

    def counted(do, *arguments, **options):
        if next(left, None) is None:
            raise KilledError
        return do(*arguments, **options)

    patch.setattr(world.log, "do", partial(counted, world.log.do))
    for name in ("_put", "_remove"):
        patch.setattr(world.archive, name, partial(counted, getattr(world.archive, name)))


@settings(max_examples=25)
@given(
    hours=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    breaks=st.lists(st.integers(1, 12), max_size=4),
)
def test_each_row_is_shipped_once_wherever_shipping_breaks_off(hours, breaks):
    with TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        folder = Path(name)
        patch.setattr(keeper, "_LARGEST_BATCH", 2)
        world = World(folder)
        added = [world.add(NOW - timedelta(hours=hour + 1), f"picture {hour}".encode()) for hour in hours]
        for after in [*breaks, None]:
            world.log.close()
            world = World(folder)
            kill_after(after or 10**6, patch, world)
            with suppress(KilledError):
                world.keeper.ship(NOW)
        world.log.close()
        assert world.there() == sorted(added)
        assert world.here() == []


@pytest.mark.parametrize("hours_of_copy", [(3,), (3, 2), ()])
def test_a_log_of_a_snapshot_ships_what_was_never_sent_and_nothing_twice(tmp_path, hours_of_copy):
    world = World(tmp_path)
    shared = [world.add(NOW - timedelta(hours=hours), f"{hours} hours".encode()) for hours in (5, 4)]
    world.log.close()
    shutil.copytree(world.folder, tmp_path / "snapshot")
    world = World(tmp_path)
    lost = [world.add(NOW - timedelta(hours=hours), b"after the snapshot") for hours in (3, 3)]
    world.keeper.ship(NOW)
    world.log.close()
    shutil.rmtree(world.folder)
    (tmp_path / "snapshot").rename(world.folder)
    world = World(tmp_path)  # with the numbers of before
    new = [world.add(NOW - timedelta(hours=hours), b"after it was restored") for hours in hours_of_copy]
    world.keeper.ship(NOW)
    late = world.add(NOW - timedelta(hours=2), b"late")
    world.keeper.ship(NOW)
    assert (world.there(), world.here()) == (sorted([*shared, *lost, *new, late]), [])
    found = world.archive.read_rows("2026-01-01", ["transaction_id"])["transaction_id"].to_pylist()
    assert sorted(found) == world.there()
    for transaction in [*shared, *new]:
        assert world.keeper.forget(transaction, NOW)
    assert world.there() == sorted([*lost, late])
    world.log.close()


def test_a_file_that_is_damaged_there_before_it_was_noted_is_sent_again(tmp_path, monkeypatch):
    world = World(tmp_path)
    transaction = world.add(NOW - timedelta(hours=3))
    with monkeypatch.context() as patch:
        kill_after(6, patch, world)  # it is there, but that it is is not noted
        with suppress(KilledError):
            world.keeper.ship(NOW)
    (file,) = Path(world.url).glob("day=*/*.parquet")
    whole = file.read_bytes()
    for damaged in (whole[:-9], whole[:40] + bytes(60) + whole[100:]):
        file.write_bytes(damaged)
        with monkeypatch.context() as patch, suppress(KilledError):
            kill_after(4, patch, world)
            world.keeper.ship(NOW)
        assert file.read_bytes() == whole
    assert world.keeper.ship(NOW) == 1
    assert (world.there(), world.here()) == ([transaction], [])
    world.log.close()


def test_what_arrives_damaged_is_said_and_nothing_is_deleted_here(world, monkeypatch):
    transaction = world.add(NOW - timedelta(hours=5))
    storage = world.archive._storage
    cat = storage.cat_file
    monkeypatch.setattr(storage, "cat_file", lambda path: cat(path)[:-1])
    with pytest.raises(RemoteError, match="did not receive what was sent"):
        world.keeper.ship(NOW)
    assert world.here() == [transaction]
    monkeypatch.undo()
    assert world.keeper.ship(NOW) == 1
    assert world.there() == [transaction]


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_hour_by_hour_rows_are_shipped_once_also_after_the_place_was_away_and_removed_after_their_time(
    tmp_path, monkeypatch, caplog
):
    for name in ("_RETRY_SECONDS", "_POLL_SECONDS"):
        monkeypatch.setattr(keeper, name, 0.01)
    now = [NOW]
    world = World(tmp_path, retention_days=2, clock=Clock(lambda: now[0], secrets.randbits))
    place, away = Path(world.url), tmp_path / "away"
    first = world.add(NOW - timedelta(hours=5), b"first")
    world.keeper.start()
    wait_until(lambda: world.here() == [])
    place.rename(away)
    waiting = []
    for hour in range(4):
        waiting.append(world.add(now[0], f"hour {hour}".encode()))
        world.say(first, "wrong", now[0])
        now[0] += timedelta(hours=1)
        caplog.clear()
        if hour:  # before that, nothing is a whole hour old
            wait_until(lambda: caplog.text.count("ship failed") > 1)
    assert world.here() == waiting
    assert world.keeper.unshipped() == (4, 4 * 3600.0)
    away.rename(place)
    wait_until(lambda: world.here() == waiting[-1:])  # received less than a whole hour ago
    assert world.there() == [first, *waiting[:-1]]
    assert world.keeper.unshipped() == (1, 3600.0)
    now[0] += timedelta(hours=1)
    wait_until(lambda: world.here() == [])
    assert world.there() == [first, *waiting]
    wait_until(lambda: world.said() == {first: "wrong"} | dict.fromkeys(waiting))
    assert world.keeper.unshipped() == (0, 0.0)
    now[0] += timedelta(days=3)
    wait_until(lambda: not any(place.glob("**/day=*")))
    world.keeper.close()
    world.log.close()


@pytest.mark.slow
def test_what_could_not_be_shipped_while_the_remote_was_away_is_shipped_once_when_it_is_back(
    azurite, tmp_path, monkeypatch
):
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection())
    azurite.service().create_container("logs")
    world = World(tmp_path, "az://logs/shop")
    added = [world.add(NOW - timedelta(hours=hour), f"picture {hour}".encode()) for hour in (3, 5, 40)]
    azurite.kill()
    assert not world.keeper._try(world.keeper.ship, NOW)
    assert world.here() == sorted(added)
    azurite.start()
    with suppress(ResourceExistsError):  # Azurite forgets what it was told in its last seconds
        azurite.service().create_container("logs")
    assert world.keeper._try(world.keeper.ship, NOW)
    for said in ("wrong", "right"):
        for transaction in added[:2]:
            world.say(transaction, said)
        assert world.keeper._try(world.keeper.ship_feedback, NOW)
    assert world.keeper.forget(added[0], NOW)
    assert world.there() == sorted(added[1:])
    assert world.said() == {added[1]: "right", added[2]: None}
    world.log.close()


def test_what_is_older_than_agreed_is_removed_here_and_there(tmp_path):
    world = World(tmp_path, retention_days=2)
    for days in (5, 4, 1):
        world.add(NOW - timedelta(days=days), f"{days} days".encode())
    world.keeper.ship(NOW)
    kept = world.there()[-1]
    late = world.add(NOW - timedelta(days=3), b"late")
    world.keeper.remove_old(NOW)
    assert (world.there(), world.here()) == ([kept], [])
    world.log.close()
    everything = world.everything()
    assert late.encode() not in everything
    assert b"5 days" not in everything
    assert b"1 days" in everything


@pytest.mark.parametrize("is_shipped", [False, True])
def test_of_what_is_forgotten_no_byte_is_left_but_a_note_and_others_stay(world, is_shipped):
    secret, other = (world.add(NOW - timedelta(hours=3), data) for data in (b"my secret face", b"another"))
    if is_shipped:
        world.keeper.ship(NOW)
    assert world.keeper.forget(secret, NOW)
    assert world.keeper.forget(secret, NOW)  # again: nothing of it is there
    assert not world.keeper.forget(new_id(), NOW)
    noted = world.log.do(lambda connection: connection.execute("SELECT * FROM forgotten").fetchall()).result()
    assert [tuple(row) for row in noted] == [(secret, "2026-11-27T09:30:00.000Z")]
    assert (world.there() if is_shipped else world.here()) == [other]
    world.log.close()
    everything = world.everything()
    assert b"secret face" not in everything
    assert image_id_of(b"my secret face").encode() not in everything
    assert image_id_of(b"another").encode() in everything


@pytest.mark.parametrize("is_shipped", [False, True])
def test_a_picture_that_another_transaction_has_stays_until_that_is_forgotten(world, is_shipped):
    twice = [world.add(NOW - timedelta(hours=3, seconds=second), b"a face") for second in range(2)]
    if is_shipped:
        world.keeper.ship(NOW)
    world.keeper.forget(twice[0], NOW)
    assert b"a face" in world.everything()
    world.keeper.forget(twice[1], NOW)
    assert b"a face" not in world.everything()


def test_one_that_is_on_its_way_is_forgotten_there(world):
    transaction = world.add(NOW - timedelta(hours=3), b"a face")
    world.log.do(partial(keeper._take, before=transactions.text_of(NOW), place=world.url)).result()
    assert world.keeper.forget(transaction, NOW)
    assert (world.here(), world.there()) == ([], [])


def test_what_users_say_after_a_row_was_shipped_is_shipped_too_and_joined_to_it(world):
    yesterday, today, other = (world.add(NOW - timedelta(hours=hours), b"a face") for hours in (30, 3, 3))
    world.keeper.ship(NOW)
    assert world.say(yesterday, "wrong")
    assert world.say(today, "wrong")
    assert not world.say(new_id(), "wrong")
    for moment in (NOW, NOW + timedelta(hours=1)):
        world.keeper.ship_feedback(moment)
        assert world.said() == {yesterday: "wrong", today: "wrong", other: None}
    assert world.say(today, "right", NOW + timedelta(hours=2))
    assert world.say(other, "right")
    world.keeper.ship_feedback(NOW)
    assert world.said() == {yesterday: "wrong", today: "right", other: "right"}
    place = open_place(world.url)
    assert [rows.column_names for rows in place.batches("2026-11-27", ["feedback", "image_id"])] == [
        ["feedback", "image_id"]
    ]


def test_what_is_said_of_a_row_on_its_way_follows_it(world):
    transaction = world.add(NOW - timedelta(hours=3))
    world.log.do(partial(keeper._take, before=transactions.text_of(NOW), place=world.url)).result()
    assert world.say(transaction, "wrong")
    world.keeper.ship_feedback(NOW)
    assert not list(Path(world.url).glob("feedback/**/*"))
    world.keeper.ship(NOW)
    world.keeper.ship_feedback(NOW)
    assert world.said() == {transaction: "wrong"}


@pytest.mark.parametrize("steps", range(5))
def test_what_is_said_late_is_kept_wherever_shipping_it_breaks_off(tmp_path, monkeypatch, steps):
    world = World(tmp_path)
    first, second = (world.add(NOW - timedelta(hours=3), data) for data in (b"one", b"two"))
    world.keeper.ship(NOW)
    world.say(first, "wrong")
    world.keeper.ship_feedback(NOW)
    world.say(second, "right")
    with monkeypatch.context() as patch:
        kill_after(steps, patch, world)
        with suppress(KilledError):
            world.keeper.ship_feedback(NOW)
    world.log.close()
    world = World(tmp_path)
    world.keeper.ship_feedback(NOW)
    assert world.said() == {first: "wrong", second: "right"}
    world.log.close()


@pytest.mark.parametrize("is_sent", [False, True])
def test_what_was_said_late_is_forgotten_and_removed_with_its_row(tmp_path, is_sent):
    world = World(tmp_path, retention_days=2)
    secret, other = (world.add(NOW - timedelta(hours=3), data) for data in (b"my face", b"another"))
    world.keeper.ship(NOW)
    world.say(secret, "wrong")
    world.say(other, "right")
    if is_sent:
        world.keeper.ship_feedback(NOW)
    assert world.keeper.forget(secret, NOW)
    assert not world.say(secret, "wrong")
    world.keeper.ship_feedback(NOW)
    assert world.said() == {other: "right"}
    world.say(other, "wrong", NOW + timedelta(hours=1))
    world.keeper.remove_old(NOW + timedelta(days=4))
    world.log.close()
    everything = world.everything()
    assert b"wrong indeed" not in everything
    assert b"right indeed" not in everything
    assert list(Path(world.url).rglob("*.parquet")) == []


def test_feedback_that_is_damaged_there_or_of_a_place_that_is_away_waits_and_keeps_no_other_waiting(tmp_path):
    world = World(tmp_path)
    days = [world.add(NOW - timedelta(days=days), b"a face") for days in (1, 0.2)]
    world.keeper.ship(NOW)
    for transaction in days:
        world.say(transaction, "wrong")
    world.keeper.ship_feedback(NOW)
    (damaged,) = Path(world.url).glob("feedback/day=2026-11-26/a_1.parquet")
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:-1])
    for transaction in days:
        world.say(transaction, "right", NOW + timedelta(hours=1))
    with pytest.raises(RemoteError, match="feedback/day=2026-11-26/a_1.parquet cannot be read"):
        world.keeper.ship_feedback(NOW)
    damaged.write_bytes(whole)
    assert world.said() == dict(zip(days, ("wrong", "right"), strict=True))
    world.keeper.ship_feedback(NOW)
    assert set(world.said().values()) == {"right"}
    world.log.close()


def test_while_another_program_reads_what_is_forgotten_it_is_said_and_later_nothing_is_left(world):
    transaction = world.add(NOW, b"a face")
    reader = sqlite3.connect(world.folder / "log.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM transactions").fetchone()
    with pytest.raises(sqlite3.OperationalError, match="another program reads the log"):
        world.keeper.forget(transaction, NOW)
    reader.close()
    assert world.keeper.forget(transaction, NOW)
    assert b"said of a face" not in world.everything()


def run_forget(monkeypatch, world, transaction):
    monkeypatch.setenv("RETRAIN_GATEWAY", str(world.folder if isinstance(world, World) else world))
    monkeypatch.setattr("sys.argv", ["forget", f"--transaction={transaction}"])
    forget.main()


@pytest.mark.parametrize("steps", range(14))
def test_the_command_leaves_nothing_here_or_there_wherever_the_gateway_was_killed_while_it_shipped(
    tmp_path, monkeypatch, steps
):
    world = World(tmp_path)
    secret, other = (world.add(NOW - timedelta(hours=3), data) for data in (b"my secret face", b"another"))
    with monkeypatch.context() as patch:
        kill_after(steps, patch, world)
        with suppress(KilledError):
            world.keeper.ship(NOW)
    world.log.close()
    run_forget(monkeypatch, world, secret)
    assert b"secret face" not in world.everything()
    assert secret not in world.there()
    world = World(tmp_path)
    world.keeper.ship(NOW)
    world.log.close()
    assert world.there() == [other]
    assert b"secret face" not in world.everything()


@settings(max_examples=6)
@given(breaks=st.lists(st.tuples(st.booleans(), st.integers(0, 14)), max_size=3))
@example(breaks=[(True, 2), (False, 3)])  # the changed file is there, and the old one too
@example(breaks=[(True, 3), (False, 3)])  # only the changed one is, which the log does not know
@example(breaks=[(True, 6)])  # the row is gone, and its picture is not
def test_forgetting_may_end_anywhere_and_is_done_again(breaks):
    with TemporaryDirectory() as name:
        folder = Path(name)
        world = World(folder)
        first, second, other = (world.add(NOW - timedelta(hours=3), f"face {n}".encode()) for n in range(3))
        world.keeper.ship(NOW)
        for transaction, said in zip((first, second, other), ("wrong", "wrong", "right"), strict=True):
            world.say(transaction, said)
        world.keeper.ship_feedback(NOW)
        for is_first, steps in [*breaks, (True, 10**6), (False, 10**6)]:
            with pytest.MonkeyPatch.context() as patch, suppress(KilledError):
                kill_after(steps, patch, world)
                assert world.keeper.forget(first if is_first else second, NOW)
            world.log.close()
            world = World(folder)
        world.log.close()
        assert world.there() == [other]
        everything = world.everything()
        assert [f"face {n}".encode() in everything for n in range(3)] == [False, False, True]
        assert len(list((folder / "archive").glob("day=*/*"))) == 1
        world = World(folder)
        assert world.said() == {other: "right"}
        world.log.close()


def test_what_is_damaged_there_is_said_before_it_is_lost(world):
    transaction = world.add(NOW - timedelta(hours=3))
    world.keeper.ship(NOW)
    (file,) = Path(world.url).glob("day=*/*.parquet")
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(RemoteError, match="is damaged: its name has another digest"):
        world.keeper.forget(transaction, NOW)
    assert file.exists()


def test_what_was_begun_to_be_shipped_goes_to_where_it_was_begun_and_the_rest_to_the_new_place(tmp_path, monkeypatch):
    world = World(tmp_path, str(tmp_path / "old"))
    begun = world.add(NOW - timedelta(hours=3))
    with monkeypatch.context() as patch:
        kill_after(6, patch, world)  # both are there, but that they are is not noted
        with suppress(KilledError):
            world.keeper.ship(NOW)
    assert world.there() == world.here() == [begun]
    world.log.close()
    moved = World(tmp_path, str(tmp_path / "new"), retention_days=2)
    late = moved.add(NOW - timedelta(hours=2))
    assert moved.keeper.ship(NOW) == 2
    assert (world.there(), moved.there(), moved.here()) == ([begun], [late], [])
    moved.keeper.remove_old(NOW + timedelta(days=4))
    assert (world.there(), moved.there()) == ([], [])
    moved.log.close()


def test_a_log_of_before_places_were_noted_asks_for_the_one_that_it_had(tmp_path):
    world = World(tmp_path)
    transaction = world.add(NOW - timedelta(hours=3))
    world.log.do(partial(keeper._take, before=transactions.text_of(NOW), place=None)).result()
    world.log.close()
    connection = sqlite3.connect(world.folder / "log.db")
    connection.execute("ALTER TABLE batches DROP COLUMN place")
    connection.execute("INSERT INTO batches VALUES (1, '2026-11-27', NULL)")
    connection.execute("UPDATE transactions SET batch = 1")
    connection.commit()
    connection.close()
    world = World(tmp_path)
    alone = Keeper(world.folder, world.log, world.pictures, "a_1")
    with pytest.raises(InputError, match="Start the gateway once with the --ship-to"):
        alone.forget(transaction, NOW)
    assert world.keeper.forget(transaction, NOW)
    assert (world.here(), world.there()) == ([], [])
    world.log.close()


def test_pictures_are_removed_after_their_time_also_where_erasing_failed_at_first(tmp_path):
    world = World(tmp_path, retention_days=2)
    world.add(NOW - timedelta(days=5), b"an old face")
    world.add(NOW, b"a new face")
    reader = sqlite3.connect(world.folder / "log.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM transactions").fetchone()
    with pytest.raises(sqlite3.OperationalError, match="another program reads the log"):
        world.keeper.remove_old(NOW)
    reader.close()
    world.keeper.remove_old(NOW)
    assert world.pictures.all_ids() == {image_id_of(b"a new face")}
    assert b"an old face" not in world.everything()
    world.log.close()


def test_a_picture_that_could_not_be_removed_is_removed_the_next_time(world, monkeypatch):
    transaction = world.add(NOW, b"a face")

    def fail(image_id):
        raise OSError("the disk fails")

    with monkeypatch.context() as patch:
        patch.setattr(world.pictures, "remove", fail)
        with pytest.raises(OSError, match="the disk fails"):
            world.keeper.forget(transaction, NOW)
    assert world.keeper.forget(transaction, NOW)
    assert b"a face" not in world.everything()


def test_two_replicas_with_the_same_picture_never_lose_it_to_each_other(tmp_path, monkeypatch):
    first, second = (World(tmp_path, replica=f"{name}_1", log=name) for name in "ab")
    forgotten, kept = (world.add(NOW - timedelta(hours=3), b"a face") for world in (first, second))
    first.keeper.ship(NOW)
    remove = first.archive._storage.rm_file

    def remove_after_the_other(path):  # which ships between the look and the removal
        second.keeper.ship(NOW)
        remove(path)

    monkeypatch.setattr(first.archive._storage, "rm_file", remove_after_the_other)
    assert first.keeper.forget(forgotten, NOW)
    assert first.there() == [kept]
    assert [path.read_bytes() for path in Path(first.url).glob("pictures/*/*/*")] == [b"a face"]
    for world in (first, second):
        world.log.close()


def test_what_is_under_way_for_an_hour_has_lost_its_end(world):
    lost, recent = (world.add(NOW - timedelta(minutes=ago), status="under_way") for ago in (61, 59))
    world.keeper.end_lost(NOW)
    statuses = {row["transaction_id"]: row["status"] for row in rows_of(world.folder)}
    assert statuses == {lost: "aborted", recent: "under_way"}


@pytest.mark.parametrize("is_empty", [False, True])
def test_while_the_place_is_not_mounted_nothing_is_forgotten_removed_or_shipped_and_later_all_is(tmp_path, is_empty):
    world = World(tmp_path, retention_days=2)
    old, kept = (world.add(NOW - timedelta(days=days), f"{days} days".encode()) for days in (1, 0.5))
    world.keeper.ship(NOW)
    late = world.add(NOW - timedelta(hours=3), b"late")
    place, away = Path(world.url), tmp_path / "away"
    place.rename(away)
    if is_empty:
        place.mkdir()
    for step in (partial(world.keeper.forget, old), world.keeper.ship):
        with pytest.raises(RemoteError, match="is not there, or holds nothing that a gateway shipped"):
            step(NOW)
    with pytest.raises(RemoteError, match="is not there, or holds nothing that a gateway shipped"):
        world.keeper.remove_old(NOW + timedelta(days=2))  # all but `late`
    assert not is_empty or list(place.iterdir()) == []
    if is_empty:
        place.rmdir()
    away.rename(place)
    assert world.keeper.forget(old, NOW)
    world.keeper.ship(NOW)
    assert world.there() == sorted([kept, late])
    world.keeper.remove_old(NOW + timedelta(days=3))
    assert (world.there(), b"0.5 days" in world.everything()) == ([], False)
    world.log.close()


def test_a_place_in_a_relative_folder_is_found_from_another_folder(tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    monkeypatch.chdir(tmp_path / "shop")
    world = World(tmp_path, "archive")
    transaction = world.add(NOW - timedelta(hours=3))
    world.keeper.ship(NOW)
    world.log.close()
    monkeypatch.chdir(tmp_path)
    run_forget(monkeypatch, world, transaction)
    assert fsspec.filesystem("file").glob(f"{tmp_path}/shop/archive/pictures/*/*/*") == []


def test_a_place_that_fails_keeps_no_other_from_being_cleared(tmp_path):
    places = [tmp_path / name for name in ("first", "second")]
    for place in places:
        world = World(tmp_path, str(place), retention_days=2)
        world.add(NOW - timedelta(days=1), place.name.encode())
        world.keeper.ship(NOW)
        world.log.close()
    places[0].rename(tmp_path / "away")
    world = World(tmp_path, str(places[1]), retention_days=2)
    with pytest.raises(RemoteError, match=r"first is not there"):
        world.keeper.remove_old(NOW + timedelta(days=4))
    assert world.there() == []
    (tmp_path / "away").rename(places[0])
    world.keeper.remove_old(NOW + timedelta(days=4))
    assert list(places[0].glob("day=*")) == []
    world.log.close()


def test_a_picture_that_is_gone_keeps_no_row_from_being_shipped(world, caplog):
    rows = [world.add(NOW - timedelta(hours=3), data) for data in (b"lost", b"there")]
    world.pictures.path(image_id_of(b"lost")).unlink()
    assert world.keeper.ship(NOW) == 2
    assert (world.there(), world.here()) == (sorted(rows), [])
    assert f"the picture {image_id_of(b'lost')} is gone" in caplog.text
    assert [path.read_bytes() for path in Path(world.url).glob("pictures/*/*/*")] == [b"there"]


def test_a_keeper_that_ends_ships_no_more_and_goes_on_after_its_next_start(world, monkeypatch):
    rows = [world.add(NOW - timedelta(hours=3), data) for data in (b"one", b"two")]
    send = world.archive.send_picture

    def send_and_end(*arguments):
        send(*arguments)
        world.keeper.close()

    monkeypatch.setattr(world.archive, "send_picture", send_and_end)
    assert world.keeper.ship(NOW) == 0
    assert (world.there(), len(list(Path(world.url).glob("pictures/*/*/*")))) == ([], 1)
    with pytest.raises(RemoteError, match="it is forgotten after its next start"):
        world.keeper.forget(rows[0], NOW)
    monkeypatch.undo()
    again = Keeper(world.folder, world.log, world.pictures, "a_1", world.archive)
    assert again.forget(rows[0], NOW)
    assert world.there() == rows[1:]


def test_a_request_to_forget_that_fails_keeps_no_other_waiting(world, monkeypatch):
    shipped = world.add(NOW - timedelta(hours=3), b"one")
    world.keeper.ship(NOW)
    here = world.add(NOW, b"two")
    (world.folder / keeper.FORGET / shipped).touch()
    (world.folder / keeper.FORGET / here).touch()
    with monkeypatch.context() as patch:
        kill_after(10**6, patch, world)
        patch.setattr(world.archive, "forget", lambda *_: (_ for _ in ()).throw(RemoteError("the place is away")))
        with pytest.raises(RemoteError, match="the place is away"):
            world.keeper.obey(NOW)
    assert (world.here(), world.there()) == ([], [shipped])
    world.keeper.obey(NOW)
    assert world.there() == []


def test_a_place_that_fails_without_a_word_is_said_by_the_kind_of_its_failure(world, monkeypatch, caplog):
    world.add(datetime.now(UTC) - timedelta(hours=5))

    def silent(path):
        raise TimeoutError

    monkeypatch.setattr(world.archive._storage, "cat_file", silent)
    world.keeper.start()
    end = time.monotonic() + 60
    while "ship failed" not in caplog.text and time.monotonic() < end:
        time.sleep(0.05)
    world.keeper.close()
    assert "ship failed (TimeoutError)" in caplog.text


def test_the_command_forgets_itself_or_has_the_gateway_do_it(world, monkeypatch):
    now = datetime.now(UTC)  # the keeper looks at the clock, and ships what is an hour old
    first, second = world.add(now, b"one"), world.add(now, b"two")
    world.keeper.start()
    run_forget(monkeypatch, world, first)
    assert world.here() == [second]
    with pytest.raises(InputError, match="there is no such transaction"):
        run_forget(monkeypatch, world, new_id())
    world.keeper.close()
    world.log.close()
    run_forget(monkeypatch, world, second)
    assert world.here() == []


def test_the_command_refuses_what_is_no_transaction_or_no_log(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is no transaction"):
        run_forget(monkeypatch, tmp_path, "../../etc/passwd")
    with pytest.raises(InputError, match="holds no log"):
        run_forget(monkeypatch, tmp_path, new_id())


def test_a_place_that_nothing_can_be_shipped_to_is_refused():
    with pytest.raises(InputError, match="is no place to ship to"):
        Archive("nowhere://logs")
