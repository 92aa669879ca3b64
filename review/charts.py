"""Where the lines, points and marks of a small chart stand; the page's template draws them as SVG."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 260, 140  # of a chart in its own units, which the page scales
LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 10, 24  # around the plotted area
_MOST_TICKS = 4
_MOST_LABELS = 6
_LEAST_SPAN = 0.002  # of a fraction: what differs by less is drawn as level


@dataclass(frozen=True)
class Chart:
    """A chart of fractions, left to right in the order given.

    Attributes:
        points: x, y and value of each that there is.
        line: the points as SVG has them.
        ticks: y and value of each horizontal line.
        labels: x and words below the chart; where there are many, some are left out.
    """

    points: list[tuple[float, float, float]]
    line: str
    ticks: list[tuple[float, float]]
    labels: list[tuple[float, str]]


def chart(values: Sequence[float | None], labels: Sequence[str]) -> Chart:
    """Lay out a chart.

    Args:
        values: fractions from 0 to 1; None for one that there is not.
        labels: a word for each.
    """
    known = [value for value in values if value is not None]
    ticks = _ticks(min(known), max(known)) if known else [0.0, 1.0]
    low, high = ticks[0], ticks[-1]
    step = (WIDTH - LEFT - _RIGHT) / max(len(values) - 1, 1)
    across = [LEFT + step * index if len(values) > 1 else WIDTH / 2 for index in range(len(values))]

    def up(value: float) -> float:
        return round(HEIGHT - _BOTTOM - (value - low) / (high - low) * (HEIGHT - _TOP - _BOTTOM), 1)

    points = [(round(x, 1), up(value), value) for x, value in zip(across, values, strict=True) if value is not None]
    every = math.ceil(len(labels) / _MOST_LABELS)
    kept = range(len(labels) - 1, -1, -every)  # the newest always has its label
    return Chart(
        points=points,
        line=" ".join(f"{x},{y}" for x, y, _ in points),
        ticks=[(up(value), value) for value in ticks],
        labels=[(round(across[index], 1), labels[index]) for index in sorted(kept)],
    )


def _ticks(low: float, high: float) -> list[float]:
    """Choose round numbers around a range within 0 and 1."""
    span = max(high - low, _LEAST_SPAN)
    scale = 10.0 ** math.floor(math.log10(span / (_MOST_TICKS - 1)))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor * (_MOST_TICKS - 1) >= span)
    top = round(1 / step)
    first = min(math.floor(low / step + 1e-9), top - 1)
    last = max(min(math.ceil(high / step - 1e-9), top), first + 1)
    return [round(index * step, 9) for index in range(first, last + 1)]
