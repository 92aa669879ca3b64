"""What the gateway makes of whatever it is sent: a picture without metadata and its faults, or a refusal in words."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hostile import hostile, scans
from pictures import draw, saved

from runtime import parameters
from serving.metadata import num_scans
from serving.prepare import Limits, Prepared, Refused, prepare
from stages.fingerprint import fingerprint
from stages.images.decode import decode
from stages.images.faults import find_faults
from stages.images.letterbox import letterbox

MAX_PIXELS = 10**6
QUALITY = parameters.read(parameters.Quality).model_copy(update={"min_sharpness": 0.2})
LIMITS = Limits(MAX_PIXELS, QUALITY, 0.2)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "AVIF"])
@pytest.mark.parametrize("light", [1.0, 0.2])
def test_faults_and_pixels_are_those_that_the_stages_would_find_in_the_picture_that_is_kept(kind, light):
    data = saved(draw(5, (300, 80)).point(lambda value: round(value * light)), kind)
    prepared = prepare(data, {32, 64}, LIMITS)
    measured = fingerprint(prepared.kept, MAX_PIXELS)
    (faults,) = find_faults(pd.DataFrame([measured]), QUALITY)
    assert ", ".join(prepared.faults) == faults
    assert (prepared.width, prepared.height, prepared.format) == (300, 80, kind)
    for side, pixels in prepared.pixels.items():
        np.testing.assert_array_equal(pixels, letterbox(decode(data, MAX_PIXELS).image, side))


@pytest.mark.parametrize(("pixels", "most"), [(MAX_PIXELS // 100, 99), (MAX_PIXELS, 10)])
def test_a_jpeg_of_more_scans_than_its_size_allows_is_refused_before_it_is_decoded(pixels, most, monkeypatch):
    one_too_many = scans(pixels, most - 5 + 1)  # five come before the one that is repeated
    decode(one_too_many, MAX_PIXELS)  # `evaluate` reads it
    assert isinstance(prepare(scans(pixels, most - 5), {32}, LIMITS), Prepared)
    monkeypatch.setattr("serving.prepare.decode_small", None)
    refused = prepare(one_too_many, {32}, LIMITS)
    words = f"it has {most + 1} scans, and at most {most} are taken in a JPEG of its size"
    assert refused == Refused(422, f"This picture cannot be read: {words}. Send another one.")


@pytest.mark.parametrize(("mode", "side", "number"), [("L", 1000, 6), ("RGB", 1000, 10), ("CMYK", 740, 18)])
def test_what_encoders_write_is_taken_up_to_the_largest_size(mode, side, number):
    data = saved(draw(5, (side, side)).convert(mode), "JPEG", progressive=True)
    assert num_scans(data) == number
    assert isinstance(prepare(data, {32}, LIMITS), Prepared)


def test_scans_of_thumbnails_and_of_what_is_behind_the_picture_do_not_count():
    other = saved(draw(1), "JPEG", progressive=True)
    data = saved(draw(5), "JPEG", progressive=True, exif=b"Exif\0\0" + 10 * other) + 10 * other
    assert isinstance(prepare(data, {32}, LIMITS), Prepared)


@pytest.mark.slow
def test_a_thousand_broken_and_hostile_files_are_each_answered_or_refused_in_words():
    statuses: Counter[int] = Counter()
    for name, data in hostile(1, MAX_PIXELS):
        made = prepare(data, {32}, LIMITS)
        statuses[made.status if isinstance(made, Refused) else 200] += 1
        if isinstance(made, Refused):
            assert made.words.endswith((".",)), name
            assert len(made.words) < 400, name
    assert statuses.keys() == {200, 413, 415, 422}
    assert statuses[200] > 100
