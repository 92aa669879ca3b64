"""What of a user's folder is taken over, and what is refused before anything is copied."""

import os
from pathlib import Path

import pytest

from intake.folders import list_folder, require_apart
from runtime.errors import InputError


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"picture")
    return path


def test_files_of_sub_folders_are_listed_however_deep_and_counted_by_the_first(tmp_path: Path) -> None:
    for name in ("cap/1.png", "boots/new/deep/1.png", "boots/2.png"):
        picture(tmp_path / name)
    listing = list_folder(str(tmp_path), needs_sub_folders=True)
    assert listing.files == ("boots/2.png", "boots/new/deep/1.png", "cap/1.png")
    assert listing.counts == {"boots": 2, "cap": 1}


def test_litter_and_loose_files_are_left_out_and_counted(tmp_path: Path) -> None:
    for name in ("cap/1.png", "cap/.DS_Store", "cap/Thumbs.db", "__MACOSX/._1.png", ".git/config", "notes.txt"):
        picture(tmp_path / name)
    listing = list_folder(str(tmp_path), needs_sub_folders=True)
    assert (listing.files, listing.num_left_out) == (("cap/1.png",), 5)


def test_unlabelled_pictures_need_no_sub_folder_and_may_be_none(tmp_path: Path) -> None:
    assert list_folder(str(tmp_path), needs_sub_folders=False).files == ()
    picture(tmp_path / "1.png")
    assert list_folder(str(tmp_path), needs_sub_folders=False).files == ("1.png",)


def test_links_to_files_and_folders_are_followed(tmp_path: Path) -> None:
    picture(tmp_path / "store/caps/1.png")
    (tmp_path / "library/boots").mkdir(parents=True)
    (tmp_path / "library/cap").symlink_to(tmp_path / "store/caps")
    (tmp_path / "library/boots/2.png").symlink_to(tmp_path / "store/caps/1.png")
    assert list_folder(str(tmp_path / "library"), needs_sub_folders=True).files == ("boots/2.png", "cap/1.png")


def test_a_link_to_nowhere_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "cap/1.png")
    (tmp_path / "cap/2.png").symlink_to("gone.png")
    with pytest.raises(InputError, match=r"cap/2.png is a link to nowhere.*take it away"):
        list_folder(str(tmp_path), needs_sub_folders=True)


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=r"pipe is .* no file at all"):
        list_folder(str(tmp_path), needs_sub_folders=False)


def test_a_link_to_a_folder_around_it_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "cap/1.png")
    (tmp_path / "cap/all").symlink_to(tmp_path)
    with pytest.raises(InputError, match="cap/all is a link to .* in which it lies"):
        list_folder(str(tmp_path), needs_sub_folders=True)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "cap" / os.fsdecode(b"caf\xe9.png"))
    with pytest.raises(InputError, match=r"1 names are not UTF-8, the first is cap/caf\\xe9.png"):
        list_folder(str(tmp_path), needs_sub_folders=True)


def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(folder: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", denied)
    with pytest.raises(InputError, match=r"cannot be read: Permission denied"):
        list_folder(str(tmp_path), needs_sub_folders=False)


@pytest.mark.parametrize("made", [[], ["1.png"], ["cap/.hidden"]])
def test_a_library_without_files_in_sub_folders_is_refused(tmp_path: Path, made: list[str]) -> None:
    for name in made:
        picture(tmp_path / name)
    with pytest.raises(InputError, match="has no sub-folders with files: expected a folder per name"):
        list_folder(str(tmp_path), needs_sub_folders=True)


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", picture(tmp_path / "file")):
        with pytest.raises(InputError, match=f"{path} is not a folder"):
            list_folder(str(path), needs_sub_folders=True)


@pytest.mark.parametrize("folder", ["/clones/one", "/clones/one/data/library", "/clones", "/"])
def test_a_folder_in_or_around_the_clone_is_refused(folder: str) -> None:
    with pytest.raises(InputError, match="lie in each other: give a folder outside the clone"):
        require_apart([Path(folder)], Path("/clones/one"))


@pytest.mark.parametrize("other", ["/pictures", "/pictures/unlabelled"])
def test_two_folders_in_each_other_are_refused(other: str) -> None:
    with pytest.raises(InputError, match="give a folder of its own for each"):
        require_apart([Path("/pictures"), Path(other)], Path("/clone"))


def test_neighbours_are_apart() -> None:
    require_apart([Path("/a/pictures"), Path("/a/pictures-2")], Path("/a/clone"))
