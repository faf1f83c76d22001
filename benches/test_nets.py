"""How many calls a second NeTS carries, what each costs, and how long a caller waits; SIPp calls SIPp through it."""

from __future__ import annotations

import shutil
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial

import pytest
import trio

from benches import machine
from benches.callers import Callees, Outcome, place_calls
from benches.findings import Row
from benches.settings import SETTINGS
from mediaha.drill.plot import Bars, bars
from mediaha.drill.site import own_site

pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(shutil.which("sipp") is None, reason="SIPp is missing: apt-get install sip-tester"),
]
TRIES = 2
"""A rate that does not hold once may have met somebody else's work."""
PAUSE_S = 1.0
"""Between two rates."""


@dataclass(frozen=True)
class Step:
    """One rate."""

    calls: Outcome
    cpu_us_per_call: float
    """Of the process with NeTS and the failover pool."""
    media_us_per_call: float
    """Of all media servers together."""
    core: float
    others_cores: float
    """Cores that were kept busy by others than the site; SIPp is among them."""


@pytest.fixture(scope="module")
def measured(findings):
    """Every rate that was tried; written down when the module is through."""
    steps = []
    yield steps
    data = {"rates": [{**asdict(step), "holds": step.calls.holds} for step in steps]}
    findings.save("nets", rows_of(steps), data, picture(steps))


def test_calls_a_second(cores, tmp_path, measured, benchmark):
    """Rising rates until one does not hold. NeTS has a core; SIPp and the media servers share the other."""
    benchmark.pedantic(trio.run, args=(climb, cores, tmp_path, measured), rounds=1, iterations=1)
    benchmark.extra_info.update({row.figure: row.ours for row in rows_of(measured)})
    assert measured[0].calls.completed == measured[0].calls.placed, "even the lowest rate lost calls"


async def climb(cores, folder, steps):
    """Try the rates from left to right."""
    async with pinned_site(cores) as (site, nets_pid, media_pids):
        callees = Callees(site.callees, cores[1], folder)
        try:
            for rate in SETTINGS.nets_rates:
                for _ in range(TRIES):
                    await trio.sleep(PAUSE_S)
                    call = partial(place_calls, site.nets, rate, SETTINGS.nets_step_s, cores[1], folder)
                    steps.append(await one_step(call, nets_pid, media_pids))
                    if steps[-1].calls.holds:
                        break
                else:
                    return
        finally:
            callees.close()


@asynccontextmanager
async def pinned_site(cores):
    """A site with two media servers: NeTS on the first core, the media servers on the second."""
    async with own_site(2) as site:
        status = await site.status()
        media_pids = [server.pid for server in status.servers]
        machine.pin(status.pid, cores[0])
        for pid in media_pids:
            machine.pin(pid, cores[1])
        yield site, status.pid, media_pids


async def one_step(call, nets_pid, media_pids):
    """One rate, and what it cost."""
    began, nets_began, media_began = machine.moment(), machine.cpu_s(nets_pid), sum(map(machine.cpu_s, media_pids))
    outcome = await trio.to_thread.run_sync(call)
    nets_s, media_s = machine.cpu_s(nets_pid) - nets_began, sum(map(machine.cpu_s, media_pids)) - media_began
    ended = machine.moment()
    return Step(
        calls=outcome,
        cpu_us_per_call=nets_s * 1e6 / outcome.placed,
        media_us_per_call=media_s * 1e6 / outcome.placed,
        core=nets_s / (ended.at - began.at),
        others_cores=began.others(ended, nets_s + media_s),
    )


def rows_of(steps):
    """The highest rate that held, with its costs; and the set-up delay at a modest rate."""
    held = [step for step in steps if step.calls.holds]
    if not held:
        return [Row("calls a second that hold", None, "/s")]
    best, first = held[-1], held[0]
    rows = [
        Row("calls a second that hold", best.calls.rate, "/s"),
        Row(f"CPU per call in NeTS at {best.calls.rate}/s", best.cpu_us_per_call, "µs"),
        Row(f"CPU per call in the media servers at {best.calls.rate}/s", best.media_us_per_call, "µs"),
    ]
    for step in (first, best) if first is not best else (first,):
        rows += [
            Row(f"set-up delay p50 at {step.calls.rate}/s", step.calls.setup_ms_p50, "ms"),
            Row(f"set-up delay p99 at {step.calls.rate}/s", step.calls.setup_ms_p99, "ms"),
        ]
    return rows


def picture(steps):
    """Bars of the set-up delay by rate, of the rates that held."""
    held = [step for step in steps if step.calls.holds]
    return bars(
        "Set-up delay through NeTS, INVITE to 200",
        "calls a second",
        "ms",
        [str(step.calls.rate) for step in held],
        [
            Bars("p50", [step.calls.setup_ms_p50 for step in held]),
            Bars("p99", [step.calls.setup_ms_p99 for step in held]),
        ],
    )
