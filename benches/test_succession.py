"""A media-server process is killed, and another one goes on: how long that takes with many calls, and what is lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import pytest
import trio

from benches.findings import Row, median
from benches.settings import SETTINGS
from benches.setups import prepare, set_up
from mediaha.drill.calls import open_phones, place_calls
from mediaha.drill.plot import Line, Mark, chart
from mediaha.drill.site import own_site
from mediaha.model.address import Address
from mediaha.ops.asking import NotServing, ask

pytestmark = pytest.mark.timeout(900)
PORTS = (10000, 59999)
SITE = """
[[hosts]]
name = "here"
address = "127.0.0.1"
[[media]]
name = "media-1"
host = "here"
ng = "127.0.0.1:{ng}"
ports = "{first}-{last}"
datapath = "{datapath}"
"""
IN_FLIGHT = 8
START_S_MAX = 30.0
TALK_S = 2.0
PINGS_EVERY_S = 0.001


@dataclass(frozen=True, slots=True)
class Adoption:
    """One kill of a process with many calls, none of which carries packets."""

    calls: int
    took_ms: float
    """From when the next process began to read what was left until every call was installed, by its own word."""
    cpu_ms: float
    """Of that, what the thread that did it had a processor for."""
    silent_ms: float
    """From the kill until the control port answered again."""


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill of a process whose calls talk."""

    datapath: str
    lost: list[int]
    """Packets of each stream."""
    gaps_ms: list[float]
    counts: list[int]
    bucket_ms: float
    begins_ms: float


@pytest.fixture(scope="module")
def measured(findings):
    """What was found; written down when the module is through."""
    adoptions: dict[str, list[Adoption]] = {}
    kills: list[Kill] = []
    yield adoptions, kills
    data = {
        "adoptions": {datapath: [asdict(one) for one in several] for datapath, several in adoptions.items()},
        "kills": [asdict(kill) for kill in kills],
    }
    findings.save("succession", rows_of(adoptions, kills), data, picture(kills) if kills else None)


@pytest.mark.parametrize("datapath", ["sockets", "steered"])
def test_adopting_many_calls(datapath, tmp_path, measured, benchmark):
    """The calls are set up once, and adopted as often as there are windows."""
    adoptions, _ = measured

    def all_windows() -> list[Adoption]:
        with host(tmp_path, datapath) as (control, ng, log):
            set_up(ng, prepare(calls_for(datapath)), IN_FLIGHT)
            return [killed(control, ng, log) for _ in range(SETTINGS.windows)]

    adoptions[datapath] = benchmark.pedantic(all_windows, rounds=1, iterations=1)
    assert all(one.calls == calls_for(datapath) for one in adoptions[datapath])


def test_killed_under_calls_that_talk(measured, benchmark):
    """A whole site, as `mediaha drill --fault kill` has it, with every packet of every stream accounted for."""
    _, kills = measured
    for _ in range(SETTINGS.windows):
        kills.append(trio.run(talk_through_a_kill, SETTINGS.killed_calls))
    benchmark.pedantic(lambda: None, rounds=1, iterations=1)
    benchmark.extra_info.update({row.figure: row.ours for row in rows_of({}, kills)})


