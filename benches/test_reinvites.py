"""How long it takes until both parties of every call know that their media has moved, when they answer at once.

All calls are on one media server, which is lost with all that it has (``mediaha drill --fault lose``; after a kill
alone another process would go on with them, and nobody would be told). SIPp is both parties, as it answers in
microseconds; `test_reanchoring.py` measures what people hear meanwhile, with phones that share the machine.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import inf

import pytest
import trio
from tests.peers.installed import needs

from benches import machine
from benches.callers import Parties
from benches.findings import Row
from benches.settings import SETTINGS
from mediaha.drill.plot import Line, chart
from mediaha.drill.site import own_site

pytestmark = [
    pytest.mark.timeout(600),
    needs("sipp", "sip-tester"),
]
RATE = 150
PORTS = (30000, 59999)
"""A call takes four, and all calls are first on one server, then on the other."""
PLACE_S_MORE = 10.0
"""How much longer it may take to place the calls."""
SETTLED_S = 1.0
WAIT_S_MAX = 30.0
GOAL_S = 1.0
STEP_MS = 10


@dataclass(frozen=True)
class Telling:
    """All calls of a media server that was lost. Times are milliseconds from its death, in their order."""

    calls: int
    noticed_ms: float
    """The failover pool holds the server for dead."""
    recreated_ms: Sequence[float]
    """Each call has its media on the other server."""
    reinvited_ms: Sequence[float]
    """Each party has the re-INVITE that says so."""
    told_ms: Sequence[float]
    """Each party has the ACK of its answer."""
    cpu_us_per_call: float
    """Of the process with NeTS and the failover pool."""


@pytest.fixture(scope="module")
def measured(findings):
    """Written down when the module is through."""
    found = []
    yield found
    data = {"moves": [asdict(each) for each in found]}
    findings.save("reinvites", [row for each in found for row in rows_of(each)], data, found and picture(found[-1]))


def test_all_parties_are_told(cores, tmp_path, measured, benchmark):
    """NeTS has a core; SIPp and the media servers share the other."""
    telling = benchmark.pedantic(trio.run, args=(move, cores, tmp_path), rounds=1, iterations=1)
    benchmark.extra_info.update({row.figure: row.ours for row in rows_of(telling)})
    measured.append(telling)


async def move(cores, folder):
    """Place the calls, lose the server that has them, and wait until everybody has been told."""
    calls = SETTINGS.told_calls
    async with own_site(2, ports=PORTS) as site:
        status = await site.status()
        machine.pin(status.pid, cores[0])
        for server in status.servers:
            machine.pin(server.pid, cores[1])
        victim, other = (server.name for server in status.servers)
        # A first server that is slow to answer is overtaken by the second: not by one that takes no calls.
        await site.tell("drain", server=other)
        with Parties(site.nets, site.callees, calls, RATE, cores[1], folder) as parties:
            with trio.move_on_after(calls / RATE + PLACE_S_MORE):
                await _until(lambda: len(parties.acknowledged()) == calls, inf)
            await site.tell("drain", server=other, draining=False)
            await trio.sleep(SETTLED_S)
            # On a busy machine a call may not have been taken.
            placed = parties.acknowledged()
            assert len(placed) >= 0.9 * calls, "the calls cannot be placed"
            cpu_began_s, at, wall = machine.cpu_s(status.pid), time.monotonic(), time.time()
            await site.tell("lose", server=victim)
            await _until(lambda: len(parties.told(wall)) >= 2 * len(placed), WAIT_S_MAX)
            cpu_s = machine.cpu_s(status.pid) - cpu_began_s
            stories = [await site.tell("explain", call_id=call) for call in placed]
            changes = (await site.status()).changes
    return Telling(
        len(placed),
        min((change.at - at) * 1000 for change in changes if change.server == victim and change.at > at),
        sorted(recreated_at(story, other) - wall * 1000 for story in stories),
        sorted((told - wall) * 1000 for told in parties.reinvited(wall)),
        sorted((told - wall) * 1000 for told in parties.told(wall)),
        cpu_s * 1e6 / len(placed),
    )


def recreated_at(story, server):
    """When a call has had its media on the server, by its own story; Unix time in milliseconds."""
    (moved,) = (event for event in story["events"] if event["what"] == "moved" and event["server"] == server)
    last = moved["attempts"][-1]
    return datetime.fromisoformat(story["placed_at"]).timestamp() * 1000 + last["ms"] + last["took_ms"]


def rows_of(telling):
    """What is waited for, one after the other."""
    name = f"{telling.calls} calls, from the death"
    last_ack = Row(f"{name} to the last ACK", telling.told_ms[-1], "ms", goal=f"<= {GOAL_S * 1000:g}")
    return [
        Row(f"{name} until it is known", telling.noticed_ms, "ms"),
        Row(f"{name} to the last call that has media again", telling.recreated_ms[-1], "ms"),
        Row(f"{name} to the first re-INVITE", telling.reinvited_ms[0], "ms"),
        Row(f"{name} to the last re-INVITE", telling.reinvited_ms[-1], "ms"),
        last_ack,
        Row(f"{2 * telling.calls} re-INVITEs, CPU of a call in NeTS", telling.cpu_us_per_call, "µs"),
    ]


def picture(telling):
    """How far each step has come, over time."""
    until = telling.told_ms[-1] + 5 * STEP_MS
    steps = range(0, int(until) + STEP_MS, STEP_MS)
    lines = [
        Line(label, 0, STEP_MS, [100 * bisect_right(at_ms, step) / len(at_ms) for step in steps])
        for label, at_ms in (
            ("calls with media", telling.recreated_ms),
            ("parties re-INVITEd", telling.reinvited_ms),
            ("ACKs at parties", telling.told_ms),
        )
    ]
    return chart(f"A media server is lost under {telling.calls} calls", "milliseconds from its death", "%", lines)


async def _until(holds, seconds):
    deadline = trio.current_time() + seconds
    while not holds():
        assert trio.current_time() < deadline, "not within its time"
        await trio.sleep(0.2)
