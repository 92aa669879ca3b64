"""Where the desk gets a picture's bytes from: data/, else DVC's cache, else its remote; never other bytes."""

import shutil
from hashlib import md5
from pathlib import Path

import pytest
from repositories import CONFIG, run, surroundings, write

from curation.pictures import Pictures
from remote.stores import Store
from runtime.errors import InputError

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
