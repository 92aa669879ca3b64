"""Decide which original goes where, and draw it, before anything is planted."""

from collections.abc import Callable, Iterable
from functools import partial
from itertools import accumulate, count, pairwise
from random import Random

from PIL import Image

from sample.drawing import draw_digit
from sample.files import degrade, to_jpeg, to_png
from sample.originals import NAMES, RENDERED_ZERO, Cells, has_bar, load_originals
from sample.photographs import FLOWER, OUT_OF_SCOPE, background, board, crop

Pictures = dict[str, bytes]
Draw = Callable[[Random], Image.Image]

# Real pictures in the library of the classes that are short of them; the other digits have some 160.
RARE = {"zero": 46, "six": 118}
NUM_STAGED = 8
NUM_SYNTHETIC = 12
NUM_FLOWERS = 37
NUM_UNLABELLED_FLOWERS = 8
NUM_OUT_OF_SCOPE = 36
NUM_UNLABELLED_OUT_OF_SCOPE = 8
# Of each digit, from the most typical original to the least: clean, difficult, the library's, unlabelled, unknown.
NUM_CLEAN = 3
NUM_CLEAN_RARE = 6
NUM_DIFFICULT = 3
NUM_UNLABELLED = 8
NUM_UNLABELLED_ZEROS = 20
NUM_UNKNOWN = 2

LEAN = 36
LEAN_DIFFICULT = 56
# Pictures whose first take happened to be within dedup.distance of another's: they are drawn from another seed.
_SECOND_TAKES = frozenset(
    f"library/{stem}"
    for stem in (
        "seven_crossed/seven-079",
        "five/five-034",
        "five/five-081",
        "four/four-096",
        "nine/nine-029",
        "six/six-044",
        "two/two-033",
    )
)


def arrange() -> Pictures:
    """Draw every picture but the planted ones.

    Returns:
        Path relative to data/ to the file's bytes.
    """
    pictures: Pictures = {}
    unknown: list[Draw] = []
    for name, originals in zip(NAMES, load_originals(), strict=True):
        pictures |= _digit(name, originals[:-NUM_UNKNOWN])
        unknown += map(on_desk, originals[-NUM_UNKNOWN:])
    pictures |= _series("library/unknown_digit", "unknown", unknown)
    pictures |= _series("library/zero_synthetic", "zero", [on_board(RENDERED_ZERO)] * NUM_SYNTHETIC)
    flower, lake = partial(crop, FLOWER), partial(crop, OUT_OF_SCOPE)
    pictures |= _series("library/flower", "flower", [flower] * NUM_FLOWERS)
    pictures |= _series("unlabelled", "flower", [flower] * NUM_UNLABELLED_FLOWERS)
    pictures |= _series("unlabelled", "lake", [lake] * NUM_UNLABELLED_OUT_OF_SCOPE)
    # Out of scope needs no folders, and may have any.
    pictures |= _series("benchmarks/out_of_scope", "lake", [lake] * (NUM_OUT_OF_SCOPE // 2))
    return pictures | _series("benchmarks/out_of_scope/more", "lake", [lake] * (NUM_OUT_OF_SCOPE // 2))


def on_desk(cells: Cells) -> Draw:
    """Draw a digit over a crop of a photograph, as most of the library is drawn."""
    return lambda rng: draw_digit(cells, background(rng), LEAN, rng)


def on_board(cells: Cells) -> Draw:
    """Draw a digit on a plain board, as staged and rendered digits are drawn."""
    return lambda rng: draw_digit(cells, board(rng), LEAN, rng)


def in_difficulty(cells: Cells, kind: int) -> Draw:
    """Draw a digit that leans more, out of focus or in the dark."""
    return lambda rng: degrade(draw_digit(cells, background(rng), LEAN_DIFFICULT, rng), kind)


def _digit(name: str, originals: list[Cells]) -> Pictures:
    num_clean = NUM_CLEAN_RARE if name in RARE else NUM_CLEAN
    clean, difficult, rest = _cut(originals, num_clean, NUM_DIFFICULT)
    rest, unlabelled = rest[:-NUM_UNLABELLED], rest[-NUM_UNLABELLED:]
    library, rest = _cut(rest, RARE.get(name, len(rest)))
    frequency = "least_common" if name in RARE else "most_common"
    pictures = _series(f"benchmarks/{frequency}/{name}", name, map(on_desk, clean))
    pictures |= _series(f"benchmarks/difficult/{name}", name, map(in_difficulty, difficult, count()))
    if name == "zero":
        staged, more, rest = _cut(rest, NUM_STAGED, NUM_UNLABELLED_ZEROS)
        pictures |= _series("library/zero_staged", name, map(on_board, staged))
        unlabelled += more
    if name == "seven":
        pictures |= _series("library/seven_crossed", name, map(on_desk, filter(has_bar, library)))
        library = [cells for cells in library if not has_bar(cells)]
    pictures |= _series(f"library/{name}", name, map(on_desk, library))
    return pictures | _series("unlabelled", name, map(on_desk, unlabelled))


def _cut(originals: list[Cells], *counts: int) -> list[list[Cells]]:
    """Cut a list into parts of these lengths, and the rest."""
    ends = [0, *accumulate(counts)]
    return [*(originals[start:end] for start, end in pairwise(ends)), originals[ends[-1] :]]


def _series(folder: str, name: str, draws: Iterable[Draw]) -> Pictures:
    """Draw `<folder>/<name>-000.jpg` and so on; every fifth is a PNG."""
    pictures = {}
    for number, draw in enumerate(draws):
        stem = f"{folder}/{name}-{number:03}"
        image = draw(Random(f"{stem}, second take" if stem in _SECOND_TAKES else stem))
        if number % 5 == 4:
            pictures[f"{stem}.png"] = to_png(image)
        else:
            pictures[f"{stem}.jpg"] = to_jpeg(image)
    return pictures
