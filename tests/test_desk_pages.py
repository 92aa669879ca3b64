"""What the desk's pages show and what their keys write, without a browser."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import combinations, permutations, repeat
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pandas as pd
import pytest
from desks import prepared
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import write

from curation import home, renditions
from curation.actions import Row, why
from curation.frame import after
from curation.framing import framed
from curation.ledger import Ledger
from curation.pages import duplicates
from curation.pages.double_check import NUM_EXAMPLES, DoubleCheck
from curation.pages.duplicates import Duplicates, groups
from curation.pages.label import Label
from curation.pages.page import Pressed, short
from curation.pages.sort import Sort
from curation.snapshot import Rows, Snapshot, read_snapshot
from curation.state import Desk
from curation.web import press
from runtime.errors import InputError
from stages.labels.decisions import Decision
from stages.tables import predictions
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW

NOW = datetime(2026, 11, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("pages")) as world:
        yield world


@pytest.fixture(scope="module")
def tables(world):
    return read_snapshot()


def pressed(image_ids, key, name=""):
    return Pressed(key, [image_ids] if isinstance(image_ids, str) else image_ids, name, "0123456789ab")


def decided(rows) -> Ledger:
    return Ledger(Decision(NOW, "ana", number, *row) for number, row in enumerate(rows))


@pytest.mark.parametrize("is_there", [True, False])
def test_a_library_without_a_pair_has_no_group_to_decide(world, is_there):
    path = Path(DUPLICATES.path)
    before, pairs = path.read_bytes(), DUPLICATES.read()
    DUPLICATES.write(pairs.iloc[:0]) if is_there else path.unlink()
    snapshot = read_snapshot()
    path.write_bytes(before)
    assert len(groups(snapshot, Ledger())) == 0
    assert list(Duplicates().keys(snapshot, Ledger(), {})) == []


def test_a_key_writes_the_name_that_a_class_has_now_and_none_that_it_has_no_more(world):
    """The model was trained before hat was called hat and shirt was dissolved."""
    old = {"hat": "cap", "shirt": "blouse"}
    before = {path: Path(path).read_bytes() for path in (predictions.CLASSES, IDENTIFIED.path, "data/classes.yaml")}
    write(predictions.CLASSES, json.dumps([old.get(each, each) for each in json.loads(before[predictions.CLASSES])]))
    IDENTIFIED.write(IDENTIFIED.read().replace(old))
    write("data/classes.yaml", before["data/classes.yaml"].decode() + "was:\n  hat: [cap]\n")
    snapshot, ledger = read_snapshot(), Ledger()
    for path, content in before.items():
        Path(path).write_bytes(content)

    boots, hat = (next(i for i in world.review if world.label_of(i) == name) for name in ("boots", "hat"))
    check, label, unlabelled = DoubleCheck(), Label(), world.unlabelled[0]
    assert check.item(snapshot, ledger, boots)["prediction"] == "hat"
    assert check.rows(snapshot, ledger, pressed(boots, "is:hat"))[0].value == "hat"
    assert check.item(snapshot, ledger, hat)["prediction"] is None
    assert ("blouse", None) in [each[::2] for each in check.item(snapshot, ledger, hat)["choices"]]
    assert [each[2] for each in label.item(snapshot, ledger, unlabelled)["choices"]] == ["boots", "hat", None]
    for page, image_id in ((check, hat), (label, unlabelled)):
        for name in ("blouse", ""):
            with pytest.raises(InputError, match=f"there is no sub-class '{name}' any more. Nothing was written"):
                page.rows(snapshot, ledger, pressed(image_id, f"is:{name}"))


def test_a_group_that_was_given_another_label_comes_back_with_that(world):
    page, pairs = Duplicates(), DUPLICATES.read()
    a, b = world.pairs[0]
    before = Path(DUPLICATES.path).read_bytes()
    DUPLICATES.write(pairs.assign(label_conflict=pairs["image_a"] == world.pairs[-1][0]))
    snapshot = read_snapshot()
    Path(DUPLICATES.path).write_bytes(before)
    ledger = decided(page.rows(snapshot, Ledger(), pressed((a, b), "r", "hat")))
    item = page.item(snapshot, ledger, a)
    assert [each["label"] for each in item["pictures"]] == ["hat", "hat"]
    assert not item["conflict"]
    one = decided(page.rows(snapshot, Ledger(), pressed((a, b), "r", "hat"))[:1])
    assert page.item(snapshot, one, a)["conflict"]
    assert next(iter(groups(snapshot, one))) == min(a, world.pairs[-1][0])
    with pytest.raises(InputError, match="is a 'hat' already"):
        page.rows(snapshot, ledger, pressed((a, b), "r", "hat"))
    assert page.rows(snapshot, ledger, pressed((a, b), f"keep:{b}"))[0][:2] == (b, "keep")


def test_a_label_that_was_said_still_counts_once_the_picture_is_kept_among_duplicates(world):
    a, b = world.pairs[0]
    said = [(a, "relabel", "hat", ""), (a, "keep", "", ""), (b, "keep", "", "")]
    ledger = decided(said)
    assert (ledger.is_decided(a), ledger.is_decided(b)) == (True, False)
    assert not decided([*said, (a, "undo", "", "")]).is_decided(a)


def with_table(snapshot, table, **columns) -> Snapshot:
    """The same tables, but for columns of one."""
    return replace(snapshot, tables=snapshot.tables | {table: snapshot.tables[table].assign(**columns)})


def pairs_of(*pairs) -> pd.DataFrame:
    rows = [(*pair, "near", 3, 0.97, "none", pair[0], False) for pair in pairs]
    return pd.DataFrame(rows, columns=DUPLICATES.schema.names)


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ([("A", "B"), ("B", "C")], [("D", "E")]),
        ([("B", "A"), ("C", "B")], [("D", "E")]),
        ([("A", "B")], [("A", "C"), ("B", "C"), ("D", "E")]),
        ([("A", "B"), ("D", "E")], [("A", "C"), ("B", "C")]),
    ],
)
def test_what_follows_from_a_is_b_and_b_is_c_is_not_asked(world, said, asked):
    """Whether A and C show the same does; of D and E nothing does."""
    of = dict(zip("ABCDE", sorted(world.library["hat"][:3]) + sorted(world.library["shirt"][:2]), strict=True))
    table = pairs_of(*((of[a], of[b]) for a, b in (("A", "B"), ("A", "C"), ("B", "C"), ("D", "E"))))
    snapshot = replace(read_snapshot(), tables={**read_snapshot().tables, DUPLICATES: table})
    found = groups(snapshot, decided([(of[a], "duplicate", of[b], "by hand") for a, b in said]))
    open_pairs = [(a, b) for pairs in found.values() for a, b in zip(pairs["image_a"], pairs["image_b"], strict=True)]
    assert sorted(open_pairs) == sorted((of[a], of[b]) for a, b in asked)


IDS = [f"{number:032x}" for number in range(30)]


def only_pairs(known, *pairs) -> Snapshot:
    """Tables of these pairs alone, else as they are known."""
    files = pd.DataFrame({"image_id": IDS, "path": IDS, "width": 48, "height": 48, "format": "PNG"})
    files = files.assign(sharpness=0.5, chroma=0.5).reindex(columns=known.tables[FINGERPRINTS].columns)
    return replace(known, tables=known.tables | {DUPLICATES: pairs_of(*sorted(pairs)), FINGERPRINTS: files})


def joined(parents, more) -> set:
    """Pairs that make one group: each picture with one before it, and some more."""
    found = {(parent % number, number) for number, parent in enumerate(parents, 1)}
    found |= {tuple(sorted((a % (len(parents) + 1), b % (len(parents) + 1)))) for a, b in more}
    return {(IDS[a], IDS[b]) for a, b in found if a != b}


numbers = st.integers(0, 29)


@pytest.mark.parametrize("size", [2, 9, 10, 12, 30])
@pytest.mark.parametrize("key", ["a", "keep", "same"])
def test_one_key_after_another_ends_a_group_of_any_size(tables, size, key):
    answer_all(only_pairs(tables, *combinations(IDS[:size], 2)), repeat((key, 0)))


@settings(max_examples=60)
@given(st.lists(numbers, min_size=1, max_size=13), st.lists(st.tuples(numbers, numbers)), st.data())
def test_whatever_is_said_of_a_group_ends_it_and_keeps_one_of_two_that_are_not_different(tables, parents, more, data):
    keys = st.tuples(st.sampled_from(["a", "keep", "same"]), numbers)
    answer_all(only_pairs(tables, *joined(parents, more)), iter(lambda: data.draw(keys), None))


def answer_all(snapshot, keys) -> None:
    """Answer what is asked, each time by a key and the number of the picture that it keeps, until nothing is left."""
    page, ledger, number = Duplicates(), Ledger(), 0
    pairs = set(zip(*(snapshot.tables[DUPLICATES][each] for each in ("image_a", "image_b")), strict=True))
    while key := next(page.keys(snapshot, ledger, {}), None):
        item, (letter, kept) = page.item(snapshot, ledger, key), next(keys)
        ids = item["image_ids"]
        kept = ids[kept % len(ids)]
        rows = page.rows(snapshot, ledger, pressed(ids, letter if letter == "a" else f"{letter}:{kept}"))
        assert rows
        assert {each for row in rows for each in (row.image_id, row.value)} <= {*ids, ""}, "nobody saw the others"
        ledger.add(Decision(NOW, "ana", number, *row) for row in rows)
        number += 1
        assert number <= 3 * len(pairs) + 2
    said = {pair: ledger.answer(pair[0], "pair", pair[1]) for pair in pairs}
    different = {pair for pair, answer in said.items() if answer and answer.decision == "distinct"}
    stay = {each for each in IDS if (answer := ledger.answer(each, "fate")) and answer.decision == "keep"}
    assert {pair for pair in pairs if {*pair} <= stay} <= different


def test_of_a_large_group_pictures_are_shown_that_pairs_join_and_how_many_there_are(tables):
    """The first nine of a star have no pair among them."""
    snapshot = only_pairs(tables, *((each, IDS[20]) for each in IDS[:12]))
    item = Duplicates().item(snapshot, Ledger(), IDS[0])
    assert (item["image_ids"], item["shown"]) == ([*IDS[:8], IDS[20]], "9 of 13")
    rows = Duplicates().rows(snapshot, Ledger(), pressed(item["image_ids"], "a"))
    assert [row[:3] for row in rows] == [(each, "distinct", IDS[20]) for each in IDS[:8]]
    assert Duplicates().item(snapshot, decided(rows), IDS[8])["shown"] == "5"


def test_a_key_that_writes_nothing_is_refused(world, monkeypatch):
    monkeypatch.setattr(Duplicates, "rows", lambda *_: [])
    with pytest.raises(InputError, match="this key decides nothing here. Nothing was written"):
        press(Desk(), "ana", Duplicates(), pressed(world.pairs[0], "a"), False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"width": 49}, ["more pixels"]),
        ({"width": 96, "height": 24}, []),
        ({"sharpness": 0.56}, ["sharper"]),
        ({"sharpness": 0.54}, []),
        ({"others_chroma": 0.01}, ["in colour"]),
        ({"others_chroma": 0.01, "chroma": 0.01}, []),
        ({"trained": True}, ["already trained on"]),
        ({"others_trained": True}, []),
        ({"width": 49, "sharpness": 0.6, "others_chroma": 0.0, "trained": True},
         ["more pixels", "sharper", "in colour", "already trained on"]),
    ],
)  # fmt: skip
def test_the_words_beside_a_picture_say_what_speaks_for_it_among_its_group(world, changes, words):
    a, b = world.pairs[0]
    files = read_snapshot().tables[FINGERPRINTS].set_index("image_id")
    files.loc[b, "chroma"] = changes.get("others_chroma", 0.5)
    for name in changes.keys() & {"width", "height", "sharpness", "chroma"}:
        files.loc[a, name] = changes[name]
    trained = {each for each, name in ((a, "trained"), (b, "others_trained")) if changes.get(name)}
    snapshot = with_table(replace(read_snapshot(), trained=frozenset(trained)), FINGERPRINTS, **files.reset_index())
    told = {each["image_id"]: each["words"] for each in Duplicates().item(snapshot, Ledger(), min(a, b))["pictures"]}
    assert told[a] == [f"{changes.get('width', 48)} \N{MULTIPLICATION SIGN} {changes.get('height', 48)}", "PNG", *words]


def test_a_picture_stands_beside_the_nearest_and_the_typical_one_of_its_label_and_of_the_guess(world):
    """They are those of a search through all; near-duplicates of the picture are none."""
    snapshot, image_id = read_snapshot(), next(each for each in world.review if world.label_of(each) == "hat")
    ids = EMBEDDED.read()["image_id"].tolist()
    vectors = np.load(EMBEDDINGS).astype(float)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = vectors[ids.index(image_id)]

    def ordered(name, by):
        return sorted(world.library[name], key=lambda each: -vectors[ids.index(each)] @ by)

    likest = {name: [each for each in ordered(name, own) if each != image_id] for name in ("hat", "shirt")}
    item = DoubleCheck().item(snapshot, Ledger(), image_id)
    assert [(each["name"], each["kind"]) for each in item["examples"]] == [("hat", "label"), ("shirt", "guess")]
    for each in item["examples"]:
        middle = sum(vectors[ids.index(other)] for other in world.library[each["name"]])
        assert each["nearest"] == likest[each["name"]][:NUM_EXAMPLES]
        assert each["typical"] == ordered(each["name"], middle)[0]
    copy = likest["hat"][0]
    groups_of = snapshot.tables[IMAGES]["image_id"].replace({copy: image_id})
    item = DoubleCheck().item(with_table(snapshot, IMAGES, group=groups_of), Ledger(), image_id)
    assert item["examples"][0]["nearest"] == likest["hat"][1:][:NUM_EXAMPLES]


def test_a_picture_is_shown_with_the_three_best_of_the_model_and_why_it_is_here(world):
    snapshot, image_id = read_snapshot(), next(each for each in world.review if world.label_of(each) == "hat")
    ids = predictions.ROWS.read()["image_id"]
    scores = np.where((ids == image_id).to_numpy()[:, None], [0.0625, 0.25, 0.0, 0.5, 0.125], [1.0, 0, 0, 0, 0])
    told = replace(snapshot, class_names=list("abcde"), scores=Rows(scores))
    item = DoubleCheck().item(told, Ledger(), image_id)
    assert [each[:2] for each in item["choices"]] == [("d", 50), ("b", 25), ("e", 12.5)]
    assert (item["predicted"], item["confidence"]) == ("d", 50)
    assert item["notes"] == ["wrong and confident", "48 \N{MULTIPLICATION SIGN} 48"]
    told = with_table(
        snapshot, REVIEW, reason="wrong", also="probably_mislabelled, near_across_split", suggested="shirt"
    )
    told = with_table(told, IMAGES, faults="dark", source="site 7")
    assert DoubleCheck().item(told, Ledger(), image_id)["notes"] == [
        "wrong", "probably mislabelled", "nearly the same as a training picture", "pictures like it are shirt", "dark",
        "48 \N{MULTIPLICATION SIGN} 48", "from site 7",
    ]  # fmt: skip
    assert "in the benchmark out_of_scope" in DoubleCheck().item(snapshot, Ledger(), world.out_of_scope)["notes"]


def test_double_check_goes_on_without_a_picture_that_is_gone(world):
    """A file was deleted and `merge` has run; the review is of the run before."""
    snapshot, gone = read_snapshot(), world.review[0]
    images = snapshot.tables[IMAGES]
    snapshot = replace(snapshot, tables={**snapshot.tables, IMAGES: images[images["image_id"] != gone]})
    keys = list(DoubleCheck().keys(snapshot, Ledger(), {}))
    assert keys == world.review[1:]
    assert [DoubleCheck().item(snapshot, Ledger(), each)["image_id"] for each in keys] == keys


def test_what_the_desk_put_among_the_unknown_can_be_sorted(world):
    snapshot, (image_id, other) = read_snapshot(), world.unlabelled[:2]
    paths = snapshot.tables[IDENTIFIED]["path"].mask(
        snapshot.tables[IDENTIFIED]["image_id"] == image_id, "library/unknown/1.png"
    )
    classes = replace(snapshot.classes, origins={**snapshot.classes.origins, "unknown": "unknown"})
    snapshot = replace(with_table(snapshot, IDENTIFIED, path=paths), classes=classes)
    page = Sort()

    def asked(ledger):
        return [image_id in page.keys(snapshot, ledger, each) for each in ({"unknown": ["1"]}, {})]

    put = Label().rows(snapshot, Ledger(), pressed(image_id, "u"))
    assert asked(decided(put)) == [True, False]
    named = page.batch(snapshot, decided(put), pressed(image_id, "t", "hat")).rows
    assert [row[:3] for row in named] == [(image_id, "relabel", "hat")]
    assert asked(decided([*put, *named])) == [False, False]
    waits = Label().rows(snapshot, Ledger(), pressed(other, "u"))  # for `make intake`
    with pytest.raises(InputError, match="1 picture decided already"):
        page.batch(snapshot, decided(waits), pressed(other, "t", "hat"))


def test_a_picture_that_gave_way_to_its_duplicate_is_not_said_to_be_removed_for_the_model(world):
    rows = Duplicates().rows(read_snapshot(), Ledger(), pressed(world.pairs[0], f"keep:{world.pairs[0][0]}"))
    assert [short(row, None) for row in rows] == ["kept", "removed"]


def test_what_a_button_showed_is_written_or_nothing(world):
    snapshot, image_id = read_snapshot(), world.unlabelled[0]
    assert Label().rows(snapshot, Ledger(), pressed(image_id, "u:unknown"))[0].value == "unknown"
    with pytest.raises(InputError, match="what nobody knows is 'unknown' now. Nothing was written"):
        Label().rows(snapshot, Ledger(), pressed(image_id, "u:unknown_shoe"))
    assert Sort().batch(snapshot, Ledger(), pressed(image_id, "y", "boots")).rows[0].value.startswith("boots")
    with pytest.raises(InputError, match="the model says 'boots' of this picture now. Nothing was written"):
        Sort().batch(snapshot, Ledger(), pressed(image_id, "y", "hat"))


def test_pictures_are_chosen_whose_class_was_learned_from_staged_ones(world):
    staged = world.library["boots_tall"][:3]
    before = {table: table.read() for table in (IMAGES, predictions.ROWS)}
    images, rows = before[IMAGES], before[predictions.ROWS]
    IMAGES.write(images.assign(origin=images["origin"].mask(images["image_id"].isin(staged), "staged")))
    none = list(Sort().keys(read_snapshot(), Ledger(), {"staged": ["1"]}))
    predictions.ROWS.write(rows.assign(split=rows["split"].mask(rows["image_id"].isin(staged), "train")))
    snapshot = read_snapshot()
    for table, frame in before.items():
        table.write(frame)
    assert none == []  # there are some, and the model learned nothing from them
    assert snapshot.staged == {"boots"}
    found = list(Sort().keys(snapshot, Ledger(), {"staged": ["1"]}))
    assert found == [each for each in snapshot.identified.index if snapshot.identified["class_1"][each] == "boots"]
    assert found
    assert "its class was learned from staged pictures too" in Sort().cell(snapshot, Ledger(), found[0])["notes"]


def test_a_key_on_duplicates_collects_the_groups_once(world, monkeypatch):
    snapshot, ledger, collected = read_snapshot(), Ledger(), []
    collect = duplicates._groups
    monkeypatch.setattr(duplicates, "_groups", lambda *given: (collected.append(1), collect(*given))[1])
    page = Duplicates()
    for number in range(2):
        key = next(page.keys(snapshot, ledger, {}))
        item = page.item(snapshot, ledger, key)
        rows = page.rows(snapshot, ledger, pressed(item["image_ids"], "a"))
        assert len(collected) == number + 1
        ledger.add(Decision(NOW, "ana", number, *row) for row in rows)
    assert key not in groups(snapshot, ledger)
    assert groups(read_snapshot(), ledger) is not groups(snapshot, ledger)


def test_two_threads_never_write_one_file(tmp_path, monkeypatch):
    cache, both, written = renditions.Renditions(tmp_path), Barrier(2), []
    monkeypatch.setattr(renditions, "render", lambda *_: (both.wait(10), b"rendered")[1])
    write_bytes = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, data: (written.append(path), write_bytes(path, data))[1])
    threads = [Thread(target=cache.get, args=("a" * 32, 256, bytes, 1)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(written)) == 2
    assert [path.name for path in tmp_path.rglob("*.*")] == [f"{'a' * 32}.jpg"]


def test_what_turns_letters_around_is_shown_by_its_number_in_the_last_ten(world):
    desk = Desk()
    desk.say("ana", [Row(world.review[0], "relabel", "a\N{RIGHT-TO-LEFT OVERRIDE}b", why("label", action="a" * 12))])
    assert "aU+202Eb" in after(desk, "ana")["last"][-1]["text"]
    desk.undo("ana", "b" * 12)


def test_rows_of_a_matrix_are_read_and_none_of_its_file_stays_in_memory(tmp_path):
    path = tmp_path / "scores.npy"
    np.save(path, np.arange(2**20, dtype=np.float32).reshape(2**10, 2**10))
    rows = Rows(np.load(path, mmap_mode="r"))
    assert rows[3].tolist() == list(range(3 * 2**10, 4 * 2**10))
    assert rows[np.array([1023, 0])][:, 0].tolist() == [1023 * 2**10, 0]
    lines = Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.endswith(str(path)))
    assert next(line.split()[1:] for line in lines[start:] if line.startswith("Rss:")) == ["0", "kB"]


def test_of_no_rows_nothing_is_mapped():
    assert Rows(np.empty((0, 4), np.float32))[np.array([], np.int64)].shape == (0, 4)


def framing(number, original, copy) -> list[Decision]:
    rows = ((original, "duplicate", copy), (original, "remove", ""))
    return [
        Decision(NOW, "ana", 2 * number + line, *row, why("frame", action=f"{number:012x}"))
        for line, row in enumerate(rows)
    ]


@pytest.mark.parametrize("ids", list(permutations(("1" * 32, "2" * 32, "3" * 32))))
def test_the_copy_of_a_copy_can_be_framed_too(ids):
    first, second, third = ids
    ledger = Ledger([*framing(0, first, second), *framing(1, second, third)])
    assert [framed(ledger, each) for each in ids] == [second, third, None]


def test_a_group_is_shown_without_a_picture_that_is_gone(world):
    pairs, files = DUPLICATES.read(), FINGERPRINTS.read()
    before = {path: Path(path).read_bytes() for path in (DUPLICATES.path, FINGERPRINTS.path)}
    a, b, c = ids = sorted(world.library["hat"][:3])
    others = pairs[~pairs["image_a"].isin(ids)]
    more = [pairs.iloc[0].to_dict() | {"image_a": a, "image_b": each, "keep": a} for each in (b, c)]
    DUPLICATES.write(pd.concat([pd.DataFrame(more), others])[pairs.columns].sort_values(["image_a", "image_b"]))
    FINGERPRINTS.write(files[~files["image_id"].isin([c, others["image_b"].iloc[0]])])
    snapshot, page = read_snapshot(), Duplicates()
    for path, content in before.items():
        Path(path).write_bytes(content)
    items = {key: page.item(snapshot, Ledger(), key) for key in page.keys(snapshot, Ledger(), {})}
    assert items[a]["image_ids"] == [a, b]
    assert set(items) == {a, *others["image_a"].iloc[1:]}


def test_what_waits_for_intake_are_the_pictures_that_it_would_move(world):
    hats, unlabelled = world.library["hat"], world.unlabelled
    rows = [
        (hats[0], "relabel", "fez"),  # a sub-class that has no folder yet
        (hats[1], "relabel", "shirt"),
        (hats[2], "relabel", "fez"),
        (hats[2], "remove", ""),
        (unlabelled[0], "relabel", "hat"),
        (unlabelled[1], "remove", ""),
        (unlabelled[2], "keep", ""),
    ]
    write("data/decisions/ana.csv", "image_id,decision,value,on,why\n" + "".join(
        f"{','.join(row)},2026-01-01T00:00:{number:02}.000Z,by hand\n" for number, row in enumerate(rows)
    ))  # fmt: skip
    desk = Desk()
    assert home.contents(desk, "ana")["waiting"] == 3
    source = next(Path("data/library/hat", name) for name in ("0.png", "1.png"))
    (moved := Path("data/library/fez", source.name)).parent.mkdir()
    source.rename(moved)
    assert home.contents(desk, "ana")["waiting"] == 2
    moved.rename(source)
    moved.parent.rmdir()
    with Path("data/decisions/ana.csv").open("a") as file:
        file.write(f"{unlabelled[3]},relabel,..,2026-01-02T00:00:00.000Z,by hand\n")
    desk.refresh()
    found = home.contents(desk, "ana")
    assert (found["waiting"], "cannot be the name of a folder" in found["in_the_way"]) == (0, True)
    Path("data/decisions/ana.csv").unlink()
