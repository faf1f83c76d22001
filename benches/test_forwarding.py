"""What a media server costs for each packet that it forwards, and how long it holds it; beside rtpengine."""

from __future__ import annotations

import time

import pytest

from benches.findings import Row, median
from benches.generator import as_data, window_at_full_load
from benches.relays import OURS, RIVAL, all_relays
from benches.settings import SETTINGS
from mediaha.drill.plot import Bars, bars

pytestmark = pytest.mark.timeout(900)
NOTICED_S_MAX = 5.0
GOALS = {500: "<= 0.65 x", 1000: "<= 0.65 x"}


@pytest.fixture(scope="module")
def relays(cores, tmp_path_factory):
    """Both on the first core; the one that is not measured has nothing to do."""
    with all_relays(cores[0], tmp_path_factory.mktemp("relays")) as running:
        yield running


@pytest.fixture(scope="module")
def measured(findings):
    """Windows by calls and relay; written down when the module is through."""
    windows = {}
    yield windows
    rows = [row for calls in windows for row in rows_of(calls, windows[calls]) if row.ours is not None]
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
    """The media servers take turns, so that what else happens on the machine falls on both."""
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


def rows_of(calls, windows):
    """Medians of the windows."""

    def both(figure, unit, value, goal=""):
        ours, rival = ([value(window) for window in windows.get(name, ())] for name in (OURS, RIVAL))
        return Row(f"{figure}, {calls} calls", median(ours), unit, median(rival), goal)

    return [
        both("CPU per forwarded packet", "µs", lambda w: w.cpu_us_per_packet, GOALS.get(calls, "")),
        both("of the core", "%", lambda w: w.core * 100),
        both("latency p50", "ms", lambda w: w.latency_ms_p50),
        both("latency p99", "ms", lambda w: w.latency_ms_p99),
        both("lost of a million", "", lambda w: w.lost * 1e6 / max(1, w.sent)),
    ]


def picture(windows):
    """Bars of CPU per packet."""
    return bars(
        "CPU per forwarded packet, one core (less is better)",
        "calls at the same time, 100 packets a second each",
        "µs",
        [str(calls) for calls in windows],
        [
            Bars(name, [_cpu(by_relay.get(name, ())) for by_relay in windows.values()])
            for name in (OURS, RIVAL)
            if any(by_relay.get(name) for by_relay in windows.values())
        ],
    )


def _cpu(windows):
    return median(window.cpu_us_per_packet for window in windows)