def calls_for(datapath):
    """As many as the settings say; with a socket for each port, as many as this machine's files allow."""
    if datapath == "steered":
        return SETTINGS.succeeded_calls
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return min(SETTINGS.succeeded_calls, (hard - 1000) * 3 // 4 // 6)


@contextmanager
def host(folder, datapath):
    """A host with one media server; gives its control socket, its ng port and its log."""
    ng = free_port_below(PORTS[0])
    file, control, log = folder / "site.toml", folder / "control.sock", folder / "log"
    file.write_text(SITE.format(ng=ng, first=PORTS[0], last=PORTS[1], datapath=datapath))
    command = [sys.executable, "-m", "mediaha", "serve", str(file), "--control", str(control), "--log-format", "json"]
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            ready(control, process, log)
            yield control, Address("127.0.0.1", ng), log
        finally:
            process.terminate()


def free_port_below(limit):
    """A UDP port that nobody has, outside of what the media server relays on."""
    for port in range(limit - 1, 1024, -1):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            try:
                free.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError(f"no port below {limit} is free")


def ready(control, process=None, log=None):
    """Wait until the server and a spare are ready; gives the server's pid."""
    give_up_at = time.monotonic() + START_S_MAX
    while time.monotonic() < give_up_at:
        try:
            status = ask("status", control)
            if status["spare"] and status["servers"][0]["process"] == "running":
                return status["servers"][0]["pid"]
        except NotServing:
            if process is not None and process.poll() is not None:
                pytest.skip(f"no such media server can be had here: {log.read_text()[-300:]}")
        time.sleep(0.05)
    raise AssertionError(f"not ready: {log.read_text()[-2000:] if log else ''}")


def killed(control, ng, log):
    """Kill the process, and ping until somebody answers."""
    pid = ready(control)
    seen = len(adopted(log))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(ng)
        sock.settimeout(PINGS_EVERY_S)
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        number = 0
        while time.monotonic() < began + START_S_MAX:
            number += 1
            try:
                sock.send(b"%d d7:command4:pinge" % number)
                sock.recv(4096)
                break
            except OSError:
                continue
        silent_ms = (time.monotonic() - began) * 1000
    while len(adopted(log)) == seen:
        assert time.monotonic() < began + START_S_MAX, "nobody has adopted the calls"
        time.sleep(0.01)
    last = adopted(log)[-1]
    return Adoption(last["sessions"], last["took_ms"], last["cpu_ms"], silent_ms)


def adopted(log):
    """The records of adoptions."""
    return [json.loads(line) for line in log.read_text().splitlines() if '"estate_adopted"' in line]


async def talk_through_a_kill(calls):
    """Place the calls, kill the first server's process, and count for each stream."""
    async with own_site(2) as site, open_phones(site) as (load, phones):
        await place_calls(phones, calls, SETTINGS.moving_rate, lambda *_: None)
        await trio.sleep(TALK_S)
        legs = [leg for call in phones.calls for leg in call.legs()]
        before = [load.arrivals(leg.audio).lost for leg in legs]
        status = await site.status()
        victim = await site.victim(None)
        at = time.monotonic()
        os.kill(victim.pid, signal.SIGKILL)
        await trio.sleep(TALK_S)
        lost = [load.arrivals(leg.audio).lost - then for leg, then in zip(legs, before, strict=True)]
        gaps = {leg.audio: 0.0 for leg in legs}
        for gap in load.gaps(after=at):
            if gap.endpoint in gaps:
                gaps[gap.endpoint] = max(gaps[gap.endpoint], ((gap.ended or time.monotonic()) - gap.began) * 1000)
        began, bucket_s, counts = load.timeline(time.monotonic() - at + 0.5)
        datapath = next(server.datapath for server in status.servers if server.name == victim.name)
        total = load.arrivals()
        assert (total.misdirected, total.corrupt) == (0, 0)
        begins_ms = (began - at) * 1000
        return Kill(datapath or "?", lost, list(gaps.values()), list(counts), bucket_s * 1000, begins_ms)


def rows_of(adoptions, kills):
    """How long it takes the next process, and what is lost."""
    rows = []
    for datapath, several in adoptions.items():
        took, cpu, silent = (
            median(getattr(one, name) for one in several) for name in ("took_ms", "cpu_ms", "silent_ms")
        )
        calls = several[0].calls
        rows.append(Row(f"adopting {calls:,} sessions in the next process, {datapath}", took, "ms", goal="<= 200 ms"))
        rows.append(Row(f"the same, CPU of the thread that does it, {datapath}", cpu, "ms"))
        rows.append(Row(f"kill -9 until control answers, {calls:,} sessions, {datapath}", silent, "ms"))
    if kills:
        worst = max(max(kill.lost) for kill in kills)
        streams = sum(len(kill.lost) for kill in kills)
        paths = ", ".join(sorted({kill.datapath for kill in kills}))
        rows += [
            Row(f"lost packets per stream, kill -9, most of {streams} ({paths})", worst, "", goal="<= 2"),
            Row("the same, mean", round(sum(sum(kill.lost) for kill in kills) / streams, 4), ""),
            Row("longest gap of a stream, kill -9", round(max(max(kill.gaps_ms) for kill in kills), 1), "ms"),
        ]
    return rows


def picture(kills):
    """The share of packets heard around the kill, a line for each."""
    lines = []
    for number, kill in enumerate(kills, 1):
        share = [100 * count * 20 / kill.bucket_ms / len(kill.lost) for count in kill.counts[:-1]]
        lines.append(Line(f"kill {number}", kill.begins_ms, kill.bucket_ms, share))
    return chart(
        "A media-server process is killed under all calls, and a spare goes on",
        "milliseconds from the kill",
        f"% of packets heard per {lines[0].step:.0f} ms",
        lines,
        [Mark(0, "kill -9")],
    )
