import random
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw, saved
from PIL import Image

from stages import fingerprint
from stages.images.taken import Taken, taken
from stages.tables.fingerprints import FINGERPRINTS

KINDS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF")
NOON = "2026:05:01 12:00:07"
AT_NOON = datetime(2026, 5, 1, 12, 0, 7)


def exif_of(time=NOON, make="Apple", model="iPhone 12", serial=None, tag=0x9003):
    exif = Image.Exif()
    inner = exif.get_ifd(0x8769)
    values = ((exif, 0x010F, make), (exif, 0x0110, model), (inner, tag, time), (inner, 0xA431, serial))
    for directory, number, value in values:
        if value is not None:
            directory[number] = value
    return exif


def taken_of(kind="JPEG", **values):
    return taken(saved(draw(1), kind, exif=exif_of(**values)))


@pytest.mark.parametrize("kind", KINDS)
def test_time_and_camera_are_read_from_every_format_that_cameras_write(kind):
    # Pillow writes no time into a TIFF.
    assert taken_of(kind) == Taken(None if kind == "TIFF" else AT_NOON, "Apple iPhone 12")


def test_the_time_of_a_tiff_is_read():
    """A TIFF is laid out as the block in a JPEG is: what stands there, read as a file of its own, says the same."""
    data = saved(draw(1), "JPEG", exif=exif_of())
    assert taken(data[data.index(b"Exif\0\0") + 6 :]) == Taken(AT_NOON, "Apple iPhone 12")


@pytest.mark.parametrize("kind", [*KINDS, "GIF", "BMP"])
def test_a_picture_without_exif_has_neither(kind):
    assert taken(saved(draw(1), kind)) == Taken(None, None)


@pytest.mark.parametrize(
    ("make", "model", "serial", "camera"),
    [
        ("Canon", "Canon EOS 5D", "0123", "Canon EOS 5D 0123"),
        ("", "EOS 5D", None, "EOS 5D"),
        ("Canon", None, None, "Canon"),
        (None, None, "0123", "0123"),
        (" ", "", None, None),
        ("a\nb\x07", "c  d", None, "ab c d"),
    ],
)
def test_the_camera_is_maker_model_and_serial_number(make, model, serial, camera):
    assert taken_of(make=make, model=model, serial=serial).camera == camera


@pytest.mark.parametrize(
    "time", ["0000:00:00 00:00:00", "2026:02:30 12:00:00", "    :  :     :  :  ", "yesterday", "", None, "2026:05:01"]
)
def test_a_time_that_is_none_is_null_and_the_camera_stays(time):
    assert taken_of(time=time) == Taken(None, "Apple iPhone 12")


def test_the_time_of_digitizing_stands_in_and_that_of_the_last_change_does_not():
    assert taken_of(tag=0x9004).taken_at == AT_NOON
    exif = Image.Exif()
    exif[0x0132] = NOON
    assert taken(saved(draw(1), "JPEG", exif=exif)) == Taken(None, None)


TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda time: time.replace(microsecond=0))
NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)


@given(TIMES, NAMES, st.sampled_from(["<", ">"]))
def test_what_pillow_writes_is_read(time, name, endian):
    exif = exif_of(time=f"{time.year:04d}:{time:%m:%d %H:%M:%S}", make=None, model=name)
    exif.endian = endian
    assert taken(saved(draw(1), "JPEG", exif=exif)) == Taken(time, name)


@given(st.binary(max_size=400), st.sampled_from(["JPEG", "PNG", "WEBP"]), st.booleans())
def test_a_hostile_block_gives_null_or_a_readable_text_and_never_an_error(content, kind, big_endian):
    block = b"Exif\0\0" + (b"MM\0*" if big_endian else b"II*\0") + content
    found = taken(saved(draw(1), kind, exif=block))
    assert found.camera is None or found.camera.isprintable()


@given(st.randoms(use_true_random=False))
def test_a_block_that_is_damaged_somewhere_is_never_an_error(random):
    data = bytearray(saved(draw(1), "JPEG", exif=exif_of(serial="0123")))
    for _ in range(random.randrange(1, 20)):
        data[random.randrange(2, 250)] = random.randrange(256)
    assert isinstance(taken(bytes(data)), Taken)


def test_thousands_of_entries_that_claim_the_same_megabyte_cost_nothing():
    entry = b"\x01\x0f" + b"\0\x02" + (2**31).to_bytes(4) + (8).to_bytes(4)
    block = b"MM\0*\0\0\0\x08" + (60_000).to_bytes(2) + entry * 60_000 + random.Random(0).randbytes(2**20)
    assert taken(saved(draw(1), "PNG", exif=block)).taken_at is None


def test_the_table_has_both(workspace):
    folder = workspace / "data/library/a"
    folder.mkdir()
    (folder / "1.jpg").write_bytes(saved(draw(1), "JPEG", exif=exif_of()))
    (folder / "2.jpg").write_bytes(saved(draw(2), "JPEG"))
    fingerprint.main()
    frame = FINGERPRINTS.read()
    assert frame["taken_at"].tolist()[0] == AT_NOON and frame["taken_at"].isna().tolist() == [False, True]
    assert frame["camera"].tolist()[0] == "Apple iPhone 12" and frame["camera"].isna().tolist() == [False, True]
