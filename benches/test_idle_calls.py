"""What a call costs NeTS in memory while its parties talk: RSS before and after, divided by the calls.

Transactions stay for 32 seconds after they are over, so it is measured when those are gone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import pytest
import trio
from tests.peers.installed import needs

from benches import machine
from benches.callers import Callees, calls_on_hold
from benches.findings import Row
from benches.settings import SETTINGS
from mediaha.drill.plot import Bars, bars
from mediaha.drill.site import own_site

pytestmark = [
    pytest.mark.timeout(900),
    needs("sipp", "sip-tester"),
]
LINGER_S = 36.0
"""64 * T1, and some more."""
RATE = 150
GOAL_KIB = 20


@dataclass(frozen=True)
class Memory:
    """Of NeTS, in KiB a call."""

    calls: int
    set_up_kib: float
    """Just set up, with what lingers."""
    idle_kib: float


@pytest.fixture(scope="module")
def measured(findings):
    """Written down when the module is through."""
    found = []
    yield found
    rows = []
    for each in found:
        name = f"memory of an idle call in NeTS, {each.calls} calls"
        rows.append(Row(name, each.idle_kib, "KiB", goal=f"<= {GOAL_KIB}"))
        rows.append(Row("the same just after their set-up", each.set_up_kib, "KiB"))
    findings.save("idle-calls", rows, {"memory": [asdict(each) for each in found]}, found and picture(found))


def test_memory_of_an_idle_call(cores, tmp_path, measured, benchmark):
    """Some calls first, so that what NeTS needs anyhow is there."""
    memory = benchmark.pedantic(trio.run, args=(fill, cores, tmp_path), rounds=1, iterations=1)
    benchmark.extra_info.update(asdict(memory))
    measured.append(memory)


def picture(found):
    """What stays of a call when its transactions are gone."""
    groups = [f"{each.calls} calls" for each in found]
    series = [
        Bars("just set up", [each.set_up_kib for each in found]),
        Bars("idle", [each.idle_kib for each in found]),
    ]
    return bars("Memory of a call in NeTS", "", "KiB", groups, series)


async def fill(cores, folder):
    """Calls that are placed and stay."""
    async with own_site(2) as site:
        callees = Callees(site.callees, cores[1], folder)
        try:
            return await _fill(site, cores[1], folder)
        finally:
            callees.close()


async def _fill(site, core, folder):
    pid = (await site.status()).pid
    few, many = SETTINGS.idle_calls // 10, SETTINGS.idle_calls
    with calls_on_hold(site.nets, few, RATE, core, folder):
        await _until(site, few)
        await trio.sleep(LINGER_S)
        before = machine.resident_bytes(pid)
        with calls_on_hold(site.nets, many, RATE, core, folder):
            await _until(site, few + many)
            set_up = machine.resident_bytes(pid)
            await trio.sleep(LINGER_S)
            idle = machine.resident_bytes(pid)
            assert await _calls(site) == few + many, "calls have ended by themselves"
    return Memory(many, (set_up - before) / 1024 / many, (idle - before) / 1024 / many)


async def _until(site, calls):
    """Until there are so many calls; it may take twice as long as it should."""
    deadline = trio.current_time() + 2 * calls / RATE + 30
    while await _calls(site) < calls:
        assert trio.current_time() < deadline, "the calls cannot be placed"
        await trio.sleep(0.5)


async def _calls(site):
    return (await site.status()).nets[0].calls
