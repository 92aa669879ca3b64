"""What the gateway makes of whatever it is sent: a picture without metadata and its faults, or a refusal in words."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hostile import hostile
from pictures import draw, saved

from runtime import parameters
from serving.prepare import Limits, Refused, prepare
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
