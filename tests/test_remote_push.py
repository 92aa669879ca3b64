"""A push is whole or says that it is not, over the protocol of Azure."""

import hashlib
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from azurite import Azurite
from clones import World, another_clone, cached, flipped, in_cache, overwrite, put_under_dvc, world, write_pictures
from repositories import ROOT, commit, run

from remote import pull, push, verify
from remote.needed import Needed
from remote.stores import Stored, lacking
from runtime.errors import RemoteError

pytestmark = pytest.mark.slow


@pytest.fixture
def clone(tmp_path: Path, azurite: Azurite) -> Iterator[World]:
    with world(tmp_path, azurite) as made:
        yield made


def a_file() -> str:
    """Give the object of one picture."""
    return hash_of("data/library/1/0001.png")


def one_of_each_kind() -> list[str]:
    """Give the list of the folder, a file of it, and the file beside it."""
    return [next(oid for oid in in_cache() if oid.endswith(".dir")), a_file(), hash_of("data/model.h5")]


def hash_of(path: str) -> str:
    return hashlib.md5(Path(path).read_bytes()).hexdigest()


def test_what_a_side_lacks_is_what_is_absent_or_of_another_size() -> None:
    there = {"a": Stored(1, None), "b": Stored(2, None), "c": Stored(3, None)}
    assert lacking({"a", "b", "d"}, there, {"a": Stored(1, None), "b": Stored(9, None)}) == ["b", "d"]


def test_a_sample_has_every_list_of_a_folder_and_that_share_of_the_files() -> None:
    oids = [f"{number:032x}" for number in range(40)] + ["f" * 32 + ".dir"]
    chosen = verify.sampled(oids, 0.25, random.Random(1))
    assert chosen[0].endswith(".dir") and len(set(chosen)) == 11
    assert verify.sampled(oids[:1], 0.01, random.Random(1)) == oids[:1]


def test_the_committed_configuration_verifies_and_shares_no_file_with_the_cache() -> None:
    from dvc.config import Config

    committed = Config.load_file(ROOT / ".dvc/config")["cache"]
    assert committed == {"type": "reflink,copy", "verify": "true"}


def test_objects_are_named_by_path_in_order_and_not_by_the_thousand() -> None:
    needed = Needed({"1": "z", "2": "a", "3": "b"})
    assert needed.named(["1", "2"]) == "\n- a (2)\n- z (1)"
    assert needed.named(["1", "2", "3"], most=1) == "\n- a (2)\n- and 2 more; `make verify` names all"


def test_a_second_push_sends_nothing(clone: World, command) -> None:
    first = command(push)
    assert "Sent: 7 objects" in first and "the 7 objects" in first
    before = {blob.name: blob.etag for blob in clone.container.list_blobs()}
    assert "Sent: 0 objects" in command(push)
    assert before == {blob.name: blob.etag for blob in clone.container.list_blobs()}


def test_any_object_that_is_deleted_is_noticed_and_sent_again(clone: World, command) -> None:
    command(push)
    for oid in one_of_each_kind():
        name = clone.objects()[oid]
        clone.container.delete_blob(name)
        with pytest.raises(RemoteError, match=f"the remote cloud lacks 1 object:\n- .*{oid}"):
            command(verify)
        assert "Sent: 1 object" in command(push)
        assert clone.objects()[oid] == name
    command(verify)


def test_an_object_that_is_cut_short_is_sent_again(clone: World, command) -> None:
    command(push)
    for name in clone.objects().values():
        clone.container.upload_blob(name, clone.read(name)[:-1], overwrite=True)
    assert "Sent: 7 objects" in command(push)
    command(verify)


def test_one_bit_flipped_in_any_object_on_either_side_is_named(clone: World, command) -> None:
    command(push)
    for number, oid in enumerate(one_of_each_kind()):
        name = clone.objects()[oid]
        whole = clone.read(name)
        clone.flip(name, number * 1009)
        with pytest.raises(RemoteError, match=rf"the remote cloud has 1 damaged object:\n- data/\S+ \({oid}\)\n"):
            command(verify)
        clone.container.upload_blob(name, whole, overwrite=True)
        overwrite(cached(oid), flipped(whole, number * 1013))
        with pytest.raises(RemoteError, match=rf"the cache has 1 damaged object:\n- data/\S+ \({oid}\)\n"):
            command(verify)
        assert "has 1 damaged object, to be fetched again" in command(pull)
        assert cached(oid).read_bytes() == whole
    assert "read 7" in command(verify)


