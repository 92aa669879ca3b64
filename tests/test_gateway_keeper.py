"""Shipping, retention and forgetting: each row once, here or there, and of what is forgotten no byte."""

import sqlite3
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
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InputError, RemoteError
from serving import forget, keeper, transactions
from serving.archive import Archive
from serving.keeper import Keeper
from serving.log import Log
from serving.pictures import Pictures, image_id_of
from serving.transaction_id import new_id

NOW = datetime(2026, 11, 27, 9, 30, tzinfo=UTC)


class World:
    """A log with a keeper, and a place that it ships to."""

    def __init__(self, folder: Path, url: str = "", retention_days: int | None = None) -> None:
        self.folder, self.url = folder / "log", url or str(folder / "archive")
        self.log = Log(self.folder)
        self.pictures = Pictures(self.folder / "pictures")
        self.archive = Archive(self.url)
        self.keeper = Keeper(self.folder, self.log, self.pictures, "a_1", self.archive, retention_days)

    def add(self, received: datetime, data: bytes = b"a picture", status: str = "answered") -> str:
        row = {"transaction_id": new_id(round(received.timestamp() * 1000)), "received_at": received}
        row |= {"image_id": self.pictures.store(data), "status": status, "comment": f"said of {data.decode()}"}
        self.log.do(partial(transactions.insert, row=row)).result()
        return row["transaction_id"]

    def there(self) -> list[str]:
        """The transactions in the archive, as often as they are in it."""
        storage, folder = fsspec.url_to_fs(self.url)
        files = [path for path in storage.find(folder) if path.endswith(".parquet")]
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
    assert (root / "pictures/day=2026-11-26" / image_id_of(b"one")).read_bytes() == b"one"
    assert world.pictures.all_ids() == {image_id_of(b"two"), image_id_of(b"x")}  # a row here still has it
    assert world.keeper.ship(NOW) == 0


class KilledError(Exception):
    """The gateway is killed here."""


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
            left = iter(range(after or 10**6))

            def counted(work, erases=False, do=world.log.do, left=left):
                if next(left, None) is None:
                    raise KilledError
                return do(work, erases)

            patch.setattr(world.log, "do", counted)
            with suppress(KilledError):
                world.keeper.ship(NOW)
        world.log.close()
        assert world.there() == sorted(added)
        assert world.here() == []


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
    assert world.keeper.forget(added[0], NOW)
    assert world.there() == sorted(added[1:])
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
    world.log.do(partial(keeper._take, before=transactions.text_of(NOW))).result()
    assert world.keeper.forget(transaction, NOW)
    assert (world.here(), world.there()) == ([], [])


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


def run_forget(monkeypatch, transaction):
    monkeypatch.setattr("sys.argv", ["forget", f"--transaction={transaction}"])
    forget.main()


def test_the_command_forgets_itself_or_has_the_gateway_do_it(world, monkeypatch):
    monkeypatch.setenv("RETRAIN_GATEWAY", str(world.folder))
    now = datetime.now(UTC)  # the keeper looks at the clock, and ships what is an hour old
    first, second = world.add(now, b"one"), world.add(now, b"two")
    world.keeper.start()
    run_forget(monkeypatch, first)
    assert world.here() == [second]
    with pytest.raises(InputError, match="there is no such transaction"):
        run_forget(monkeypatch, new_id())
    world.keeper.close()
    world.log.close()
    run_forget(monkeypatch, second)
    assert world.here() == []


def test_the_command_refuses_what_is_no_transaction_or_no_log(tmp_path, monkeypatch):
    monkeypatch.setenv("RETRAIN_GATEWAY", str(tmp_path))
    with pytest.raises(InputError, match="is no transaction"):
        run_forget(monkeypatch, "../../etc/passwd")
    with pytest.raises(InputError, match="holds no log"):
        run_forget(monkeypatch, new_id())


def test_a_place_that_nothing_can_be_shipped_to_is_refused():
    with pytest.raises(InputError, match="is no place to ship to"):
        Archive("nowhere://logs")
