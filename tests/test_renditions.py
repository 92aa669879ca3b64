"""Renditions of pictures: upright, in a cache that drops what was used least recently."""

import os
from io import BytesIO

import numpy as np
import pytest
from pictures import draw, exif_of, saved
from PIL import Image, ImageOps

from curation.renditions import Renditions, render

MANY = 10**6  # pixels


def test_what_was_used_least_recently_is_dropped_first_also_after_a_restart(tmp_path):
    picture, rendered = saved(draw(0), "PNG"), []
    size = len(render(picture, 256, MANY))

    def use(letters):
        cache = Renditions(tmp_path, 3 * size)
        for letter in letters:
            cache.get(letter * 32, 256, lambda: (rendered.append(letter), picture)[1], MANY)  # noqa: B023
        return "".join(sorted(path.name[0] for path in tmp_path.rglob("*.jpg")))

    assert use("abcad") == "acd"
    assert rendered == ["a", "b", "c", "d"]
    for second, letter in enumerate("dca"):
        os.utime(tmp_path / f"256/{letter * 2}/{letter * 32}.jpg", (second, second))
    assert use("d") == "acd"
    assert use("e") == "ade"
    assert rendered == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_rendition_is_upright_and_the_browser_is_told_to_turn_nothing(orientation):
    stored = draw(1, (80, 60))
    stored.getexif()[0x0112] = orientation
    upright = ImageOps.exif_transpose(stored)
    file = saved(stored, "PNG", exif=exif_of(orientation))
    shown = Image.open(BytesIO(render(file, 256, MANY)))
    assert shown.size == upright.size
    assert np.abs(np.asarray(shown, float) - np.asarray(upright, float)).mean() < 5
    assert 0x0112 not in shown.getexif()
