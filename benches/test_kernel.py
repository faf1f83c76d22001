"""What the kernel's forwarding costs, over a cable to a host of its own; and what is lost when its process is killed.

Counted is all CPU time that a packet takes from one party to the other: of the generator, of the media server, and
of the kernel's own threads for it. The kernel works for whoever sends: what it forwards is in the generator's account.
What two parties cost that talk to each other with nothing in between is subtracted; the rest was added by the way over
the cable, through the media server and back.

With few calls the cores sleep between packets, and what is done first after that is dear, as their caches are cold. So
few calls are measured once more while no core may sleep: the difference is the price of waking up on a longer way.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass

import pytest

from benches import cable, machine
from benches.findings import Row, median
from benches.generator import PACKETS_PER_CALL_S, STATED
from benches.relays import far_relay
from benches.settings import SETTINGS
from mediaha.drill.plot import Bars, bars

pytestmark = pytest.mark.timeout(1800)
DIRECT = "nothing in between"
KERNEL, STEERED, SOCKETS = "kernel", "steered", "sockets"
PORTS = {KERNEL: "10000-14999", STEERED: "15000-19999", SOCKETS: "20000-24999"}
GOAL = "<= 0.15 x"
SHORTFALL_MAX = 0.02
TRIES_MAX = 4


@dataclass(frozen=True, slots=True)
class Window:
    """What one window showed. Every packet was heard by whom it was meant for, whole and in order."""

    path: str
    calls: int
    awake: bool
    """No core was allowed to sleep."""
    cpu_us_per_packet: float
    """Of all who had to do with it."""
    process_us_per_packet: float
    """Of the media server's process."""
    machine_us_per_packet: float
    """Of everybody on this machine, from /proc/stat: it counts only where nothing else runs."""
    latency_ms_p50: float
    lost: int


@pytest.fixture(scope="module")
def far():
    try:
        with cable.far_host() as inside:
            yield inside
    except subprocess.CalledProcessError as refused:
        pytest.skip(f"no network namespace can be made here: {refused.stderr.decode().strip()}")


@pytest.fixture(scope="module")
def relays(cores, far, tmp_path_factory, findings):
    """All on the first core; those that are not measured have nothing to do."""
    folder = tmp_path_factory.mktemp("far")
    with contextlib.ExitStack() as stack:
        running = {}
        for datapath, ports in PORTS.items():
            try:
                running[datapath] = stack.enter_context(far_relay(datapath, datapath, ports, cores[0], folder, far))
            except RuntimeError as refused:
                findings.notes.append(f"the {datapath} datapath is not measured: {refused}")
        if KERNEL not in running:
            pytest.skip("the kernel cannot forward here")
        yield running


@pytest.fixture(scope="module")
def measured(findings):
    """Windows by circumstances and path; written down when the module is through."""
    windows = {}
    yield windows
    rows = [row for circumstances in windows for row in rows_of(*circumstances, windows[circumstances])]
    data = {"windows": [asdict(w) for by_path in windows.values() for each in by_path.values() for w in each]}
    findings.save("kernel", rows, data, picture(windows))


@pytest.mark.parametrize("calls", SETTINGS.kernel_calls)
def test_what_a_way_through_the_kernel_adds(calls, relays, generator, measured, findings, benchmark):
    """The paths take turns, so that what else happens on the machine falls on all."""
    take_turns(calls, False, relays, generator, measured, findings, benchmark)


def test_what_it_adds_while_no_core_sleeps(relays, generator, measured, findings, benchmark):
    with machine.awake():
        take_turns(SETTINGS.kernel_calls[0], True, relays, generator, measured, findings, benchmark)


def take_turns(calls, awake, relays, generator, measured, findings, benchmark):
    """Windows of all paths."""
    windows = measured[calls, awake] = {path: [] for path in (DIRECT, *relays)}

    def one_window_each():
        for path, found in windows.items():
            seen = window(path, relays.get(path), generator, calls, awake)
            if seen is None:
                findings.notes.append(
                    f"{path} with {calls} calls: a window does not count, others had the generator's core"
                )
            else:
                found.append(seen)

    benchmark.pedantic(one_window_each, rounds=SETTINGS.windows, iterations=1)
    rows = rows_of(calls, awake, windows)
    benchmark.extra_info.update({row.figure: (row.ours, row.rival) for row in rows})


