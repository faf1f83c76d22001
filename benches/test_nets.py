"""How many calls a second NeTS carries, what each costs, and how long a caller waits; SIPp calls SIPp through it.

Beside it, in turns, on the same core: sippy's back-to-back user agent, and Kamailio as a mere stateful proxy. Those
two have no media to care for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from functools import partial

import pytest
import trio
from tests.peers.installed import needs

from benches import machine, systems
from benches.callers import Outcome, place_calls
from benches.findings import Row
from benches.settings import SETTINGS
from benches.systems import NOTHING, OURS, PROXY, SIPPY, NotThere, System
from mediaha.drill.plot import Bars, bars

pytestmark = [
    pytest.mark.timeout(1800),
    needs("sipp", "sip-tester"),
]
TRIES = 2
"""A rate that does not hold once may have met somebody else's work."""
PAUSE_S = 1.0
"""Between two rates."""
GOAL_RATIO = 3
GOAL_SETUP_MS_P99 = 20
GOAL_SETUP_RATE = 500
"""Two thirds of three times what sippy was seen to hold."""


@dataclass(frozen=True)
class Step:
    """One rate through one system."""

    system: str
    calls: Outcome
    cpu_us_per_call: float
    """Of NeTS: of the process that has the failover pool too."""
    media_us_per_call: float
    """Of all media servers together."""
    core: float
    others_cores: float
    """Cores that were kept busy by others than the system; SIPp is among them."""


@pytest.fixture(scope="module")
def measured(findings):
    """Every rate that was tried; written down when the module is through."""
    steps = []
    yield steps
    data = {"rates": [{**asdict(step), "holds": step.calls.holds} for step in steps]}
    findings.save("nets", rows_of(steps), data, picture(steps))


def test_calls_a_second(cores, tmp_path, measured, findings, benchmark):
    """Rising rates until one does not hold. What is measured has a core; its load and media share the other."""
    benchmark.pedantic(trio.run, args=(climb, cores, tmp_path, measured, findings.notes), rounds=1, iterations=1)
    benchmark.extra_info.update({row.figure: row.ours for row in rows_of(measured)})
    assert measured[0].calls.completed == measured[0].calls.placed, "even the lowest rate lost calls"


async def climb(cores, folder, steps, notes):
    """Each system takes its next rate in turn, until one does not hold; what there is not is noted."""
    rates = {
        OURS: SETTINGS.nets_rates,
        SIPPY: SETTINGS.sippy_rates,
        PROXY: SETTINGS.proxy_rates,
        NOTHING: (GOAL_SETUP_RATE,),
    }
    async with AsyncExitStack() as stack:
        climbing = [(await stack.enter_async_context(systems.ours(cores, _room(folder, OURS))), list(rates[OURS]))]
        for name, rival in ((SIPPY, systems.sippy), (PROXY, systems.proxy), (NOTHING, systems.nothing)):
            try:
                climbing.append((stack.enter_context(rival(cores, _room(folder, name))), list(rates[name])))
            except NotThere as why:
                notes.append(str(why))
        while climbing:
            climbing = [
                (system, left[1:])
                for system, left in climbing
                if left and await holds(system, left[0], cores[1], _room(folder, system.name), steps)
            ]


async def holds(system, rate, core, folder, steps):
    """Whether the system carries so many calls a second."""
    for _ in range(TRIES):
        await trio.sleep(PAUSE_S)
        steps.append(
            await one_step(
                system, partial(place_calls, system.listen, rate, SETTINGS.nets_step_s, core, folder, system.uri)
            )
        )
        if steps[-1].calls.holds:
            return True
    return False


async def one_step(system: System, call):
    """One rate, and what it cost."""
    began, ours_began, media_began = machine.moment(), system.cpu_s(), system.media_cpu_s()
    outcome = await trio.to_thread.run_sync(call)
    ours_s, media_s = system.cpu_s() - ours_began, system.media_cpu_s() - media_began
    ended = machine.moment()
    return Step(
        system=system.name,
        calls=outcome,
        cpu_us_per_call=ours_s * 1e6 / outcome.placed,
        media_us_per_call=media_s * 1e6 / outcome.placed,
        core=ours_s / (ended.at - began.at),
        others_cores=began.others(ended, ours_s + media_s),
    )


def rows_of(steps: Sequence[Step]):
    """What each holds, what a call costs at the same rate, and how long callers waited."""
    held = {name: [step for step in steps if step.system == name and step.calls.holds] for name in RIVALS}
    if not held[OURS]:
        return [Row("calls a second that hold", None, "/s")]
    best = held[OURS][-1]
    most = held[SIPPY][-1].calls.rate if held[SIPPY] else None
    rows = [
        Row("calls a second that hold", best.calls.rate, "/s", most, f">= {GOAL_RATIO} x", SIPPY),
        Row(f"CPU per call in NeTS at {best.calls.rate}/s", best.cpu_us_per_call, "µs"),
        Row(f"CPU per call in the media servers at {best.calls.rate}/s", best.media_us_per_call, "µs"),
    ]
    for rival in (SIPPY, PROXY):
        common = {step.calls.rate for step in held[rival]} & {step.calls.rate for step in held[OURS]}
        for rate in sorted(common)[-1:]:
            mine, theirs = (at(held[name], rate) for name in (OURS, rival))
            rows.append(
                Row(f"CPU per call at {rate}/s", mine.cpu_us_per_call, "µs", theirs.cpu_us_per_call, "", rival)
            )
    for step in {held[OURS][0].calls.rate: held[OURS][0], best.calls.rate: best}.values():
        rows += delays(step)
    goal, alone = at(held[OURS], GOAL_SETUP_RATE), at(held[NOTHING], GOAL_SETUP_RATE)
    if goal is not None and goal is not best:
        rows += delays(goal)
    if goal is not None and alone is not None:
        added = goal.calls.setup_ms_p99 - alone.calls.setup_ms_p99
        rows.append(
            Row(f"set-up delay added, p99 at {GOAL_SETUP_RATE}/s", added, "ms", goal=f"<= {GOAL_SETUP_MS_P99}")
        )
    return rows


RIVALS = (OURS, SIPPY, PROXY, NOTHING)


def at(held: Sequence[Step], rate: float) -> Step | None:
    """The last step at a rate."""
    return next((step for step in reversed(held) if step.calls.rate == rate), None)


def delays(step: Step):
    """How long callers waited for their 200."""
    rate = step.calls.rate
    return [
        Row(f"set-up delay p50 at {rate}/s", step.calls.setup_ms_p50, "ms"),
        Row(f"set-up delay p99 at {rate}/s", step.calls.setup_ms_p99, "ms"),
    ]


def picture(steps: Sequence[Step]):
    """Bars of the CPU of a call by rate, of the rates that held."""
    rates = sorted({step.calls.rate for step in steps if step.system in {OURS, SIPPY, PROXY} and step.calls.holds})
    held = [step for step in steps if step.calls.holds]
    cost = {(step.system, step.calls.rate): step.cpu_us_per_call / 1000 for step in held}
    names = [name for name in (OURS, SIPPY, PROXY) if any(step.system == name for step in held)]
    return bars(
        "CPU of a call from INVITE to BYE",
        "calls a second",
        "ms",
        [str(rate) for rate in rates],
        [Bars(name, [cost.get((name, rate), 0.0) for rate in rates]) for name in names],
    )


def _room(folder, name):
    room = folder / name
    room.mkdir(exist_ok=True)
    return room
