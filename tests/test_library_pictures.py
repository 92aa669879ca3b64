"""Where the desk gets a picture's bytes from: data/, else DVC's cache, else its remote; never other bytes."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import md5
from pathlib import Path
from threading import Barrier

import pytest
from repositories import CONFIG, run, surroundings, write

from curation.pictures import AWAY_SECONDS, Pictures
from remote.stores import Store
from runtime.errors import InputError, RemoteError

PICTURE, DAMAGED = b"a picture", b"a damaged picture"
ID = md5(PICTURE).hexdigest()
PATH = "library/hat/1.png"
PLACES = [Path("data", PATH), *(Path(each, "files/md5", ID[:2], ID[2:]) for each in (".dvc/cache", "../remote"))]
STORES = ["the cache", "the remote store"]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A clone whose remote is a folder beside it."""
    clone = tmp_path_factory.mktemp("pictures") / "clone"
    clone.mkdir()
    with surroundings(clone):
        run("git", "init", "--quiet")
        write(".dvc/config", CONFIG)
        yield


@pytest.fixture
def asked(clone, monkeypatch):
    """What DVC's stores were asked for the picture, in order."""
    for place in PLACES:
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir(parents=True)
    names, read = [], Store.read
    monkeypatch.setattr(Store, "read", lambda store, oid: (names.append(store.name), read(store, oid))[1])
    return names


@pytest.mark.parametrize("before", [None, DAMAGED])
@pytest.mark.parametrize("number", range(len(PLACES)))
def test_a_picture_comes_from_data_else_the_cache_else_the_remote_and_bytes_of_another_are_passed_over(
    asked, number, before
):
    for place in PLACES[:number] if before else ():
        place.write_bytes(before)
    for place in PLACES[number:]:
        place.write_bytes(PICTURE)
    pictures = Pictures()
    assert pictures.read(ID, [PATH]) == PICTURE
    assert asked == STORES[:number]
    pictures.close()


@pytest.mark.parametrize("content", [None, DAMAGED])
def test_what_is_nowhere_or_damaged_everywhere_is_refused_in_words(asked, content):
    for place in PLACES if content else ():
        place.write_bytes(content)
    pictures = Pictures()
    with pytest.raises(InputError, match=f"{ID} is neither in data/, nor in the cache or in the remote store"):
        pictures.read(ID, [PATH])
    assert asked == STORES
    pictures.close()


def test_a_remote_that_fails_is_said_in_words_and_left_alone_for_a_while(asked, monkeypatch):
    class ServiceError(Exception):
        """As a remote's client has its own."""

    def fails(store, oid):
        asked.append(store.name)
        if store.name == STORES[1]:
            raise ServiceError("no such host; AccountKey=secret")

    now = [1000.0]
    monkeypatch.setattr(Store, "read", fails)
    monkeypatch.setattr("curation.pictures.time.monotonic", lambda: now[0])
    pictures = Pictures()
    for number in range(3):
        with pytest.raises(RemoteError, match=r"no such host; AccountKey=\*\*\*"):
            pictures.read(ID, [PATH])
        assert asked.count(STORES[1]) == 1, number
    now[0] += AWAY_SECONDS
    with pytest.raises(RemoteError, match="no such host"):
        pictures.read(ID, [PATH])
    assert (asked.count(STORES[0]), asked.count(STORES[1])) == (4, 2)
    pictures.close()


def test_a_fault_of_our_own_is_not_taken_for_the_remote_s(asked, monkeypatch):
    monkeypatch.setattr(Store, "read", lambda *_: {}["bug"])
    pictures = Pictures()
    with pytest.raises(KeyError, match="bug"):
        pictures.read(ID, [PATH])
    pictures.close()


def test_a_picture_waits_for_no_other_one(asked, monkeypatch):
    """The remote is slow: two are read at once."""
    both = Barrier(2, timeout=30)
    monkeypatch.setattr(Store, "read", lambda *_: (both.wait(), PICTURE)[1])
    pictures = Pictures()
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(lambda _: pictures.read(ID, []), range(2))) == [PICTURE, PICTURE]
    pictures.close()