def test_what_is_damaged_here_is_never_sent(clone: World, command) -> None:
    oid = a_file()
    overwrite(cached(oid), flipped(cached(oid).read_bytes(), 5))
    with pytest.raises(RemoteError, match=rf"the cache has 1 damaged object, which the remote lacks:\n- \S+ \({oid}\)"):
        command(push)
    assert clone.objects() == {}


def test_what_neither_side_has_is_named_and_the_list_that_names_it_is_not_sent(clone: World, command) -> None:
    oid = a_file()
    cached(oid).unlink()
    with pytest.raises(RemoteError, match=rf"Neither side has 1 object:\n- \S+ \({oid}\)"):
        command(push)
    assert not any(there.endswith(".dir") for there in clone.objects())


def test_a_clone_without_data_sees_what_the_remote_lacks(clone: World, azurite: Azurite, command, monkeypatch) -> None:
    command(push)
    monkeypatch.chdir(another_clone(clone.clone, azurite, "other", "--depth=1"))
    assert "Sent: 0 objects" in command(push)
    oid, name = next((oid, name) for oid, name in clone.objects().items() if not oid.endswith(".dir"))
    clone.container.delete_blob(name)
    with pytest.raises(RemoteError, match=rf"Neither side has 1 object:\n- \S+ \({oid}\)"):
        command(push)


def test_commits_are_pushed_besides_the_workspace(clone: World, command) -> None:
    run("git", "tag", "model-001")
    shutil.rmtree("data/library")
    write_pictures("data/library", 3, seed=2)
    put_under_dvc("data/library")
    commit("Others")
    assert "the 5 objects" in command(push)
    assert "Sent: 6 objects" in command(push, "--commits", "model-001")
    with pytest.raises(RemoteError, match="unknown Git revision 'model-009'"):
        command(push, "--commits", "model-009")


def test_pull_names_a_flipped_bit_on_the_remote_and_keeps_none_of_it(
    clone: World, azurite: Azurite, command, monkeypatch
) -> None:
    command(push)
    oid, name = next((oid, name) for oid, name in clone.objects().items() if not oid.endswith(".dir"))
    whole = clone.read(name)
    clone.flip(name, 77)
    monkeypatch.chdir(another_clone(clone.clone, azurite))
    with pytest.raises(RemoteError, match=rf"the remote cloud has 1 damaged object:\n- \S+ \({oid}\)"):
        command(pull)
    assert not cached(oid).exists() and not Path("data/library").exists()
    clone.container.upload_blob(name, whole, overwrite=True)
    assert "fetched 1 of 7" in command(pull)
    assert "nothing, all was in place" in command(pull)


def test_a_download_that_breaks_off_leaves_nothing_that_is_taken_for_whole(
    clone: World, azurite: Azurite, command, monkeypatch
) -> None:
    """Of two that break off, DVC leaves the second's part under the object's name."""
    from dvc_azure.spec import AzureBlobFileSystem

    def break_off(self, rpath: str, lpath: str, **_) -> None:
        Path(lpath).write_bytes(clone.read(rpath.split("/", 1)[1])[:5])
        raise OSError("the line is cut")

    command(push)
    lost = [oid for oid in in_cache() if not oid.endswith(".dir")][:2]
    for oid in lost:
        cached(oid).unlink()
    with monkeypatch.context() as patch:
        patch.setattr(AzureBlobFileSystem, "get_file", break_off)
        with pytest.raises(RemoteError, match="2 objects could not be fetched, the first because: the line is cut"):
            command(pull)
    assert not set(lost) & set(in_cache())
    assert "fetched 2 of 7" in command(pull)
    command(verify)


def test_pull_keeps_what_is_damaged_here_until_it_has_better(clone: World, command) -> None:
    oid = a_file()
    command(push)
    overwrite(cached(oid), flipped(cached(oid).read_bytes(), 3))
    clone.container.delete_blob(clone.objects()[oid])
    with pytest.raises(RemoteError, match=rf"^the remote cloud lacks 1 object:\n- \S+ \({oid}\)\nWhat a clone"):
        command(pull)
    assert cached(oid).exists()


def test_without_a_remote_it_says_how_to_get_one(clone: World, command) -> None:
    Path(".dvc/config").write_text("[core]\n    analytics = false\n")
    Path(".dvc/config.local").unlink()
    with pytest.raises(RemoteError, match="no DVC remote is configured. `dvc remote add --default"):
        command(push)
    command(verify)
