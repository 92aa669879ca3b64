"""Crops of the two photographs that scikit-learn brings: a dahlia, and a pagoda by a lake."""

from functools import cache
from random import Random
from typing import NamedTuple

from PIL import Image
from sklearn.datasets import load_sample_images

Size = tuple[int, int]


class Region(NamedTuple):
    """A part of a photograph to cut crops from.

    Attributes:
        photograph: 0 is the pagoda, 1 the dahlia.
        box: left, upper, right, lower in pixels.
        sides: the shortest and the longest that a crop's longer side may be, in pixels.
    """

    photograph: int
    box: tuple[int, int, int, int]
    sides: tuple[int, int]


# What is out of scope comes from a part of the pagoda's photograph that no background comes from.
BACKGROUNDS = (Region(0, (0, 0, 430, 427), (60, 200)), Region(1, (0, 0, 640, 427), (60, 200)))
FLOWER = Region(1, (170, 85, 450, 355), (75, 180))
OUT_OF_SCOPE = Region(0, (430, 0, 640, 427), (60, 160))


def random_size(rng: Random) -> Size:
    """Draw a picture's width and height in pixels; one in three is square."""
    width, height = rng.randrange(60, 89), rng.randrange(60, 89)
    return (width, width) if rng.randrange(3) == 0 else (width, height)


def crop(region: Region, rng: Random) -> Image.Image:
    """Cut a random part out of a region and scale it to a random size.

    Args:
        region: where to cut.
        rng: is advanced.

    Returns:
        In mode RGB, 60 to 88 pixels wide and high.
    """
    size = random_size(rng)
    side = rng.randrange(region.sides[0], region.sides[1] + 1)
    width, height = (side * length // max(size) for length in size)
    left = rng.randrange(region.box[0], region.box[2] - width + 1)
    upper = rng.randrange(region.box[1], region.box[3] - height + 1)
    part = _photographs()[region.photograph].crop((left, upper, left + width, upper + height))
    return part.resize(size, Image.Resampling.BICUBIC)


def background(rng: Random) -> Image.Image:
    """Make a crop dark and low in contrast, so that light ink is legible on it."""
    image = crop(BACKGROUNDS[rng.randrange(len(BACKGROUNDS))], rng)
    level = rng.randrange(30, 80)
    return image.point([min(255, max(0, level + (value - 128) * 45 // 100)) for value in range(256)] * 3)


def board(rng: Random) -> Image.Image:
    """Make a plain dark board, as volunteers write on."""
    return Image.new("RGB", random_size(rng), (rng.randrange(20, 70), rng.randrange(20, 70), rng.randrange(20, 70)))


@cache
def _photographs() -> tuple[Image.Image, ...]:
    return tuple(Image.fromarray(pixels) for pixels in load_sample_images().images)
