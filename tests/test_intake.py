"""`make intake`: what people decided about unlabelled pictures is carried out by renames, once."""

import logging
import re
import shutil
from hashlib import md5
from pathlib import Path

import pandas as pd
import pytest
import yaml
from clones import put_under_dvc
from conftest import ROOT
from harvests import answered, transaction, write_harvest
from repositories import commit, dvc, run, surroundings, write

from intake import accepted, from_production
from intake.accepted import Move, plan, with_unknown
from runtime import parameters
from runtime.digest import md5_of_file
from runtime.errors import InputError
from stages.labels.classes import read_classes
from stages.labels.decisions import Decision, Verdicts, settle
from stages.labels.folders import list_paths
from stages.labels.sources import find_sources

LINE = "{},{},{},2026-01-0{}T00:00:00.000Z,\n"


def verdicts(removed=(), relabelled=None) -> Verdicts:
    return Verdicts(frozenset(removed), frozenset(), relabelled or {}, frozenset(), frozenset(), ())


def test_accepted_pictures_go_to_their_folders_and_removed_ones_aside():
    files = {"unlabelled/1.jpg": "a" * 32, "unlabelled/in/2.jpg": "b" * 32, "unlabelled/3.jpg": "c" * 32}
    assert plan(files, verdicts(["b" * 32], {"a" * 32: "boots"}), ["hat"], {}) == [
        Move("unlabelled/1.jpg", "library/boots/1.jpg", "a" * 32),
        Move("unlabelled/in/2.jpg", "set_aside/2.jpg", "b" * 32),
    ]


def test_a_picture_of_the_library_moves_only_to_a_sub_class_that_has_no_folder_yet():
    files = {"library/hat/1.jpg": "a" * 32, "library/hat/2.jpg": "b" * 32, "library/boots/3.jpg": "c" * 32}
    said = verdicts(relabelled={"a" * 32: "cap", "b" * 32: "boots", "c" * 32: "boots"})
    assert plan(files, said, ["hat", "boots"], {}) == [Move("library/hat/1.jpg", "library/cap/1.jpg", "a" * 32)]


def test_two_files_of_one_name_both_stay():
    files = {"unlabelled/x/1.jpg": "a" * 32, "unlabelled/y/1.jpg": "b" * 32, "library/hat/1.jpg": "c" * 32}
    moves = plan(files, verdicts(relabelled={"a" * 32: "hat", "b" * 32: "hat"}), ["hat"], {})
    assert [each.target for each in moves] == ["library/hat/1-aaaaaaaa.jpg", "library/hat/1-bbbbbbbb.jpg"]


