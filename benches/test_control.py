"""How fast a media server sets calls up and takes them over, and how much memory a call takes; beside rtpengine."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass

import pytest

from benches import machine
from benches.findings import Row, median
from benches.relays import (
    NO_RIVAL,
    OURS,
    RIVAL,
    STEERED,
    rival_is_here,
    rtpengine_relay,
    sockets_relay,
    steered_relay,
)
from benches.settings import SETTINGS
from benches.setups import delete_all, prepare, prepare_adoptions, set_up
from mediaha.drill.plot import Bars, bars
from mediaha.drill.report import percentile
from mediaha.load import adopt_calls

pytestmark = pytest.mark.timeout(900)
KIB = 1024
MEMORY_PORTS = {steered_relay: ["20000-29999"]}
"""Not those of the steered server that stays for the whole module, which nobody else can have."""
ADOPTION_PORTS = {steered_relay: "10000-51999", rtpengine_relay: "10000-29999"}
ADOPTED = {steered_relay: SETTINGS.adopted_calls, rtpengine_relay: min(SETTINGS.adopted_calls, 4000)}
BUNDLES_IN_FLIGHT = 8
OFFERS_IN_FLIGHT = 64


@dataclass(frozen=True)
class Window:
    """Calls set up in one window."""

    relay: str
    in_flight: int
    calls_per_s: float
    offer_us_p50: float
    offer_us_p99: float
    cpu_us_per_call: float
    others_cores: float


@dataclass(frozen=True)
class Memory:
    """What a call takes that was set up and hears nothing yet."""

    relay: str
    calls: int
    resident_kib: float
    kernel_kib: float
    """The growth of all slabs of the machine, so what others do is in it."""
    descriptors: float


@dataclass(frozen=True)
class Adoption:
    """Calls taken over from another media server, all at once."""

    relay: str
    calls: int
    lasted_ms: float
    cpu_us_per_call: float


@pytest.fixture(scope="module")
def relays(cores, tmp_path_factory):
    """All on the first core."""
    folder = tmp_path_factory.mktemp("relays")
    with ExitStack() as stack:
        running = [stack.enter_context(sockets_relay(cores[0], folder))]
        try:
            running.append(stack.enter_context(steered_relay(cores[0], folder)))
        except RuntimeError as error:
            print(f"without steered ports: {error}")
        if rival_is_here():
            running.append(stack.enter_context(rtpengine_relay(cores[0], folder)))
        yield running


@pytest.fixture(scope="module")
def measured(findings):
    """Windows and memory; written down when the module is through."""
    found = []
    yield found
    windows = [each for each in found if isinstance(each, Window)]
    memory = [each for each in found if isinstance(each, Memory)]
    adoptions = [each for each in found if isinstance(each, Adoption)]
    rows = [
        row
        for ours in (OURS, STEERED)
        for row in [
            *(row for in_flight in (1, 4) for row in rows_of(in_flight, windows, ours)),
            *memory_rows(memory, ours),
            *adoption_rows(adoptions, ours),
        ]
    ]
    data = {
        "windows": [asdict(each) for each in windows],
        "memory": [asdict(each) for each in memory],
        "adoptions": [asdict(each) for each in adoptions],
    }
    findings.save("control", rows, data, picture(windows))


@pytest.mark.parametrize("in_flight", [1, 4])
def test_set_up(in_flight, relays, cores, measured, benchmark):
    """Offers and answers, ``in_flight`` calls at a time; the media servers take turns."""

    def one_window_each():
        measured.extend(set_up_window(relay, in_flight) for relay in relays)

    with on_core(cores[1]):
        for relay in relays:
            set_up_window(relay, in_flight)
        benchmark.pedantic(one_window_each, rounds=SETTINGS.windows, iterations=1)
    windows = [each for each in measured if isinstance(each, Window)]
    for ours in (OURS, STEERED):
        rows = rows_of(in_flight, windows, ours)
        benchmark.extra_info.update({row.figure: (row.ours, row.rival) for row in rows})


@pytest.mark.parametrize("calls_for", [prepare_adoptions, prepare], ids=["adopted", "offered"])
@pytest.mark.parametrize("open_relay", [steered_relay, rtpengine_relay], ids=[STEERED, RIVAL])
def test_adopting(open_relay, calls_for, cores, tmp_path, measured, benchmark):
    """A standby takes over the calls of a dead server; rtpengine is offered fewer, as each takes it descriptors."""
    if (open_relay is rtpengine_relay) == (calls_for is prepare_adoptions):
        pytest.skip("each in its own way")
    with started(open_relay, cores[0], tmp_path, ADOPTION_PORTS[open_relay]) as relay, on_core(cores[1]):
        calls, cpu_began = calls_for(ADOPTED[open_relay]), relay.cpu_s()
        took = benchmark.pedantic(take_over, args=(relay.ng, calls), rounds=1, iterations=1)
        cpu_us = (relay.cpu_s() - cpu_began) * 1e6 / len(calls)
        measured.append(Adoption(relay.name, len(calls), took * 1e3, cpu_us))
        benchmark.extra_info.update(asdict(measured[-1]))


def take_over(server, calls):
    """Seconds."""
    if isinstance(calls[0], bytes):
        return adopt_calls(str(server), calls, BUNDLES_IN_FLIGHT)
    began = time.perf_counter()
    set_up(server, calls, OFFERS_IN_FLIGHT)
    return time.perf_counter() - began


@contextmanager
def started(open_relay, core, folder, *arguments):
    """A media server of its own; the test is skipped where it cannot be had."""
    if open_relay is rtpengine_relay and not rival_is_here():
        pytest.skip(NO_RIVAL)
    with ExitStack() as stack:
        try:
            relay = stack.enter_context(open_relay(core, folder, *arguments))
        except RuntimeError as error:
            pytest.skip(str(error))
        yield relay


@pytest.mark.parametrize("open_relay", [sockets_relay, steered_relay, rtpengine_relay], ids=[OURS, STEERED, RIVAL])
def test_memory_of_a_call(open_relay, cores, tmp_path, measured, benchmark):
    """A fresh process each, since memory that was used once is kept."""
    with started(open_relay, cores[0], tmp_path, *MEMORY_PORTS.get(open_relay, [])) as relay:
        some, many = prepare(50), prepare(SETTINGS.memory_calls)
        set_up(relay.ng, some, 1)
        before = sizes(relay)
        benchmark.pedantic(set_up, args=(relay.ng, many, 1), rounds=1, iterations=1)
        resident, kernel, descriptors = (
            (now - then) / len(many) for now, then in zip(sizes(relay), before, strict=True)
        )
        measured.append(Memory(relay.name, len(many), resident / KIB, kernel / KIB, descriptors))
        benchmark.extra_info.update(asdict(measured[-1]))
        delete_all(relay.ng, some + many)
        assert len(many) == SETTINGS.memory_calls


def sizes(relay):
    """Resident memory, slabs, descriptors."""
    return machine.resident_bytes(relay.pid), machine.slab_bytes(), machine.descriptors(relay.pid)


def set_up_window(relay, in_flight):
    """Calls are set up in goes, until the goes together have lasted a window; deleting them is not counted."""
    timings, cpu_s, others = [], 0.0, []
    while sum(timing.lasted_s for timing in timings) < SETTINGS.window_s:
        calls = prepare(SETTINGS.control_calls)
        began, cpu_began, own_began = machine.moment(), relay.cpu_s(), machine.cpu_s(os.getpid())
        timings.append(set_up(relay.ng, calls, in_flight))
        used_s, own_s = relay.cpu_s() - cpu_began, machine.cpu_s(os.getpid()) - own_began
        others.append(began.others(machine.moment(), used_s + own_s))
        cpu_s += used_s
        delete_all(relay.ng, calls)
    calls = sum(timing.calls for timing in timings)
    offers_us = [offer_s * 1e6 for timing in timings for offer_s in timing.offers_s]
    return Window(
        relay=relay.name,
        in_flight=in_flight,
        calls_per_s=calls / sum(timing.lasted_s for timing in timings),
        offer_us_p50=percentile(offers_us, 50),
        offer_us_p99=percentile(offers_us, 99),
        cpu_us_per_call=cpu_s * 1e6 / calls,
        others_cores=median(others),
    )


@contextmanager
def on_core(core):
    """Run this process on ``core``, away from the media server."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def rows_of(in_flight, windows, relay_of_ours):
    """Medians of the windows with so many in flight."""

    def both(figure, unit, name, goal=""):
        ours, rival = (
            [getattr(w, name) for w in windows if w.relay == relay and w.in_flight == in_flight]
            for relay in (relay_of_ours, RIVAL)
        )
        return Row(f"{figure}, {in_flight} in flight{how(relay_of_ours)}", median(ours), unit, median(rival), goal)

    rows = [
        both("calls set up a second", "/s", "calls_per_s", ">= 4 x" if in_flight == 4 else ""),
        both("offer p50", "µs", "offer_us_p50"),
        both("offer p99", "µs", "offer_us_p99"),
        both("CPU per set-up", "µs", "cpu_us_per_call"),
    ]
    return [row for row in rows if row.ours is not None]


