"""A picture of packets over time, as SVG: made by hand, since it is a line, two axes and a mark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 960, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 48, 48


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


COLOURS = ("#1f6f8b", "#c1502e", "#5b8c3a", "#7a4f9a")


def chart(title: str, x_label: str, y_label: str, lines: Sequence[Line], marks: Sequence[Mark] = ()) -> str:
    """An SVG document with one or a few curves."""
    x_min = min(line.start for line in lines)
    x_max = max(line.start + line.step * max(1, len(line.values)) for line in lines)
    y_max = max((value for line in lines for value in line.values), default=0) * 1.1 or 1.0

    def x(value: float) -> float:
        return round(LEFT + (value - x_min) / (x_max - x_min) * (WIDTH - LEFT - RIGHT), 1)

    def y(value: float) -> float:
        return round(HEIGHT - BOTTOM - value / y_max * (HEIGHT - TOP - BOTTOM), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="15">{escape(title)}</text>',
    ]
    for tick in ticks(0, y_max):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick)}" y2="{y(tick)}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    parts.extend(
        f'<text x="{x(tick)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks(x_min, x_max)
    )
    for index, line in enumerate(lines):
        colour = COLOURS[index % len(COLOURS)]
        points = " ".join(f"{x(line.start + line.step * i)},{y(value)}" for i, value in enumerate(line.values))
        parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>')
        if len(lines) > 1:
            at = WIDTH - RIGHT - 150 * (len(lines) - index)
            parts.append(f'<text x="{at}" y="40" fill="{colour}">{escape(line.label)}</text>')
    for mark in marks:
        parts.append(
            f'<line x1="{x(mark.at)}" x2="{x(mark.at)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#b00020" '
            'stroke-dasharray="4 3"/>'
        )
        parts.append(f'<text x="{x(mark.at) + 4}" y="{TOP + 12}" fill="#b00020">{escape(mark.label)}</text>')
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts += [
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(y_label)}</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers between ``low`` and ``high``, about so many."""
    span = (high - low) / about
    magnitude = 10.0 ** math.floor(math.log10(span))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= span)
    first = -(-low // step)
    return [round((first + i) * step, 10) for i in range(int((high - first * step) / step) + 1)]
