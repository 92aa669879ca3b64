"""Broken and hostile pictures: no crash, and each a row that is read or has an error. bench/hostile.py measures."""

import random
import time

import pytest
from hostile import NUM, hostile, photo, saved

from stages.fingerprint import fingerprint

pytestmark = pytest.mark.slow

# Pictures of just as many pixels as are allowed are as quick as this is small.
LIMIT = 10**6
QUALITY = {"sharpness", "brightness", "highlights", "contrast"}
COLUMNS = QUALITY | {"chroma", "is_damaged", "width", "height", "format", "phash", "pixels", "thumbnail"}
COLUMNS |= {"taken_at", "camera"}


@pytest.fixture(scope="module")
def taken():
    """Row and seconds by the processor's clock of each picture."""
    rows = {}
    fingerprint(saved(photo(random.Random(0)), "PNG"), LIMIT)  # what is compiled is compiled once
    for name, data in hostile(0, LIMIT):
        begun = time.process_time()
        row = fingerprint(data, LIMIT)
        rows[name] = row, time.process_time() - begun
    return rows


def test_a_thousand_hostile_pictures_are_each_read_or_refused_with_a_reason(taken):
    assert len(taken) == NUM
    for name, (row, _) in taken.items():
        assert row.keys() in (COLUMNS, {"error"}), name
        assert row.get("error", "read"), name


def test_none_takes_long(taken):
    assert {name: seconds for name, (_, seconds) in taken.items() if seconds >= 2} == {}


def test_whole_pictures_of_every_kind_are_read_and_impostors_refused(taken):
    errors = {name: row.get("error") for name, (row, _) in taken.items()}
    for name, error in errors.items():
        assert (error is None) or not name.startswith(("whole.", "large_", "strip_")), name
        assert error or not name.startswith(("html.", "eps.", "pdf.", "svg.", "zip.", "text.", "random_", "larger.")), (
            name
        )


def test_a_cut_jpeg_or_png_is_never_taken_for_a_whole_one(taken):
    cut = {name: row for name, (row, _) in taken.items() if name.startswith("cut_") and name.endswith((".jpg", ".png"))}
    assert cut
    assert all("error" in row for name, row in cut.items() if "mpo" not in name and "animated" not in name)


def test_the_pixels_that_a_kind_may_have_are_its_share_of_the_limit(taken):
    assert "1000000) allows in a WEBP: 250000" in taken["larger.webp"][0]["error"]
    assert "scans of 1000 x 1000 pixels are too many to decode" in taken["scans_500_of_1.jpg"][0]["error"]
    assert "error" not in taken["scans_1190_of_100.jpg"][0]
