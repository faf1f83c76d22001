"""Moving all calls of a media server that was lost: how long nobody hears anything, and what it costs NeTS.

The audio of a thousand calls takes the machine more time than all the rest, most of it in the generator, which no site
has beside it. So the thousand are moved once more with a fifth of them talking.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass

import msgspec
import pytest
import trio

from benches import machine
from benches.findings import Row
from benches.settings import SETTINGS
from mediaha.drill.faults import Fault
from mediaha.drill.plot import Line, Mark, chart
from mediaha.drill.run import Plan, run
from mediaha.drill.site import own_site

pytestmark = pytest.mark.timeout(900)
SAMPLE_S = 0.02
SETTLED_S = 0.5
"""After the last stream is heard again, the last ACKs are still under way."""
INTERRUPTED_MS_MIN = 60
"""A call with a shorter gap was on another server: a first server that is slow to answer is overtaken."""
GOALS = {200: ("<= 150 ms", "<= 500 ms"), 1000: ("<= 150 ms", "<= 1000 ms")}


class Samples:
    """The CPU that a process had used, at many moments."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at: list[float] = []
        self._cpu_s: list[float] = []

    async def take(self) -> None:
        """Go on until cancelled."""
        while True:
            self._at.append(time.monotonic())
            self._cpu_s.append(machine.cpu_s(self._pid))
            await trio.sleep(SAMPLE_S)

    def between(self, began: float, ended: float) -> float:
        """CPU seconds used in a span of time, to the nearest samples before its ends."""
        first, last = (max(0, bisect_right(self._at, at) - 1) for at in (began, ended))
        return self._cpu_s[last] - self._cpu_s[first]


@dataclass(frozen=True)
class Move:
    """One drill with what it cost."""

    calls: int
    one_talks_in: int
    report: object
    cpu_us_per_call: float | None
    """Of the process with NeTS and the pool, what it uses anyhow taken off."""
    timeline: object


@pytest.fixture(scope="module")
def measured(findings):
    """The moves; written down when the module is through."""
    moves = []
    yield moves
    rows = [row for move in moves for row in rows_of(move)]
    data = {
        "moves": [
            {
                "one_talks_in": move.one_talks_in,
                "cpu_us_per_call": move.cpu_us_per_call,
                "drill": msgspec.to_builtins(move.report),
            }
            for move in moves
        ]
    }
    findings.save("reanchoring", rows, data, picture(moves) if moves else None)


@pytest.mark.parametrize(
    ("calls", "one_talks_in"), [*((calls, 1) for calls in SETTINGS.moving_calls), (max(SETTINGS.moving_calls), 5)]
)
def test_all_calls_of_a_killed_media_server_move(calls, one_talks_in, measured, benchmark):
    """Nothing is pinned: relays, generator, phones and NeTS share what the machine has, as on a small site."""
    move = benchmark.pedantic(trio.run, args=(drill, calls, one_talks_in), rounds=1, iterations=1)
    measured.append(move)
    benchmark.extra_info.update({row.figure: row.ours for row in rows_of(move)})
    assert move.report.strangers_heard == 0
    assert move.report.corrupt_packets == 0


async def drill(calls, one_talks_in):
    """Place the calls, kill the first media server, see what it costs."""
    plan = Plan(calls=calls, fault=Fault.LOSE, rate=SETTINGS.moving_rate, one_talks_in=one_talks_in)
    async with own_site(2) as site, trio.open_nursery() as nursery:
        samples = Samples((await site.status()).pid)
        nursery.start_soon(samples.take)
        outcome = await run(plan, site, lambda *_: None)
        nursery.cancel_scope.cancel()
    return Move(calls, one_talks_in, outcome.report, cpu_us_per_call(plan, outcome, samples), outcome.timeline)


def cpu_us_per_call(plan, outcome, samples):
    """CPU from the fault until all is settled, less what talking cost in as long a time before."""
    resumed_ms = outcome.report.all_resumed_ms
    moved = sum(gap_ms >= INTERRUPTED_MS_MIN for gap_ms in outcome.gaps_ms) / 2 * plan.one_talks_in
    if resumed_ms is None or not moved:
        return None
    lasted_s = resumed_ms / 1000 + SETTLED_S
    idle_s = plan.before_s / 2  # its beginning may still belong to the last calls placed
    at_rest = samples.between(outcome.fault_at - idle_s, outcome.fault_at) / idle_s
    busy = samples.between(outcome.fault_at, outcome.fault_at + lasted_s)
    return max(0.0, busy - at_rest * lasted_s) * 1e6 / moved


def rows_of(move):
    """What callers notice first, then what it costs."""
    report, name = move.report, name_of(move)
    p50_goal, p99_goal = GOALS.get(move.calls, ("", ""))
    return [
        Row(f"calls lost, {name}", report.calls_lost, "", goal="0"),
        Row(f"lost audio p50, {name}", report.gap_ms.p50, "ms", goal=p50_goal),
        Row(f"lost audio p99, {name}", report.gap_ms.p99, "ms", goal=p99_goal),
        Row(f"noticed after, {name}", report.detection_ms, "ms"),
        Row(f"last stream back after, {name}", report.all_resumed_ms, "ms"),
        Row(f"CPU per call in NeTS, {name}", move.cpu_us_per_call, "µs"),
    ]


def name_of(move):
    """What sets it apart from the others."""
    return f"{move.calls} moved" + (f", one in {move.one_talks_in} talks" if move.one_talks_in > 1 else "")


def picture(moves):
    """The share of packets heard around the fault, a line for each number of calls."""
    lines = []
    for move in moves:
        timeline = move.timeline
        bucket_ms = timeline.bucket_s * 1000
        # The newest bucket is not over yet.
        share = [100 * count / move.report.streams for count in timeline.counts[:-1]]
        lines.append(Line(name_of(move), -timeline.fault_at * 1000, bucket_ms, share))
    return chart(
        "A media server is lost under all calls",
        "milliseconds from the fault",
        f"% of packets heard per {lines[0].step:.0f} ms",
        lines,
        [Mark(0, "lost")],
    )
