"""Pictures as SVG, made by hand: packets over time with a mark for each fault, and bars that compare."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 48, 48
MARK_ROWS = 4
"""Words of marks that are close to each other are written at so many different heights."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A vertical line at ``at`` (in the unit of the x axis) with a word to it."""

    at: float
    label: str


@dataclass(frozen=True, slots=True)
class Line:
    """One curve: points of equal distance ``step``, the first at ``start`` (in the unit of the x axis)."""

    label: str
    start: float
    step: float
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Bars:
    """One of several things that are compared: a value for each group, None where there is none."""

    label: str
    values: Sequence[float | None]


COLOURS = ("#1f6f8b", "#c1502e", "#5b8c3a", "#7a4f9a")


def chart(title: str, x_label: str, y_label: str, lines: Sequence[Line], marks: Sequence[Mark] = ()) -> str:
    """An SVG document with one or a few curves."""
    x_min = min(line.start for line in lines)
    x_max = max(line.start + line.step * max(1, len(line.values)) for line in lines)
    y_max = max((value for line in lines for value in line.values), default=0) * 1.1 or 1.0

    def x(value: float) -> float:
        return round(LEFT + (value - x_min) / (x_max - x_min) * (WIDTH - LEFT - RIGHT), 1)

    parts = [*_frame(title, x_label, y_label, y_max), *_legend([line.label for line in lines])]
    parts.extend(
        f'<text x="{x(tick)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks(x_min, x_max)
    )
    for index, line in enumerate(lines):
        points = " ".join(f"{x(line.start + line.step * i)},{_y(value, y_max)}" for i, value in enumerate(line.values))
        parts.append(f'<polyline fill="none" stroke="{_colour(index)}" stroke-width="1.5" points="{points}"/>')
    for index, mark in enumerate(marks):
        at = x(mark.at)
        parts.append(
            f'<line x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#b00020" stroke-dasharray="4 3"/>'
        )
        row = TOP + 12 + 14 * (index % MARK_ROWS)
        parts.append(f'<text x="{at + 4}" y="{row}" fill="#b00020">{escape(mark.label)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def bars(title: str, x_label: str, y_label: str, groups: Sequence[str], series: Sequence[Bars]) -> str:
    """An SVG document with a bar for each of ``series`` in each of ``groups``, its value written above it."""
    y_max = max((value for bar in series for value in bar.values if value is not None), default=0) * 1.1 or 1.0
    group_width = (WIDTH - LEFT - RIGHT) / max(1, len(groups))
    width = min(90.0, group_width * 0.8 / max(1, len(series)))
    parts = [*_frame(title, x_label, y_label, y_max), *_legend([bar.label for bar in series])]
    for number, group in enumerate(groups):
        middle = LEFT + group_width * (number + 0.5)
        parts.append(f'<text x="{middle:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{escape(group)}</text>')
        for index, bar in enumerate(series):
            value = bar.values[number]
            if value is None:
                continue
            left, top = middle + width * (index - len(series) / 2), _y(value, y_max)
            parts.append(
                f'<rect x="{left:.1f}" y="{top}" width="{width * 0.94:.1f}" height="{HEIGHT - BOTTOM - top:.1f}" '
                f'fill="{_colour(index)}"/>'
            )
            parts.append(f'<text x="{left + width * 0.47:.1f}" y="{top - 3}" text-anchor="middle">{value:g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between ``low`` and ``high``, about so many."""
    span = (high - low) / about
    magnitude = 10.0 ** math.floor(math.log10(span))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= span)
    first = -(-low // step)
    return [round((first + i) * step, 10) for i in range(int((high - first * step) / step) + 1)]


def _frame(title: str, x_label: str, y_label: str, y_max: float) -> list[str]:
    """The beginning of the document: its title, what the axes are, and the lines of the grid."""
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(y_label)}</text>',
    ]
    for tick in ticks(0, y_max):
        at = _y(tick, y_max)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{tick:g}</text>')
    return parts


def _legend(labels: Sequence[str]) -> list[str]:
    """The name of each curve or bar in its colour; one alone needs none."""
    if len(labels) < 2:
        return []
    left = WIDTH - RIGHT - 150 * len(labels)
    return [
        f'<text x="{left + 150 * index}" y="40" fill="{_colour(index)}">{escape(label)}</text>'
        for index, label in enumerate(labels)
    ]


def _y(value: float, y_max: float) -> float:
    return round(HEIGHT - BOTTOM - value / y_max * (HEIGHT - TOP - BOTTOM), 1)


def _colour(index: int) -> str:
    return COLOURS[index % len(COLOURS)]
