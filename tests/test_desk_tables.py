"""The desk beside a run: tables that a run has taken away stay on the pages, and those that are gone for good go."""

from pathlib import Path

import pytest
from desks import prepared, writing

from curation import snapshot as snapshots
from curation.snapshot import Tables
from stages.tables.review import REVIEW


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """The tables of a prepared repository, looked at whenever they are asked for."""
    monkeypatch.setattr(snapshots, "_CHECKED_SECONDS", -1.0)
    with prepared(tmp_path, ("boots", "hat"), 4, 2):
        tables = Tables()
        assert len(tables.current().review)
        yield tables


def test_what_a_run_is_writing_stays_on_the_pages_until_it_is_there_again(tables):
    review = Path(REVIEW.path)
    before, content = tables.current(), review.read_bytes()
    with writing(REVIEW.path):
        review.unlink()
        assert tables.current() is before
        assert tables.notice == "A run is writing new tables; you see those from before it."
        review.write_bytes(content)
    assert len(tables.current().review) == len(before.review)
    assert tables.notice is None


def test_a_folder_that_a_run_is_writing_holds_its_tables(tables):
    before = tables.current()
    with writing(Path(REVIEW.path).parent):
        Path(REVIEW.path).unlink()
        assert tables.current() is before


@pytest.mark.parametrize("written", [None, "data/fingerprints.parquet"])
def test_a_table_that_no_run_is_writing_is_gone(tables, written):
    review = Path(REVIEW.path)
    if written is None:
        review.unlink()
        assert len(tables.current().review) == 0
    else:
        with writing(written):
            review.unlink()
            assert len(tables.current().review) == 0
    assert tables.notice is None


def test_a_run_that_was_killed_writes_nothing(tables, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 2**22 + 1)  # more than Linux has
    with writing(REVIEW.path):
        Path(REVIEW.path).unlink()
        assert len(tables.current().review) == 0
    assert tables.notice is None
