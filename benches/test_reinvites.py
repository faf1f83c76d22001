"""How long NeTS takes to tell both parties of every call that their media has moved, when they answer at once.

SIPp is both parties, as it answers in microseconds; `test_reanchoring.py` measures what people hear meanwhile, with
phones that share the machine.
"""

from __future__ import annotations

import os
import shutil
import signal
from dataclasses import asdict, dataclass

import pytest
import trio

from benches import machine
from benches.callers import Parties
from benches.findings import Row
from benches.settings import SETTINGS
from mediaha.drill.site import own_site

pytestmark = [
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is missing: apt-get install sip-tester"),
]
RATE = 150
SETTLED_S = 1.0
WAIT_S_MAX = 30.0
GOAL_S = 1.0


@dataclass(frozen=True)
class Telling:
    """All calls of a media server that was killed."""

    moved: int
    began_ms: float
    """From the kill to the first re-INVITE that a party had."""
    lasted_ms: float
    """From that to the last ACK."""
    cpu_us_per_call: float
    """Of the process with NeTS and the failover pool."""


@pytest.fixture(scope="module")
def measured(findings):
    """Written down when the module is through."""
    found = []
    yield found
    rows = []
    for each in found:
        name = f"{2 * each.moved} re-INVITEs"
        rows.append(Row(f"{name}, from the first to the last ACK", each.lasted_ms, "ms", goal=f"<= {GOAL_S * 1000:g}"))
        rows.append(Row(f"{name}, from the kill to the first", each.began_ms, "ms"))
        rows.append(Row(f"{name}, CPU of a call in NeTS", each.cpu_us_per_call, "µs"))
    findings.save("reinvites", rows, {"moves": [asdict(each) for each in found]}, None)


def test_all_parties_are_told(cores, tmp_path, measured, benchmark):
    """NeTS has a core; SIPp and the media servers share the other."""
    telling = benchmark.pedantic(trio.run, args=(move, cores, tmp_path), rounds=1, iterations=1)
    benchmark.extra_info.update(asdict(telling))
    measured.append(telling)
    assert telling.moved >= SETTINGS.told_calls / 2, "most calls were not on the server that was killed"


async def move(cores, folder):
    """Place the calls, kill the server that has most of them, and wait until everybody has been told."""
    # A third server has room for what the second has not.
    async with own_site(3) as site:
        status = await site.status()
        machine.pin(status.pid, cores[0])
        for server in status.servers:
            machine.pin(server.pid, cores[1])
        with Parties(site.nets, site.callees, SETTINGS.told_calls, RATE, cores[1], folder) as parties:
            await _until(
                lambda: parties.acknowledged() >= SETTINGS.told_calls, SETTINGS.told_calls / RATE + WAIT_S_MAX
            )
            await trio.sleep(SETTLED_S)
            victim = max((await site.status()).servers, key=lambda server: server.sessions or 0)
            cpu_began_s, at = machine.cpu_s(status.pid), parties.clock()
            os.kill(victim.pid, signal.SIGKILL)
            await _until(lambda: len(parties.told(at)) >= 2 * victim.sessions, WAIT_S_MAX)
            cpu_s = machine.cpu_s(status.pid) - cpu_began_s
            first, last = parties.first_reinvite(at), max(parties.told(at))
    return Telling(victim.sessions, (first - at) * 1000, (last - first) * 1000, cpu_s * 1e6 / victim.sessions)


async def _until(holds, seconds):
    deadline = trio.current_time() + seconds
    while not holds():
        assert trio.current_time() < deadline, "not within its time"
        await trio.sleep(0.2)
