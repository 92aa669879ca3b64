"""Where the bars and lines of a chart of counts or figures stand; the templates draw them as SVG."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 640, 180  # in the chart's own units, which the page scales
LEFT, RIGHT, TOP, BOTTOM = 62, 40, 10, 26  # around the plotted area
BASE = HEIGHT - BOTTOM
_MOST_TICKS = 4
_MOST_LABELS = 8
_MOST_GAP = 4.0  # between two bars


class Bar(NamedTuple):
    """A bar, with the part of it that is drawn darker."""

    words: str
    x: float
    width: float
    y: float
    height: float
    part_y: float
    part_height: float


class Bars(NamedTuple):
    """A chart of bars.

    Attributes:
        bars: from left to right.
        ticks: y and value of each horizontal line.
        labels: x and words below the chart; where there are many, some are left out.
    """

    bars: list[Bar]
    ticks: list[tuple[float, float]]
    labels: list[tuple[float, str]]


class Line(NamedTuple):
    """A chart of a line with a band around it.

    Attributes:
        pieces: the line in SVG's form; one piece for each run of values without a gap.
        points: x, y and words of each value.
        band: x, upper y and lower y of the interval of each value that has one.
        ticks: as in `Bars`.
        labels: as in `Bars`.
        rule: y of a value that the others are compared with; None for none.
    """

    pieces: list[str]
    points: list[tuple[float, float, str]]
    band: list[tuple[float, float, float]]
    ticks: list[tuple[float, float]]
    labels: list[tuple[float, str]]
    rule: float | None


def bars(values: Sequence[float], parts: Sequence[float], labels: Sequence[str], words: Sequence[str]) -> Bars:
    """Lay out bars that begin at zero.

    Args:
        values: 0 or more.
        parts: of each value, the part that is drawn darker.
        labels: below each bar.
        words: what each bar says to who points at it, and to a screen reader.
    """
    ticks = round_marks(0.0, max([*values, 1.0]))
    step = (WIDTH - LEFT - RIGHT) / max(len(values), 1)
    gap = min(_MOST_GAP, 0.25 * step)
    scale = (BASE - TOP) / ticks[-1]
    drawn = []
    for number, (value, part, text) in enumerate(zip(values, parts, words, strict=True)):
        tall, dark = value * scale, part * scale
        x = LEFT + step * number + gap / 2
        places = (x, step - gap, BASE - tall, tall, BASE - dark, dark)
        drawn.append(Bar(text, *(round(place, 1) for place in places)))
    middles = [LEFT + step * (number + 0.5) for number in range(len(values))]
    return Bars(drawn, [(round(BASE - tick * scale, 1), tick) for tick in ticks], _thinned(middles, labels))


def line(
    values: Sequence[float | None],
    labels: Sequence[str],
    words: Sequence[str],
    bounds: Sequence[tuple[float, float] | None] = (),
    rule: float | None = None,
    most: float | None = None,
) -> Line:
    """Lay out a line; where a value is None it is broken.

    Args:
        values: from left to right.
        labels: below each value.
        words: as in `bars`.
        bounds: interval of each value, None for one that has none; empty where none has.
        rule: a value to compare with, which gets a line of its own.
        most: no mark is above it, such as 1 for fractions.
    """
    known = [value for value in values if value is not None] + ([] if rule is None else [rule])
    known += [bound for pair in bounds if pair for bound in pair]
    ticks = round_marks(min(known), max(known), most) if known else [0.0, 1.0]
    low, high = ticks[0], ticks[-1]
    step = (WIDTH - LEFT - RIGHT) / max(len(values) - 1, 1)
    across = [round(LEFT + step * number if len(values) > 1 else WIDTH / 2, 1) for number in range(len(values))]

    def up(value: float) -> float:
        return round(BASE - (value - low) / (high - low) * (BASE - TOP), 1)

    points = [(x, up(value), text) for x, value, text in zip(across, values, words, strict=True) if value is not None]
    band = [(x, up(pair[1]), up(pair[0])) for x, pair in zip(across, bounds, strict=False) if pair]
    ticked = [(up(tick), tick) for tick in ticks]
    ruled = None if rule is None else up(rule)
    return Line(_pieces(across, values, up), points, band, ticked, _thinned(across, labels), ruled)


def round_marks(low: float, high: float, most: float | None = None) -> list[float]:
    """Choose few round numbers around a range.

    Args:
        low: of the range.
        high: of the range.
        most: none is above it, unless the range is.
    """
    span = max(high - low, abs(high) * 1e-3, 1e-6)
    scale = 10.0 ** math.floor(math.log10(span / (_MOST_TICKS - 1)))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor * (_MOST_TICKS - 1) >= span * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    if most is not None and last * step > most >= high:
        first, last = min(first, math.ceil(most / step) - 1), math.floor(most / step + 1e-9)
    return [round(index * step, 9) for index in range(first, last + 1)]


def _pieces(across: Sequence[float], values: Sequence[float | None], up: Callable[[float], float]) -> list[str]:
    pieces: list[list[str]] = [[]]
    for x, value in zip(across, values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{x},{up(value)}")
    return [" ".join(piece) for piece in pieces if len(piece) > 1]


def _thinned(across: Sequence[float], labels: Sequence[str]) -> list[tuple[float, str]]:
    """Leave labels out where there are many; the last one stays."""
    every = math.ceil(len(labels) / _MOST_LABELS) or 1
    kept = sorted(range(len(labels) - 1, -1, -every))
    return [(round(across[index], 1), labels[index]) for index in kept]