def how(relay):
    """What is said of a row."""
    return ", steered" if relay == STEERED else ""


def adoption_rows(adoptions, relay_of_ours):
    """How long a standby takes for the calls of a dead server."""
    ours, rival = (next((each for each in adoptions if each.relay == name), None) for name in (relay_of_ours, RIVAL))
    if ours is None:
        return []
    figure = f"taking over {ours.calls} calls{how(relay_of_ours)}"
    return [
        Row(figure, ours.lasted_ms, "ms", goal="<= 200 ms"),
        Row(
            f"CPU per call taken over{how(relay_of_ours)}", ours.cpu_us_per_call, "µs", rival and rival.cpu_us_per_call
        ),
    ]


def memory_rows(memory, relay_of_ours):
    """What a call takes."""
    ours, rival = (next((each for each in memory if each.relay == name), None) for name in (relay_of_ours, RIVAL))
    if ours is None:
        return []

    def both(figure, unit, value, goal=""):
        return Row(figure + how(relay_of_ours), value(ours), unit, value(rival) if rival else None, goal)

    goal = "<= 4 KiB" if relay_of_ours == STEERED else "<= 20 KiB"
    return [
        both("memory of a call, user and kernel", "KiB", lambda m: m.resident_kib + m.kernel_kib, goal),
        both("memory of a call, resident", "KiB", lambda m: m.resident_kib),
        both("descriptors of a call", "", lambda m: m.descriptors),
    ]


def picture(windows):
    """Bars of calls a second."""
    series = [
        Bars(name, [_rate(windows, name, in_flight) for in_flight in (1, 4)])
        for name in (OURS, STEERED, RIVAL)
        if any(window.relay == name for window in windows)
    ]
    return bars("Calls set up a second, one core (more is better)", "in flight", "calls a second", ["1", "4"], series)


def _rate(windows, name, in_flight):
    return median(w.calls_per_s for w in windows if w.relay == name and w.in_flight == in_flight)
