"""Plant what a library has when people keep it: copies, near-duplicates, wrong folders, a broken file."""

from collections.abc import Callable, Iterable
from random import Random
from typing import NamedTuple

from sample.arrange import Pictures, on_desk
from sample.files import brighten, cut_in_half, lay_on_side, recompress, resave, shrink, to_jpeg
from sample.originals import NAMES, load_originals


class Planted(NamedTuple):
    """A file made of another.

    Attributes:
        source: path of the file that it is made of.
        target: its path.
        change: makes the file's bytes from the source's; None: they are the same.
    """

    source: str
    target: str
    change: Callable[[bytes], bytes] | None = None


IDENTICAL = (
    Planted("library/three/three-010.jpg", "library/three/three-010-copy.jpg"),
    Planted("library/eight/eight-020.jpg", "library/eight/eight-020-copy.jpg"),
    Planted("library/one/one-012.jpg", "library/one/one-012-resaved.png", resave),
    # In two classes: the first was decided, the second was not.
    Planted("library/four/four-030.jpg", "library/nine/four-030-copy.jpg"),
    Planted("library/one/one-040.jpg", "library/seven_crossed/one-040-resaved.png", resave),
    Planted("benchmarks/most_common/three/three-000.jpg", "library/three/benchmark-copy.jpg"),
    Planted("benchmarks/difficult/five/five-001.jpg", "library/five/benchmark-resaved.png", resave),
)
NEAR = (
    Planted("library/two/two-015.jpg", "library/two/two-015-brighter.jpg", brighten),
    Planted("library/five/five-020.jpg", "library/five/five-020-recompressed.jpg", recompress),
    Planted("library/three/three-033.jpg", "library/three/three-033-smaller.jpg", shrink),
    # In two classes.
    Planted("library/three/three-050.jpg", "library/eight/three-050-brighter.jpg", brighten),
    Planted("library/nine/nine-060.jpg", "library/four/nine-060-recompressed.jpg", recompress),
    Planted("benchmarks/most_common/nine/nine-001.jpg", "library/nine/benchmark-brighter.jpg", brighten),
    Planted("benchmarks/difficult/eight/eight-000.jpg", "library/eight/benchmark-smaller.jpg", shrink),
)
UNREADABLE = (Planted("library/five/five-003.jpg", "library/five/five-003-cut.jpg", cut_in_half),)
# These replace their source.
ON_ITS_SIDE = (Planted("library/two/two-041.jpg", "library/two/two-041-on-its-side.jpg", lay_on_side),)
MISLABELLED = (
    Planted("library/one/one-100.jpg", "library/seven/one-100.jpg"),
    Planted("library/eight/eight-101.jpg", "library/three/eight-101.jpg"),
)
# Two threes of different hands on one desk, which look the same to a hash, and one five photographed on two desks.
SAME_DESK = ("library/three/same-desk-1.jpg", "library/three/same-desk-2.jpg")
TWO_DESKS = ("library/five/two-desks-1.jpg", "library/five/two-desks-2.jpg")
_SAME_DESK_ORIGINALS = (131, 97)
_TWO_DESKS_ORIGINAL = 60


def plant(pictures: Pictures) -> Pictures:
    """Add the planted files.

    Args:
        pictures: what `arrange` returned.

    Returns:
        Path relative to data/ to the file's bytes.
    """
    added = {**_change(pictures, IDENTICAL), **_change(pictures, NEAR), **_change(pictures, UNREADABLE)}
    moved = {**_change(pictures, ON_ITS_SIDE), **_change(pictures, MISLABELLED)}
    gone = {planted.source for planted in (*ON_ITS_SIDE, *MISLABELLED)}
    stayed = {path: data for path, data in pictures.items() if path not in gone}
    return stayed | added | moved | _pairs()


def _change(pictures: Pictures, several: Iterable[Planted]) -> Pictures:
    return {target: change(pictures[source]) if change else pictures[source] for source, target, change in several}


def _pairs() -> Pictures:
    originals = load_originals()
    threes = [originals[NAMES.index("three")][number] for number in _SAME_DESK_ORIGINALS]
    five = originals[NAMES.index("five")][_TWO_DESKS_ORIGINAL]
    pictures = {
        path: to_jpeg(on_desk(three)(Random("one desk"))) for path, three in zip(SAME_DESK, threes, strict=True)
    }
    return pictures | {path: to_jpeg(on_desk(five)(Random(path))) for path in TWO_DESKS}
