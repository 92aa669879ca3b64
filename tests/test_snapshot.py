"""The desk notices the tables of a new run; while they are away or damaged it keeps those from before, and says so."""

from pathlib import Path

import pytest
from desks import prepared, writing

from curation import snapshot
from curation.frame import frame
from curation.snapshot import Tables
from curation.state import Desk
from runtime.errors import RetrainError
from stages.labels.classes import PATH as CLASSES
from stages.tables import predictions
from stages.tables.embeddings import EMBEDDINGS
from stages.tables.review import REVIEW

AWAY = "A run is writing new tables; you see those from before it."


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with prepared(tmp_path_factory.mktemp("snapshot"), num_pictures=3, num_unlabelled=1) as world:
        yield world


@pytest.fixture
def looking(world, monkeypatch):
    """Lets the desk look at its files whenever it is asked, and puts these back."""
    before = {path: Path(path).read_bytes() for path in (REVIEW.path, predictions.SCORES, EMBEDDINGS, CLASSES)}
    monkeypatch.setattr(snapshot, "_CHECKED_SECONDS", 0)
    yield before
    for path, content in before.items():
        put(path, content)


def put(path, content):
    """Write another file of that name, as a run does."""
    Path(path).unlink(missing_ok=True)
    Path(path).write_bytes(content)


def test_tables_of_a_new_run_are_noticed_once_the_interval_has_passed(world, looking, monkeypatch):
    tables = Tables()
    before = tables.current()
    REVIEW.write(REVIEW.read().iloc[1:])
    monkeypatch.setattr(snapshot, "_CHECKED_SECONDS", 10**9)
    assert tables.current() is before
    monkeypatch.setattr(snapshot, "_CHECKED_SECONDS", 0)
    assert tables.current().review.index.tolist() == world.review[1:]
    assert tables.current() is tables.current()
    assert tables.notice is None


@pytest.mark.parametrize("path", [REVIEW.path, predictions.SCORES, EMBEDDINGS, CLASSES])
@pytest.mark.parametrize(
    ("content", "words"), [(None, AWAY), (b"\0damaged", "New tables cannot be read yet; you see those from before.")]
)
def test_while_a_file_is_away_or_damaged_the_tables_from_before_stay_with_a_notice(looking, path, content, words):
    desk = Desk()
    before = desk.snapshot
    if content is None:
        Path(path).unlink()
    else:
        put(path, content)
    with writing(path):
        for _ in range(2):
            assert desk.snapshot is before
            assert [each[: len(words)] for each in frame(desk, "ana", "home", ())["now"]] == [words]
        put(path, looking[path])
    assert desk.snapshot is not before
    assert frame(desk, "ana", "home", ())["now"] == []


def test_a_table_that_is_damaged_at_the_start_is_refused_in_words(looking):
    put(REVIEW.path, b"no table")
    with pytest.raises(RetrainError, match=f"{REVIEW.path} is damaged"):
        Tables().current()
