"""What a typed name means is the same wherever it is typed."""

import pytest
from desks import prepared
from repositories import write

from curation.blind import Sent, _row
from curation.ledger import Ledger
from curation.nominating import class_of_now
from curation.pages.classes import Classes
from curation.pages.double_check import DoubleCheck
from curation.pages.duplicates import Duplicates
from curation.pages.label import Label
from curation.pages.page import Pressed
from curation.pages.sort import Sort
from curation.snapshot import read_snapshot

NAMES = ("boots", "gloves", "shirt", "socks", " hat")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("naming"), NAMES) as world:
        write("data/classes.yaml", "merge: {clothes: [shirt, socks]}\nwas: {boots: [shoes]}\n")
        yield world


def labels(world, name) -> list[str]:
    """The sub-class that each page gives a picture of gloves, or one without a label, when a name is typed."""
    snapshot, ledger, gloves = read_snapshot(), Ledger(), world.library["gloves"][3]

    def typed(key, *image_ids):
        return snapshot, ledger, Pressed(key, image_ids, name, "0123456789ab")

    rows = [
        *DoubleCheck().rows(*typed("t", gloves)),
        *Label().rows(*typed("t", world.unlabelled[0])),
        *Duplicates().rows(*typed("r", *world.pairs[1])),
        *Sort().batch(*typed("t", world.unlabelled[0])).rows,
        *Classes().batch(*typed("t", gloves)).rows,
    ]
    assert len(rows) == 6
    return [row.value for row in rows]


def classes(name) -> list[str]:
    """The class that is meant on the other pages: Second look, the blind test, and Class."""
    snapshot = read_snapshot()
    row = _row(snapshot, Sent(1, 1, "", "t", name, None, ""))
    shown = Classes().around(snapshot, Ledger(), {"name": [name]})
    return [class_of_now(snapshot, name), row.value, shown["class_name"]]


@pytest.mark.parametrize(("typed", "meant"), [(" hat", " hat"), (" boots ", "boots"), ("boots", "boots")])
def test_spaces_around_it_count_only_where_a_class_has_them(world, typed, meant):
    assert {*labels(world, typed), *classes(typed)} == {meant}


def test_a_class_of_several_folders_and_an_old_name_mean_a_folder_of_now(world):
    assert {*labels(world, "shoes")} == {"boots"}
    assert {*labels(world, "clothes")} <= {"shirt", "socks"}