def test_a_removed_picture_does_not_take_the_place_of_one_that_was_set_aside_before(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("data/set_aside/1.jpg", "removed last week")
    write("data/unlabelled/1.jpg", "removed today")
    write("data/unlabelled/2.jpg", "no double")
    now, before, double = "unlabelled/1.jpg", "set_aside/1.jpg", "unlabelled/2.jpg"
    ids = {path: md5_of_file(Path("data", path)) for path in (now, before, double)}
    accepted.move(plan({now: ids[now]}, verdicts([ids[now]]), [], {before: ids[before]}))
    assert {path.read_text() for path in Path("data/set_aside").iterdir()} == {"removed last week", "removed today"}
    with pytest.raises(InputError, match="data/set_aside/1.jpg is another picture than data/unlabelled/2.jpg"):
        accepted.move([Move(double, before, ids[double])])
    assert Path("data/unlabelled/2.jpg").exists()


@pytest.mark.parametrize(
    "name", ["../../.git/hooks", "", " ", "a/b", ".", "..", "Thumbs.db", "boots~", "a\n", "x" * 101]
)
def test_a_name_that_no_folder_can_have_moves_nothing(name):
    with pytest.raises(InputError, match=r"a{32} is relabelled to .*, which cannot be the name of a folder"):
        plan({"unlabelled/1.jpg": "a" * 32}, verdicts(relabelled={"a" * 32: name}), ["hat"], {})


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
    path, folders = tmp_path / "classes.yaml", ["cat", "dog", "rat", "unknown_bird", "unknown: x", "unknown, or [not]"]
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


@pytest.mark.slow
@pytest.mark.parametrize("num_moved", [0, 1, 2])
def test_a_killed_intake_makes_no_class_of_pictures_that_nobody_knows_and_the_next_one_goes_on(
    tmp_path, monkeypatch, num_moved
):
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet", "--initial-branch=main")
        dvc("init", "--quiet")
        names = ["library/hat/1.png", "unlabelled/1.png", "unlabelled/2.png"]
        for name in names:
            write(f"data/{name}", name)
        put_under_dvc("data/library", "data/unlabelled")
        write("data/classes.yaml", "was:\n  hat: [unknown_hat]\n")
        said = [(names[0], "unknown_hat"), *((name, "unknown_x, y") for name in names[1:])]
        rows = "".join(LINE.format(md5(name.encode()).hexdigest(), "relabel", f'"{to}"', 1) for name, to in said)
        write("data/decisions/ana.csv", f"image_id,decision,value,on,why\n{rows}")
        commit("Decisions")

        def killed(moves):
            move(moves[:num_moved])
            raise KeyboardInterrupt

        move = accepted.move
        monkeypatch.setattr(accepted, "move", killed)
        with pytest.raises(KeyboardInterrupt):
            accepted.main()
        named = yaml.safe_load(Path("data/classes.yaml").read_text())["origin"]["unknown"]
        assert {path.name for path in Path("data/library").iterdir()} <= {"hat", *named}
        monkeypatch.setattr(accepted, "move", move)
        accepted.main()
        assert yaml.safe_load(Path("data/classes.yaml").read_text()) == {
            "was": {"hat": ["unknown_hat"]}, "origin": {"unknown": ["unknown_x, y"]},
        }  # fmt: skip
        assert {path.name for path in Path("data/library/unknown_x, y").iterdir()} == {"1.png", "2.png"}


@pytest.mark.slow
def test_what_users_sent_and_people_named_is_brought_once_with_its_sender_and_what_was_forgotten_is_not(
    tmp_path, caplog
):
    caplog.set_level(logging.INFO)
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet")
        dvc("init", "--quiet")
        write("data/classes.yaml", "")
        write("data/library/hat/1.png", "a hat")
        put_under_dvc("data/library")
        shutil.copy(ROOT / parameters.PATH, parameters.PATH)
        rows = [answered(number, "hat", user_hash="0123456789abcdef01234567") for number in range(1, 4)]
        rows += [answered(4, "hat"), answered(5, "hat"), answered(6, "hat"), answered(7, "hat", of=1)]
        write_harvest(*(row for row in rows if row["transaction_id"] != transaction(3)))  # the third was forgotten
        names = ("hat", "hat", "hat", "hat", None, "lamp")
        said = [(row["image_id"], name) for row, name in zip(rows, names, strict=False) if name]
        lines = [LINE.format(image_id, "relabel", name, 1) for image_id, name in said]
        lines.append(LINE.format(rows[1]["image_id"], "remove", "", 2))
        write("data/decisions/ana.csv", "image_id,decision,value,on,why\n" + "".join(lines))
        accepted.main()
        one, four = rows[0]["image_id"], rows[3]["image_id"]
        assert {path.name for path in Path("data/library/hat").iterdir()} == {
            "1.png", f"0123456789ab_{one}.png", f"{four}.png",
        }  # fmt: skip
        assert all(md5_of_file(Path("data/library/hat", name)) == one for name in [f"0123456789ab_{one}.png"])
        assert "intake: 2 pictures that users sent to data/library/hat" in caplog.text
        assert "intake: 2 pictures moved. Commit data/library.dvc" in caplog.text
        assert "lamp" not in {path.name for path in Path("data/library").iterdir()}
        assert "a user's pictures may both train and judge: merge.source_pattern in params.yaml does not" in caplog.text
        before = Path("data/library.dvc").read_bytes()
        caplog.clear()
        accepted.main()
        assert "nothing waits" in caplog.text and Path("data/library.dvc").read_bytes() == before


def test_the_guide_s_source_pattern_finds_the_senders_of_users_pictures_and_takes_no_other_name_for_one(
    tmp_path, monkeypatch
):
    (pattern,) = re.findall(r"`merge\.source_pattern` of\s`([^`]+)`", (ROOT / "docs/guide/gateway.md").read_text())
    assert pattern == from_production.SOURCE_PATTERN
    monkeypatch.chdir(tmp_path)
    rows = [answered(number, "hat", user_hash=user) for number, user in enumerate(("0123456789abcdef", "f" * 24, None))]
    write_harvest(*rows)
    senders = from_production.senders_of(rows)
    said = verdicts(relabelled=dict.fromkeys(senders, "hat"))
    brought = from_production.plan(senders, said, ["hat"], ())
    from_production.bring(brought)
    write("data/library/hat/IMG_0001.jpg", "a")
    write("data/library/hat/IMG_9.jpg", "b")
    paths = list_paths("library")
    files = pd.DataFrame({"path": paths, "set": "library", "group": None, "taken_at": pd.NaT, "camera": None})
    found = find_sources(files, pattern, None)["source"].dropna()
    assert sorted(found) == ["0123456789ab", "f" * 12]
    assert len(paths) == 5
    assert from_production.have_sources(brought, pattern)
    assert not from_production.have_sources(brought, None)
    assert not from_production.have_sources(brought, "library/(IMG)_")
    assert from_production.have_sources([each for each in brought if not each.sender], None)


def nominated(person: str, *rows: tuple[str, str, str, str]) -> None:
    """Write a person's nominations and second looks."""
    lines = "".join(f"{','.join(row)},2026-01-01T00:00:00.000Z,\n" for row in rows)
    write(f"data/nominations/{person}.csv", f"image_id,said,benchmark,value,on,why\n{lines}")


@pytest.fixture
def with_nominations(tmp_path):
    """A repository with a library and a benchmark, and ten harvested pictures that people said things of."""
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet")
        dvc("init", "--quiet")
        write("data/classes.yaml", "")
        shutil.copy(ROOT / parameters.PATH, parameters.PATH)
        write("data/library/hat/1.png", "a hat")
        write("data/library/boots/1.png", "boots")
        write("data/benchmarks/most_common/hat/1.png", "a common hat")
        put_under_dvc("data/library", "data/benchmarks")
        rows = [answered(number, "hat", user_hash="0123456789abcdef01234567") for number in range(1, 10)]
        ids = [row["image_id"] for row in rows]
        write_harvest(*rows[:8], answered(10, "hat"))  # the ninth was forgotten
        ids.append(answered(10, "hat")["image_id"])
        difficult = [(ids[number], "nominated", "difficult", "hat") for number in (0, 2, 3, 4, 5, 8)]
        common = [(ids[9], "nominated", "most_common", "boots"), (ids[7], "nominated", "most_common", "cap")]
        nominated("ana", *difficult, (ids[1], "nominated", "out_of_scope", ""), *common)
        named = [(ids[number], "named", "", "hat") for number in (0, 4, 5, 8)]
        named += [(ids[7], "named", "", "cap"), (ids[9], "named", "", "boots"), (ids[2], "named", "", "boots")]
        nominated("ben", *named, (ids[1], "no_class", "", ""))
        said = [LINE.format(ids[4], "relabel", "hat", 1), LINE.format(ids[5], "remove", "", 1)]
        said += [LINE.format(ids[6], "relabel", "hat", 1), LINE.format(ids[3], "relabel", "boots", 1)]
        write("data/decisions/carl.csv", "image_id,decision,value,on,why\n" + "".join(said))
        commit("What people said")
        yield ids


def brought_files() -> set[str]:
    """The files of the library and the benchmarks that came from users."""
    found = {path for name in ("library", "benchmarks") for path in Path("data", name).rglob("*.png")}
    assert all(path.name == "1.png" or md5_of_file(path) == path.stem[-32:] for path in found)
    return {path.relative_to("data").as_posix() for path in found if path.name != "1.png"}


def expected_files(ids) -> set[str]:
    return {
        f"benchmarks/difficult/hat/0123456789ab_{ids[0]}.png",
        f"benchmarks/out_of_scope/0123456789ab_{ids[1]}.png",
        f"benchmarks/most_common/boots/{ids[9]}.png",
        f"library/hat/0123456789ab_{ids[6]}.png",
    }


@pytest.mark.slow
def test_what_two_people_agree_about_is_brought_to_its_benchmark_once_and_nothing_else(with_nominations, caplog):
    caplog.set_level(logging.INFO)
    ids = with_nominations
    accepted.main()
    assert brought_files() == expected_files(ids)
    for folder in ("benchmarks/difficult/hat", "benchmarks/most_common/boots", "benchmarks/out_of_scope"):
        assert f"intake: 1 picture that users sent to data/{folder}" in caplog.text
    assert "intake: 4 pictures moved. Commit data/library.dvc, data/benchmarks.dvc" in caplog.text
    both = ", ".join(sorted((ids[3], ids[4])))
    assert f"and given a sub-class of the library, so not brought: {both}. Take one back" in caplog.text
    assert "intake: 1 nominated picture not brought: no class cap" in caplog.text
    assert not dvc("status").strip().startswith("data")
    commit("Intake")
    caplog.clear()
    accepted.main()
    assert "intake: nothing waits" in caplog.text and not run("git", "status", "--porcelain")
    # What is said afterwards does not bring the same picture to the other side.
    nominated("dora", (ids[6], "nominated", "difficult", "hat"))
    nominated("emil", (ids[6], "named", "", "hat"))
    text = LINE.format(ids[6], "undo", "", 2) + LINE.format(ids[0], "relabel", "hat", 2)
    write("data/decisions/carl.csv", Path("data/decisions/carl.csv").read_text() + text)
    accepted.main()
    assert brought_files() == expected_files(ids)


@pytest.mark.slow
@pytest.mark.parametrize("killed_in", ["bring", "_record"])
def test_a_killed_intake_leaves_whole_pictures_and_the_next_one_goes_on_with_the_benchmarks(
    with_nominations, monkeypatch, killed_in
):
    def killed(pictures=()):
        bring(pictures[:2])
        raise KeyboardInterrupt

    bring = from_production.bring
    with monkeypatch.context() as patched:
        patched.setattr(*(from_production, "bring") if killed_in == "bring" else (accepted, "_record"), killed)
        with pytest.raises(KeyboardInterrupt):
            accepted.main()
    assert brought_files() < expected_files(with_nominations) or killed_in == "_record"
    accepted.main()
    assert brought_files() == expected_files(with_nominations)
    assert not dvc("status").strip().startswith("data")


def test_a_picture_that_is_not_the_one_that_was_fetched_is_not_brought(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_harvest(row := answered(1, "hat"))
    Path("build/harvest/pictures", row["image_id"]).write_bytes(b"\x89PNG, but another")
    (brought,) = from_production.plan({row["image_id"]: ""}, verdicts(relabelled={row["image_id"]: "hat"}), ["hat"], ())
    with pytest.raises(InputError, match="is not the picture that was fetched. Delete it; `make harvest`"):
        from_production.bring([brought])
    assert not Path("data").exists()


@pytest.mark.parametrize("sender", ["../../../x", "/etc/x", "a/b", "a_b", "nul\0", "\N{RIGHT-TO-LEFT OVERRIDE}a"])
def test_a_sender_that_is_no_hash_does_not_say_where_a_picture_goes(sender):
    senders = from_production.senders_of([{"image_id": "a" * 32, "user_hash": sender}])
    (brought,) = from_production.plan(senders, verdicts(relabelled={"a" * 32: "hat"}), ["hat"], ())
    assert brought == ("a" * 32, "library/hat", "")


def test_the_latest_word_of_two_people_is_carried_out():
    said = [Decision(None, person, 2, "a" * 32, "relabel", value, "") for person, value in (("ana", "x"), ("ben", "y"))]
    assert plan({"unlabelled/1.jpg": "a" * 32}, settle(said), [], {})[0].target == "library/y/1.jpg"
