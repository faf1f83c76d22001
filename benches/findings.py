"""What was found: rows of a table for people, a JSON and an SVG of each suite for later."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benches import machine
from benches.settings import SETTINGS


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. ``rival`` is the same of a rival in the same run, None when there is none."""

    figure: str
    ours: float | None
    unit: str
    rival: float | None = None
    goal: str = ""
    rival_name: str = "rtpengine"

    @property
    def ratio(self) -> float | None:
        """Ours divided by the rival's."""
        if self.ours is None or not self.rival:
            return None
        return self.ours / self.rival


@dataclass(slots=True)
class Findings:
    """All suites of a run. Nothing is kept in memory but what was written."""

    folder: Path
    rows: dict[str, list[Row]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def save(self, suite: str, rows: Sequence[Row], data: dict[str, object], picture: str | None) -> None:
        """Write ``suite.json`` and ``suite.svg``, and keep the rows for the table."""
        if not rows:
            return
        self.rows[suite] = list(rows)
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = {name: getattr(SETTINGS, name) for name in SETTINGS.__slots__}
        rows_data = [
            {
                "figure": r.figure,
                "ours": r.ours,
                "unit": r.unit,
                r.rival_name: r.rival,
                "ratio": r.ratio,
                "goal": r.goal,
            }
            for r in rows
        ]
        whole = {"machine": machine.description(), "settings": settings, "figures": rows_data, **data}
        (self.folder / f"{suite}.json").write_text(json.dumps(whole, indent=2) + "\n")
        if picture is not None:
            (self.folder / f"{suite}.svg").write_text(picture)

    def table(self) -> list[str]:
        """The lines of the table that ends a run."""
        head = ("figure", "mediaha", "rival", "ratio", "goal")
        body = [_cells(row) for rows in self.rows.values() for row in rows]
        widths = [max(len(cells[i]) for cells in [head, *body]) for i in range(len(head))]
        lines = [_line(head, widths), _line(["-" * width for width in widths], widths)]
        for rows in self.rows.values():
            lines += [_line(_cells(row), widths) for row in rows] + [""]
        return [*lines, *self.notes]


def median(values: Iterable[float | None]) -> float | None:
    """The median of those that are there, to four digits."""
    there = [value for value in values if value is not None]
    return float(f"{statistics.median(there):.4g}") if there else None


def _cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    figure = row.figure if row.rival is None else f"{row.figure} (rival: {row.rival_name})"
    return figure, _written(row.ours, row.unit), _written(row.rival, row.unit), ratio, row.goal


def _written(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if abs(value) >= 1000 or value == int(value) else 1 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f} {unit}".rstrip()


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    aligned = [cells[0].ljust(widths[0])]
    aligned += [cell.rjust(width) for cell, width in zip(cells[1:4], widths[1:4], strict=True)]
    return "  ".join([*aligned, cells[4]]).rstrip()
