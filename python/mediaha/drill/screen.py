"""The report as a person reads it in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mediaha.drill.report import Report, Spread

BAR = 40
BOUNDS_MS = (40, 60, 80, 100, 150, 200, 250, 300, 400, 500, 750, 1000, 2000, 5000)


def show(report: Report, gaps_ms: Sequence[float], console: Console) -> None:
    """Print the verdict, the figures, and how the gaps are spread."""
    lost = report.calls_lost
    counted = "no call was" if lost == 0 else "1 call was" if lost == 1 else f"{lost} calls were"
    verdict = (f"{counted.capitalize()} lost", "bold green" if lost == 0 else "bold red")
    fault = f" of {report.calls}.  Fault: {report.fault} of media server "
    console.print(Text.assemble("\n", verdict, fault, (report.target, "bold"), "."))
    table = Table(show_header=False, box=None, padding=(0, 2))
    moved = ", ".join(f"{count} to {server}" for server, count in report.moved_to.items()) or "none"
    table.add_row("calls moved", moved)
    table.add_row("gap in each of " + f"{report.streams} streams", _spread(report.gap_ms))
    table.add_row("packets lost", str(report.lost_packets))
    table.add_row("fault noticed after", _ms(report.detection_ms))
    table.add_row("last stream heard again after", _ms(report.all_resumed_ms))
    table.add_row("call set-up", _spread(report.setup_ms))
    for reason, count in report.lost_because.items():
        table.add_row(Text(f"lost: {reason}", style="red"), str(count))
    if report.strangers_heard or report.corrupt_packets:
        heard = f"{report.strangers_heard} misdirected, {report.corrupt_packets} corrupt"
        table.add_row(Text("wrong packets heard", style="red"), heard)
    console.print(table)
    if gaps_ms:
        console.print("\nlongest gap of each stream")
        for label, count in histogram(gaps_ms):
            bar = "█" * max(1, round(BAR * count / len(gaps_ms)))
            console.print(f"  {label:>12}  {bar} {count}", highlight=False)


def histogram(gaps_ms: Sequence[float]) -> list[tuple[str, int]]:
    """Streams counted by the length of their gap; buckets that nobody is in are left out."""
    edges = [0, *BOUNDS_MS]
    rows = []
    for index, low in enumerate(edges):
        high = edges[index + 1] if index + 1 < len(edges) else None
        count = sum(1 for gap in gaps_ms if gap >= low and (high is None or gap < high))
        if count:
            rows.append((f"{low}-{high} ms" if high is not None else f"≥ {low} ms", count))
    return rows


def _ms(value: float | None) -> str:
    return "not seen" if value is None else f"{value:.0f} ms"


def _spread(spread: Spread) -> str:
    return f"p50 {_ms(spread.p50)}, p99 {_ms(spread.p99)}, longest {_ms(spread.max)}"
