"""`make intake`: what people decided about unlabelled pictures is carried out by renames, once."""

import logging
from hashlib import md5
from pathlib import Path

import pytest
import yaml
from clones import put_under_dvc
from repositories import commit, dvc, run, surroundings, write

from intake import accepted
from intake.accepted import Move, plan, with_unknown
from stages.labels.classes import read_classes
from stages.labels.decisions import Decision, Verdicts, settle

LINE = "{},{},{},2026-01-0{}T00:00:00.000Z,\n"


def verdicts(removed=(), relabelled=None) -> Verdicts:
    return Verdicts(frozenset(removed), frozenset(), relabelled or {}, frozenset(), frozenset(), ())


def test_accepted_pictures_go_to_their_folders_and_removed_ones_aside():
    files = {"unlabelled/1.jpg": "a" * 32, "unlabelled/in/2.jpg": "b" * 32, "unlabelled/3.jpg": "c" * 32}
    assert plan(files, verdicts(["b" * 32], {"a" * 32: "boots"}), ["hat"]) == [
        Move("unlabelled/1.jpg", "library/boots/1.jpg", "a" * 32),
        Move("unlabelled/in/2.jpg", "set_aside/2.jpg", "b" * 32),
    ]


def test_a_picture_of_the_library_moves_only_to_a_sub_class_that_has_no_folder_yet():
    files = {"library/hat/1.jpg": "a" * 32, "library/hat/2.jpg": "b" * 32, "library/boots/3.jpg": "c" * 32}
    said = verdicts(relabelled={"a" * 32: "cap", "b" * 32: "boots", "c" * 32: "boots"})
    assert plan(files, said, ["hat", "boots"]) == [Move("library/hat/1.jpg", "library/cap/1.jpg", "a" * 32)]


def test_two_files_of_one_name_both_stay():
    files = {"unlabelled/x/1.jpg": "a" * 32, "unlabelled/y/1.jpg": "b" * 32, "library/hat/1.jpg": "c" * 32}
    moves = plan(files, verdicts(relabelled={"a" * 32: "hat", "b" * 32: "hat"}), ["hat"])
    assert [each.target for each in moves] == ["library/hat/1-aaaaaaaa.jpg", "library/hat/1-bbbbbbbb.jpg"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "merge:\n  pet: [cat, dog]\n",
        "origin:\n  staged: [dog] # ours\n",
        "origin:\n  unknown: [cat] # who knows\n  staged: [dog]\n",
        "origin:\n  unknown:\n  - cat\n",
        "origin: # of the folders\n  unknown:\n    - cat\n    - dog # the last\nmerge:\n  pet: [rat]\n",
    ],
)
def test_a_new_unknown_sub_class_is_called_so_and_all_else_stays(tmp_path, text):
    path, folders = tmp_path / "classes.yaml", ["cat", "dog", "rat", "unknown_bird", "unknown: x"]
    path.write_text(with_unknown(text, folders[3:]))
    (tmp_path / "before.yaml").write_text(text)
    before, now = read_classes(tmp_path / "before.yaml", folders), read_classes(path, folders)
    assert now.origins == before.origins | dict.fromkeys(folders[3:], "unknown")
    assert {**now.class_names, **dict.fromkeys(folders[3:])} == {**before.class_names, **dict.fromkeys(folders[3:])}
    assert all(comment in path.read_text() for comment in text.split("\n") if comment.startswith("#"))


@pytest.mark.slow
def test_intake_moves_records_and_run_twice_does_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet", "--initial-branch=main")
        dvc("init", "--quiet")
        ids = {}
        for name in ("library/hat/1.png", *(f"unlabelled/{number}.png" for number in range(4))):
            write(f"data/{name}", f"the picture {name}")
            ids[name] = md5(f"the picture {name}".encode()).hexdigest()
        put_under_dvc("data/library", "data/unlabelled")
        write("data/classes.yaml", "")
        rows = (("0", "relabel", "hat"), ("1", "relabel", "walrus"), ("2", "remove", ""), ("3", "relabel", "unknown_x"))
        text = "".join(LINE.format(ids[f"unlabelled/{name}.png"], what, value, 1) for name, what, value in rows)
        write("data/decisions/ana.csv", f"image_id,decision,value,on,why\n{text}")
        commit("Decisions")
        accepted.main()
        found = sorted(str(path.relative_to("data")) for path in Path("data").rglob("*.png"))
        assert found == [
            "library/hat/0.png", "library/hat/1.png", "library/unknown_x/3.png", "library/walrus/1.png",
            "set_aside/2.png",
        ]  # fmt: skip
        assert yaml.safe_load(Path("data/classes.yaml").read_text()) == {"origin": {"unknown": ["unknown_x"]}}
        assert "1 picture to data/library/walrus, a new sub-class" in caplog.text
        assert "data/library.dvc, data/unlabelled.dvc, data/set_aside.dvc" in caplog.text
        assert not dvc("status").strip().startswith("data")
        commit("Intake")
        caplog.clear()
        accepted.main()
        assert "intake: nothing waits" in caplog.text
        assert not run("git", "status", "--porcelain")


def test_the_latest_word_of_two_people_is_carried_out():
    said = [Decision(None, person, 2, "a" * 32, "relabel", value, "") for person, value in (("ana", "x"), ("ben", "y"))]
    assert plan({"unlabelled/1.jpg": "a" * 32}, settle(said), [])[0].target == "library/y/1.jpg"
