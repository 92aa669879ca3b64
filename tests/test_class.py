"""The grid of a class: who is in it as people decided, in which order, and what moving does."""

import numpy as np
import pytest
from desks import begin_again, forget, prepared, said
from hypothesis import given, settings
from hypothesis import strategies as st

from curation import snapshot as snapshots
from curation.actions import Row, why
from curation.ledger import Ledger
from curation.pages.classes import Classes, listing, members
from curation.pages.page import Pressed
from curation.state import Desk
from runtime.errors import InputError
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS

ACTION = "0123456789ab"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("class"), num_pictures=8) as world:
        yield world


@pytest.fixture
def world(shared):
    begin_again()
    return shared


def keys(name, ledger=None, **query) -> list[str]:
    query = {"name": [name], **{key: [value] for key, value in query.items()}}
    return list(Classes().keys(snapshots.read_snapshot(), ledger or Ledger(), query))


def batch(key, ids, name="", ledger=None):
    return Classes().batch(snapshots.read_snapshot(), ledger or Ledger(), Pressed(key, ids, name, ACTION))


def row(image_id, decision, value="", action="a" * 12) -> Row:
    return Row(image_id, decision, value, why("class", action=action))


def test_the_strangest_comes_first_by_the_distance_to_the_mean_of_the_others(world):
    vectors = np.load(EMBEDDINGS).astype(np.float64)
    number = {image_id: row for row, image_id in enumerate(EMBEDDED.read()["image_id"])}
    units = {each: vectors[number[each]] / np.linalg.norm(vectors[number[each]]) for each in number}
    hats = world.library["hat"]

    def cosine(image_id):
        mean = sum(units[each] for each in hats if each != image_id)
        return units[image_id] @ mean / np.linalg.norm(mean)

    assert keys("hat") == sorted(hats, key=cosine)


def test_a_class_has_its_sub_classes_pictures_and_a_sub_class_its_own(world):
    both = {*world.library["boots"], *world.library["boots_tall"]}
    assert set(keys("boots")) == both
    assert set(keys("boots", only="boots")) == set(world.library["boots"])
    assert set(keys("boots_tall")) == set(world.library["boots_tall"])
    with pytest.raises(InputError, match="there is no class and no sub-class 'bots'"):
        Classes().around(snapshots.read_snapshot(), Ledger(), {"name": ["boots"], "beside": ["bots"]})


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["remove", "hat", "shirt", "fez", "undo"])), max_size=8))
@settings(max_examples=40)
def test_each_picture_is_in_one_class_as_people_decided(shared, steps):
    forget()
    tables, desk, hats = snapshots.read_snapshot(), Desk(), shared.library["hat"]
    expected = dict.fromkeys(hats, "hat")
    for number, (picture, what) in enumerate(steps):
        plain = what in ("remove", "undo")
        desk.say("ana", [row(hats[picture], what if plain else "relabel", "" if plain else what, f"{number:012x}")])
        expected[hats[picture]] = {"remove": "", "undo": "hat"}.get(what, what)
        if what == "remove":
            expected[hats[picture]] = ""
    for name in ("hat", "fez", "shirt"):
        wanted = {each for each in hats if expected[each] == name} | set(shared.library.get(name, [])) - set(hats)
        if wanted:
            assert set(members(tables, desk.ledger, name)) == wanted
            order = list(Classes().keys(tables, desk.ledger, {"name": [name]}))
            assert sorted(order) == sorted(wanted)
            assert order == list(Classes().keys(tables, Desk().ledger, {"name": [name]})), "after a restart"
    counts = {name: number for name, number, _ in listing(tables, desk.ledger)}
    assert counts["hat"] == sum(each == "hat" for each in expected.values())


def test_those_that_a_person_confirmed_come_last(world):
    first, *rest = keys("hat")
    desk = Desk()
    desk.say("ana", batch("k", [first]).rows)
    assert said() == [(first, "relabel", "hat")]
    assert keys("hat", desk.ledger) == [*rest, first]


def test_moving_leaves_out_what_is_there_already_and_names_a_new_sub_class(world):
    hats, shirts = world.library["hat"], world.library["shirt"]
    found = batch("t", [hats[0], shirts[0], hats[1]], "shirt")
    assert [row[:3] for row in found.rows] == [(hats[0], "relabel", "shirt"), (hats[1], "relabel", "shirt")]
    assert found.words == ["2 pictures will be labelled shirt.", "1 picture there already: left out."]
    found = batch("t", hats[:2], "fez")
    assert found.words == [
        "2 pictures will be labelled fez (a new sub-class).",
        "The new sub-class is made when somebody runs `make intake`.",
    ]
    assert found.rows[0].why == f"class; model 1; said shirt 98.0; bulk:{ACTION}"
    with pytest.raises(InputError, match="nothing is left to write. 2 pictures there already"):
        batch("t", hats[:2], "hat")
    with pytest.raises(InputError, match="nothing is left to write. 1 picture not here any more"):
        batch("k", world.unlabelled[:1])
    with pytest.raises(InputError, match="cannot be the name"):
        batch("t", hats[:1], "a/b")


def test_a_split_is_taken_back_as_one(world):
    desk, hats = Desk(), world.library["hat"]
    before = keys("hat")
    desk.say("ana", batch("t", hats[:5], "fez").rows)
    assert set(keys("fez", desk.ledger)) == set(hats[:5])
    assert set(keys("hat", desk.ledger)) == set(hats[5:])
    desk.undo("ana", "f" * 12)
    assert keys("hat", desk.ledger) == before
    assert keys("fez", desk.ledger) == []
