"""What a media server costs for each packet that it forwards, and for how long it holds it; beside others."""

from __future__ import annotations

import contextlib
import shutil
import time

import pytest

from benches.findings import Row, median
from benches.generator import NotMeasured, as_data, window_at_full_load
from benches.relays import (
    BARE,
    OURS,
    RIVAL,
    STEERED,
    bare_loop,
    rival_is_here,
    rtpengine_relay,
    sockets_relay,
    steered_relay,
)
from benches.settings import SETTINGS
from mediaha.drill.plot import Bars, bars

pytestmark = pytest.mark.timeout(1800)
NOTICED_S_MAX = 5.0
COST_GOALS = {OURS: {500: "<= 0.65 x", 1000: "<= 0.65 x"}, STEERED: {500: "<= 0.35 x", 1000: "<= 0.45 x"}}
LATENCY_GOALS = {STEERED: ("<= 0.5 ms", "<= 3 ms")}
CAPACITY_GOALS = {STEERED: ">= 2 x"}
LATENCY_MS_P99_MAX = 10.0
"""Of the calls that a core holds."""
TRIES = 2
"""A step that does not hold is tried again: the machine may have been busy with something else."""


@pytest.fixture(scope="module")
def relays(cores, findings, tmp_path_factory):
    """All on the first core; those that are not measured have nothing to do."""
    folder = tmp_path_factory.mktemp("relays")
    with contextlib.ExitStack() as stack:
        running = [stack.enter_context(sockets_relay(cores[0], folder))]
        try:
            running.append(stack.enter_context(steered_relay(cores[0], folder)))
        except RuntimeError as refused:
            findings.notes.append(f"{STEERED} is not measured: {refused}")
        if rival_is_here():
            running.append(stack.enter_context(rtpengine_relay(cores[0], folder)))
        if shutil.which("cargo"):
            running.append(stack.enter_context(bare_loop(cores[0])))
        yield running


@pytest.fixture(scope="module")
def measured(findings):
    """Windows by calls and relay; written down when the module is through."""
    windows = {}
    yield windows
    rows = [row for calls in windows for row in rows_of(calls, windows[calls])]
    data = {"windows": [as_data(w) for by_relay in windows.values() for each in by_relay.values() for w in each]}
    findings.save("forwarding", rows, data, picture(windows))


def test_the_generator_notices_a_caller_that_hears_a_stranger(relays, generator):
    """The check is proved by breaking what it checks: a caller sends past the relay to another caller."""
    generator.order("place", server=str(relays[0].ng), calls=2)
    assert generator.order("look")["misdirected"] == 0
    generator.order("cross")
    deadline = time.monotonic() + NOTICED_S_MAX
    while generator.order("look")["misdirected"] == 0:
        assert time.monotonic() < deadline, "the generator did not notice"
    generator.order("end")


@pytest.mark.parametrize("calls", SETTINGS.forwarding_calls)
def test_forwarding(calls, relays, generator, measured, benchmark):
    """The media servers take turns, so that what else happens on the machine falls on all."""
    windows = measured[calls] = {relay.name: [] for relay in relays}
    for relay in relays:
        window_at_full_load(relay, generator, min(calls, 100))  # the first calls of a process pay for its memory

    def one_window_each():
        for relay in relays:
            windows[relay.name].append(window_at_full_load(relay, generator, calls))

    benchmark.pedantic(one_window_each, rounds=SETTINGS.windows, iterations=1)
    benchmark.extra_info.update({row.figure: (row.ours, row.rival) for row in rows_of(calls, windows)})
    for window in (window for each in windows.values() for window in each):
        assert window.clean, f"this figure does not count: {window}"


def test_how_many_calls_a_core_holds(relays, generator, findings, benchmark):
    """Ever more calls, until packets are lost or late."""
    held = benchmark.pedantic(
        lambda: {relay.name: most_calls(relay, generator) for relay in relays}, rounds=1, iterations=1
    )
    most = {name: calls for name, (calls, _) in held.items()}
    rows = [
        Row(
            f"{name}: calls on one core, p99 latency <= {LATENCY_MS_P99_MAX:.0f} ms, none lost ({why})",
            most[name],
            "",
            most.get(RIVAL),
            CAPACITY_GOALS.get(name, ""),
        )
        for name, (_, why) in held.items()
        if name != RIVAL
    ]
    picture_of_all = bars(
        f"calls on one core, p99 latency <= {LATENCY_MS_P99_MAX:.0f} ms, none lost (more is better)",
        "G.711, 20 ms",
        "calls",
        ["calls"],
        [Bars(name, [calls]) for name, calls in most.items()],
    )
    findings.save("capacity", rows, {"held": held}, picture_of_all)
    assert all(most.values()), held


def most_calls(relay, generator):
    """The most calls of the steps that it held, and what stood in the way of the next."""
    held, why = 0, "no more were tried"
    for calls in SETTINGS.capacity_calls:
        for _ in range(TRIES):
            try:
                window = window_at_full_load(relay, generator, calls)
            except NotMeasured:
                why = "the generator's core was full"
                continue
            if not window.lost and window.clean and (window.latency_ms_p99 or 0) <= LATENCY_MS_P99_MAX:
                break
            why = f"at {calls}, {window.lost} lost, p99 {window.latency_ms_p99:.1f} ms, core {window.core:.0%}"
        else:
            return held, why
        held, why = calls, "no more were tried"
    return held, why


def rows_of(calls, windows):
    """Medians of the windows, each of ours beside the rival's."""

    def middle(name, value):
        return median(value(window) for window in windows.get(name, ()))

    def row(name, figure, unit, value, goal=""):
        return Row(f"{name}: {figure}, {calls} calls", middle(name, value), unit, middle(RIVAL, value), goal)

    rows = []
    for name in (name for name in (OURS, STEERED, BARE) if windows.get(name)):
        p50, p99 = LATENCY_GOALS.get(name, ("", ""))
        cost_goal = COST_GOALS.get(name, {}).get(calls, "")
        rows += [
            row(name, "CPU per packet", "µs", lambda w: w.cpu_us_per_packet, cost_goal),
            row(name, "of the core", "%", lambda w: w.core * 100),
            row(name, "latency p50", "ms", lambda w: w.latency_ms_p50, p50),
            row(name, "latency p99", "ms", lambda w: w.latency_ms_p99, p99),
            row(name, "lost of a million", "", lambda w: w.lost * 1e6 / max(1, w.sent)),
        ]
    return rows


def picture(windows):
    """Bars of CPU per packet."""
    return bars(
        "CPU per forwarded packet, one core (less is better)",
        "calls at the same time, 100 packets a second each",
        "µs",
        [str(calls) for calls in windows],
        [
            Bars(name, [_cpu(by_relay.get(name, ())) for by_relay in windows.values()])
            for name in (OURS, STEERED, RIVAL, BARE)
            if any(by_relay.get(name) for by_relay in windows.values())
        ],
    )


def _cpu(windows):
    return median(window.cpu_us_per_packet for window in windows)
