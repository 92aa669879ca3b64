"""Sorting many pictures at a time: which are shown, what a batch says before it is written, and its undo."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from desks import begin_again, prepared, said
from hypothesis import given, settings
from hypothesis import strategies as st
from repositories import commit

from curation import grids
from curation import snapshot as snapshots
from curation.actions import Row, why
from curation.grids import _part
from curation.ledger import Ledger
from curation.pages.page import Pressed
from curation.pages.sort import Filters, Sort, matching, read_filters
from curation.state import Desk
from curation.suggestions import reaching
from curation.upcoming import listed
from runtime.errors import InputError
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.identified import IDENTIFIED

ACTION = "0123456789ab"
IDS = [f"{number:032x}" for number in range(5)]


def described(world) -> pd.DataFrame:
    """Give the unlabelled pictures classes, confidences and filters that differ."""
    table = IDENTIFIED.read().set_index("image_id").loc[world.unlabelled]
    number = np.arange(len(table))
    table["class_1"] = np.array(["boots", "hat", "shirt"])[number % 3]
    table = table.assign(wanted=number % 2 == 0, low=number % 5 == 0, look_alike=number % 7 == 0, novel=number < 4)
    table["novel_group"] = pd.Series([1, 1, 2, None][: len(table)], table.index[:4], dtype="Int64")
    IDENTIFIED.write(table.reset_index().sort_values("path"))
    return table


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("sort"), num_unlabelled=30, num_pictures=12) as world:
        yield world, described(world)


@pytest.fixture
def world(shared):
    begin_again()
    return shared[0]


@pytest.fixture
def table(shared):
    return shared[1]


def keys(ledger=None, **query) -> list[str]:
    return list(Sort().keys(snapshots.read_snapshot(), ledger or Ledger(), {k: [v] for k, v in query.items()}))


def pressed(key, ids, name="") -> Pressed:
    return Pressed(key, ids, name, ACTION)


def batch(key, ids, name="", ledger=None):
    return Sort().batch(snapshots.read_snapshot(), ledger or Ledger(), pressed(key, ids, name))


def test_each_filter_shows_the_pictures_of_which_it_is_true(world, table):
    for name in ("wanted", "low", "look_alike", "novel", "high"):
        assert set(keys(**{name: "1"})) == set(table.index[table[name]])
    assert set(keys(**{"class": "hat"})) == set(table.index[table["class_1"] == "hat"])
    assert set(keys(least="70", most="90")) == set(table.index[table["confidence_1"].between(70, 90)])
    assert set(keys(group="1")) == set(world.unlabelled[:2])
    assert keys(unknown="1") == []
    both = keys(wanted="1", **{"class": "shirt"})
    assert set(both) == set(table.index[table["wanted"] & (table["class_1"] == "shirt")])


def test_an_address_with_what_is_no_number_is_refused():
    with pytest.raises(InputError, match="'many' is no number"):
        read_filters({"least": ["many"]})


@given(st.permutations(range(8)), st.data())
@settings(max_examples=50)
def test_a_filter_tells_of_each_picture_the_same_whatever_stands_around_it(order, data):
    frame = pd.DataFrame(
        {
            "path": [f"unlabelled/{n}.png" if n % 3 else f"library/unknown/{n}.png" for n in range(8)],
            "class_1": [f"c{n % 2}" for n in range(8)],
            "confidence_1": [12.5 * n for n in range(8)],
            "novel_group": pd.array([n % 3 or None for n in range(8)], "Int64"),
            **{name: [n % k == 0 for n in range(8)] for k, name in enumerate(("wanted", "high", "low", "novel"), 2)},
            "look_alike": False,
        }
    )
    only = data.draw(st.sets(st.sampled_from(["wanted", "high", "low", "novel", "unknown"]), max_size=2))
    filters = Filters(data.draw(st.sampled_from(["", "c0"])), data.draw(st.integers(0, 60)), 100, tuple(only), 0, "")
    whole = matching(frame, filters)
    moved = matching(frame.iloc[list(order)], filters)
    assert moved.to_dict() == whole.to_dict()


def test_more_like_this_goes_by_embedding_and_begins_with_the_picture_itself(world):
    vectors = np.load(EMBEDDINGS).astype(np.float64)
    row = {image_id: number for number, image_id in enumerate(EMBEDDED.read()["image_id"])}
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = world.unlabelled[5]
    cosine = {each: units[row[each]] @ units[row[chosen]] for each in world.unlabelled}
    assert keys(like=chosen) == sorted(world.unlabelled, key=lambda each: -cosine[each])


def test_one_picture_or_many_get_the_same_sub_class(world):
    tables = snapshots.read_snapshot()
    ids = [*world.unlabelled, *world.library["boots"], *world.library["boots_tall"]]
    many = tables.sub_classes_of("boots", ids)
    assert many == [tables.sub_class_for("boots", each) for each in ids]
    assert set(many) == {"boots", "boots_tall"}
    for image_id, chosen in zip(ids, many, strict=True):
        assert tables.images["sub_class"][tables.nearest(image_id, "boots", 1)[0]] == chosen


def test_a_batch_says_which_classes_reach_the_cut_off_and_what_resembles_a_benchmark(world):
    pairs = DUPLICATES.read()
    first = world.unlabelled[0]
    a, b = sorted([first, world.out_of_scope])
    extra = pairs.iloc[:1].assign(image_a=a, image_b=b, keep=world.out_of_scope)
    DUPLICATES.write(pd.concat([pairs, extra]).sort_values(["image_a", "image_b"]))
    try:
        params = Path("params.yaml")
        params.write_text(params.read_text().replace("minimum: 40", "minimum: 20"))
        found = batch("y", world.unlabelled)
        assert found.words[0].startswith("29 pictures will be labelled: 10 hat, 10 shirt, ")
        assert found.words[1:] == ["2 classes reach 20: hat, shirt.", "1 picture resembles a benchmark: left out."]
        assert [row.image_id for row in found.rows] == world.unlabelled[1:]
        with pytest.raises(InputError, match="nothing is left to write. 1 picture resembles a benchmark"):
            batch("y", [first])
        Desk().say("ana", [Row(a, "distinct", b, why("duplicates", action="a" * 12))])
        assert [row.image_id for row in batch("y", world.unlabelled, ledger=Desk().ledger).rows] == world.unlabelled
    finally:
        DUPLICATES.write(pairs)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50)),
    st.integers(1, 60),
)
def test_a_class_reaches_the_cut_off_once(before, added, minimum):
    reached = reaching(before, added, minimum)
    assert reached == sorted(reached)
    for name in "abcd":
        had = before.get(name, 0)
        assert (name in reached) == (had < minimum <= had + added.get(name, 0))


def test_the_rows_of_a_batch_say_that_the_model_suggested_them(world):
    rows = batch("y", world.unlabelled[1:3]).rows
    assert [row[:3] for row in rows] == [
        (world.unlabelled[1], "relabel", "hat"),
        (world.unlabelled[2], "relabel", "shirt"),
    ]
    assert rows[0].why == f"sort; accepted on the model's suggestion; model 1; said hat 97.3; bulk:{ACTION}"
    assert batch("y", world.unlabelled[1:2]).rows[0].why.endswith(f"; act:{ACTION}")


def test_a_batch_can_be_removed_for_a_reason_or_given_a_name(world):
    found = batch("d:blurred", world.unlabelled[:2])
    assert found.words == ["2 pictures will be removed: blurred."]
    assert [row[:3] for row in found.rows] == [(each, "remove", "") for each in world.unlabelled[:2]]
    found = batch("t", world.unlabelled[:2], "walrus")
    assert found.words == ["2 pictures will be labelled walrus (a new sub-class)."]
    assert [row.value for row in found.rows] == ["walrus", "walrus"]
    for key, name, message in (
        ("t", "../etc", "cannot be the name"),
        ("q", "", "means nothing"),
        ("d:ugly", "", "means"),
    ):
        with pytest.raises(InputError, match=message):
            batch(key, world.unlabelled[:2], name)


def test_what_was_decided_meanwhile_is_left_out(world):
    desk = Desk()
    desk.say("ben", [Row(world.unlabelled[0], "remove", "", why("label", action="b" * 12))])
    found = batch("d:dark", world.unlabelled[:3], ledger=desk.ledger)
    assert [row.image_id for row in found.rows] == world.unlabelled[1:3]
    assert found.words[1] == "1 picture decided already: left out."


@given(st.lists(st.integers(0, 29), min_size=2, max_size=30, unique=True), st.booleans(), st.data())
@settings(max_examples=25)
def test_undo_of_a_batch_brings_back_the_queue_as_it_was(shared, chosen, is_committed, data):
    for path in Path("data/decisions").glob("*.csv"):
        path.unlink()
    world, desk = shared[0], Desk()
    before = data.draw(st.lists(st.integers(0, 29), max_size=3, unique=True))
    for number in before:
        desk.say("ana", [Row(world.unlabelled[number], "remove", "", why("label", action=f"{number:012x}"))])
    tables = snapshots.read_snapshot()
    queue = list(Sort().keys(tables, desk.ledger, {}))
    ids = [world.unlabelled[number] for number in chosen if world.unlabelled[number] in queue]
    if len(ids) < 2:
        return
    rows = Sort().batch(tables, desk.ledger, pressed("d:dark", ids)).rows
    desk.say("ana", rows)
    assert list(Sort().keys(tables, desk.ledger, {})) == [each for each in queue if each not in ids]
    if is_committed:
        commit("The batch")
    assert {row.image_id for row in desk.undo("ana", "f" * 12)} == set(ids)
    assert list(Sort().keys(tables, desk.ledger, {})) == queue
    assert list(Sort().keys(tables, Desk().ledger, {})) == queue, "after a restart"


def test_five_thousand_rows_are_one_append_and_one_undo(world, monkeypatch):
    synced, desk = [], Desk()
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (synced.append(file), sync(file)))
    ids = [f"{number:032x}" for number in range(5000)]
    desk.say("ana", [Row(each, "remove", "", why("sort", "dark", action=ACTION, batch=True)) for each in ids])
    assert len(synced) == 2  # the file, and the folder that it is new in
    assert [row[0] for row in said()] == ids
    assert len(desk.undo("ana", "f" * 12)) == 5000
    assert said() == []


def test_parts_of_a_grid_hold_each_picture_once(world):
    desk = Desk()
    whole = _part(desk, "ana", Sort(), {}, "1")
    assert [cell["image_id"] for cell in whole["cells"]] == keys()
    assert _part(desk, "ana", Sort(), {}, "99")["part"] == 1
    assert _part(desk, "ana", Sort(), {"class": ["none"]}, "")["cells"] == []


def test_what_is_open_is_gone_through_once_until_somebody_decides(world):
    desk = Desk()
    before = listed(desk, "ana", Sort())
    assert listed(desk, "ana", Sort()) is before
    desk.say("ana", batch("y", before[:1]).rows)
    assert listed(desk, "ana", Sort()) == before[1:]


def test_of_what_is_open_no_more_is_marked_at_once_than_a_key_decides_about(world, monkeypatch):
    monkeypatch.setattr(grids, "MOST_MARKED", 5)
    assert grids._marked(Desk(), "ana", Sort(), {}) == {"ids": keys()[:5], "total": 30}
