"""A minute of calls while media servers are killed, hung, and come back: what is heard, and what is lost."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pytest
import trio

from benches.findings import Row
from benches.nodes import lost_audio_ms, run
from benches.schedule import strokes
from benches.settings import SETTINGS
from mediaha.drill.plot import Line, Mark, chart
from mediaha.drill.report import percentile
from mediaha.drill.site import own_site

pytestmark = pytest.mark.timeout(900)
CHURN_RATE = 1.0
"""Calls a second that end and are replaced, so that calls are set up while nodes fail."""
SHOWN_MAX = 1.5
"""Of the packets sent: a hung server that goes on sends all that it had buffered at once, and hides all else."""
INTERRUPTED_MS_MIN = 60
"""A silence that somebody hears: more than two packets in a row are missing."""


def test_a_minute_of_failing_nodes(findings, benchmark):
    """Faults by seed; those that would leave no server are left out."""
    schedule = strokes(SETTINGS.nodes_seed, SETTINGS.nodes_s)
    found = benchmark.pedantic(trio.run, args=(minute, schedule), rounds=1, iterations=1)
    rows = rows_of(found)
    benchmark.extra_info.update({row.figure: row.ours for row in rows})
    findings.save("failing-nodes", rows, data_of(found), picture(found))
    assert not any(found.wrong.values()), f"these figures do not count: {found.wrong}"
    assert not found.lost


async def minute(schedule):
    """The site, and the run."""
    async with own_site(SETTINGS.nodes_servers) as site:
        return await run(site, schedule, SETTINGS.nodes_calls, SETTINGS.nodes_s, CHURN_RATE)


def interruptions(found):
    """The silences that somebody hears."""
    return [gap.lasted_ms for gap in found.gaps if gap.lasted_ms >= INTERRUPTED_MS_MIN]


def rows_of(found):
    """Calls first, then what those who talk hear."""
    faults = Counter(struck.fault for struck in found.struck)
    done = " and ".join(f"{count} {fault}" for fault, count in sorted(faults.items()))
    gaps, missed = interruptions(found), lost_audio_ms(found)
    talked_ms = SETTINGS.nodes_s * 1000 * 2 * SETTINGS.nodes_calls
    return [
        Row(
            f"calls lost, {done} in {SETTINGS.nodes_s:.0f} s", sum(found.lost.values()), f"of {found.placed}", goal="0"
        ),
        Row("calls not set up", sum(found.refused.values()), f"of {found.placed}", goal="0"),
        Row("audio heard of all that was said", 100 * (1 - sum(missed) / talked_ms), "%"),
        Row("interruptions of a stream, each", len(gaps), f"in {found.streams} streams"),
        Row("one interruption p50", percentile(gaps, 50), "ms", goal="<= 150 ms"),
        Row("one interruption p99", percentile(gaps, 99), "ms", goal="<= 500 ms"),
        Row("audio lost by a stream in the whole run, p50", percentile(missed, 50), "ms"),
        Row("audio lost by a stream in the whole run, p99", percentile(missed, 99), "ms"),
        Row("set-up of calls meanwhile p50", percentile(found.setups_ms, 50), "ms"),
        Row("set-up of calls meanwhile p99", percentile(found.setups_ms, 99), "ms"),
        Row("sessions left over on media servers", found.sessions_left, "", goal="0"),
    ]


def data_of(found):
    """For the JSON: all that is known, with one line a stroke on what it did."""
    strokes_seen = [
        {**asdict(struck), "gap_ms": gaps_after(found, index)} for index, struck in enumerate(found.struck)
    ]
    return {**asdict(found), "struck": strokes_seen}


def gaps_after(found, index):
    """How the silences are spread that began with a stroke, before the next one."""
    began = found.struck[index].at_s - 0.05  # the last packet was heard a packet time before
    later = found.struck[index + 1].at_s - 0.05 if index + 1 < len(found.struck) else float("inf")
    gaps = [
        gap.lasted_ms for gap in found.gaps if began <= gap.began_s < later and gap.lasted_ms >= INTERRUPTED_MS_MIN
    ]
    spread = {f"p{percent}": percentile(gaps, percent) for percent in (50, 99, 100)}
    return {"streams": len(gaps), **spread}


def picture(found):
    """Packets heard by time, with a mark for each stroke and each return of a hung server."""
    marks = [Mark(struck.at_s, f"{struck.fault} {struck.server}") for struck in found.struck]
    marks += [Mark(s.ended_s, f"{s.server} goes on") for s in found.struck if s.ended_s is not None]
    return chart(
        f"{SETTINGS.nodes_calls} calls through {SETTINGS.nodes_servers} media servers that fail",
        "seconds",
        f"packets heard per {found.bucket_s * 1000:.0f} ms",
        [Line("heard", found.began_s, found.bucket_s, [min(count, SHOWN_MAX * found.sent) for count in found.heard])],
        sorted(marks, key=lambda mark: mark.at),
    )