def test_nothing_is_lost_while_the_process_is_dead(cores, far, tmp_path, generator, findings, benchmark):
    """Killed under load, missing for some seconds, and started again by somebody who knows nothing of its calls."""
    calls = SETTINGS.kernel_calls[-1]
    relay = ("mortal", KERNEL, "25000-29999", cores[0], tmp_path, far)
    with contextlib.ExitStack() as stack:
        try:
            first = stack.enter_context(far_relay(*relay))
        except RuntimeError as refused:
            pytest.skip(str(refused))
        place(generator, first, calls)
        time.sleep(SETTINGS.warm_up_s)
        alive_s = machine.cpu_s(first.pid)

        def die_and_live():
            os.kill(first.pid, signal.SIGKILL)
            time.sleep(SETTINGS.kernel_dead_s)
            stack.enter_context(far_relay(*relay))
            time.sleep(SETTINGS.warm_up_s)

        benchmark.pedantic(die_and_live, rounds=1, iterations=1)
        # Its calls are not the new process's, which has nobody to tell it of them; the flows are.
        seen = generator.order("end", forget=True)
    assert not any(seen[name] for name in STATED), seen
    lost = int(seen["sent"] - seen["received"])
    death = f"kill -9 and {SETTINGS.kernel_dead_s:.0f} s without a process"
    rows = [Row(f"kernel: lost of {seen['sent']} packets, {death}, {calls} calls", lost, "", goal="0")]
    findings.save("kernel_death", rows, {"seen": seen, "cpu_s_of_the_process_before": alive_s}, None)
    assert lost == 0


def place(generator, relay, calls):
    # The lanes open at once when nobody else than the signalled address is believed.
    generator.order("place", server=str(relay.ng), calls=calls, host=cable.NEAR, flags=["strict source"])


def window(path, relay, generator, calls, awake):
    """One in which the generator kept its pace; on a busy machine it may take a few, and come to nothing."""
    for _ in range(TRIES_MAX):
        found, sent = try_window(path, relay, generator, calls, awake)
        if sent >= (1 - SHORTFALL_MAX) * calls * PACKETS_PER_CALL_S * SETTINGS.window_s:
            return found
    return None


def try_window(path, relay, generator, calls, awake):
    if relay is None:
        generator.order("direct", calls=calls, host=cable.NEAR)
    else:
        place(generator, relay, calls)
    time.sleep(SETTINGS.warm_up_s)
    kernel = machine.softirq_threads()

    def spent():
        threads = sum(machine.cpu_s(thread) for thread in kernel)
        return generator.cpu_s(), relay.cpu_s() if relay else 0.0, threads, machine.moment().busy_s

    before, began = spent(), generator.order("look")
    time.sleep(SETTINGS.window_s)
    after, ended = spent(), generator.order("look")
    whole = generator.order("end")
    talked, relayed, threads, everybody = (b - a for a, b in zip(before, after, strict=True))
    packets = ended["received"] - began["received"]
    assert not any(whole[name] for name in STATED), f"this window does not count: {whole}"
    us = 1e6 / max(1, packets)
    found = Window(
        path=path,
        calls=calls,
        awake=awake,
        cpu_us_per_packet=(talked + relayed + threads) * us,
        process_us_per_packet=relayed * us,
        machine_us_per_packet=everybody * us,
        latency_ms_p50=ended["latency_ms_p50"],
        lost=int(whole["sent"] - whole["received"]),
    )
    return found, int(ended["sent"] - began["sent"])


def rows_of(calls, awake, windows):
    """What each way adds to nothing in between; the kernel beside user space."""
    where = f"{calls} calls, no core asleep" if awake else f"{calls} calls"

    def middle(path, value):
        return median(value(window) for window in windows.get(path, ()))

    def added(path, value):
        with_it, without = middle(path, value), middle(DIRECT, value)
        return None if with_it is None or without is None else with_it - without

    figures = {
        "CPU added to a packet": ("µs", lambda w: w.cpu_us_per_packet, GOAL),
        "latency added, p50": ("µs", lambda w: w.latency_ms_p50 * 1e3, ""),
        "CPU of the whole machine added to a packet": ("µs", lambda w: w.machine_us_per_packet, ""),
    }
    rows = [
        Row(f"kernel: {figure}, {where}", added(KERNEL, value), unit, added(rival, value), goal, rival)
        for figure, (unit, value, goal) in figures.items()
        for rival in (STEERED, SOCKETS)
        if windows.get(rival)
    ]
    lost = middle(KERNEL, lambda w: w.lost)
    process = middle(KERNEL, lambda w: w.process_us_per_packet)
    return [
        *rows,
        Row(f"kernel: CPU of the process, {where}", process, "µs"),
        Row(f"kernel: lost, {where}", lost, ""),
    ]


def picture(windows):
    """Bars of CPU per packet, from one party to the other."""
    return bars(
        "CPU for a packet from party to party, over a cable and back (less is better)",
        "calls at the same time, 100 packets a second each",
        "µs",
        [f"{calls}, no core asleep" if awake else str(calls) for calls, awake in windows],
        [
            Bars(path, [median(w.cpu_us_per_packet for w in by_path.get(path, ())) for by_path in windows.values()])
            for path in (DIRECT, KERNEL, STEERED, SOCKETS)
            if any(by_path.get(path) for by_path in windows.values())
        ],
    )
