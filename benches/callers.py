"""SIPp as callers and callees at a rate: calls from INVITE to BYE through NeTS, no audio, no hold."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers.sipp import (
    Step,
    expect,
    invite,
    pause,
    provisional,
    request,
    respond,
    respond_in_dialog,
    take,
    to_xml,
)

from mediaha.drill.report import percentile
from mediaha.drill.site import free_ports
from mediaha.model.address import Address

CONTACT = "[next_url]"
DIALLED = "sip:[service]@[remote_ip]:[remote_port]"
"""Where requests inside a call go: to the peer's Contact, or where the INVITE went, as SIPp misreads a Contact with a
display name such as sippy's. A back-to-back user agent does not mind."""


def caller(uri: str, talks_s: int = 0) -> list[Step]:
    """A call of no length, or of so many seconds."""
    return [
        *(invite(), *provisional(), expect(200, pattern="m=audio"), request("ACK", uri=uri)),
        *([pause(talks_s * 1000)] if talks_s else []),
        request("BYE", uri=uri),
        # A proxy or sippy under load may let the 180 come after the 200.
        expect(180, optional=True),
        expect(200),
    ]


CALLEE = [
    take("INVITE"),
    respond(180, "Ringing"),
    respond(200, "OK", "sendrecv"),
    take("ACK"),
    take("BYE"),
    respond_in_dialog(200, "OK"),
]
CALLEE_HAS_ACK = 3
BUFFER_BYTES = 2 * 1024 * 1024
END_S_MAX = 15.0
"""How long calls may go on after the last was placed, before they count as failed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What SIPp saw at one rate."""

    rate: float
    """Asked for, calls a second."""
    placed: int
    completed: int
    """INVITE, 200, BYE, 200."""
    lasted_s: float
    """From the first INVITE to the last 200 of a BYE."""
    retransmitted: int
    """INVITEs and BYEs that the caller had to send again."""
    setup_ms_p50: float | None
    setup_ms_p99: float | None

    @property
    def holds(self) -> bool:
        """Every call was completed, without repeating more than one in a thousand, and not much later than asked."""
        on_time = self.placed / self.rate + 1.0
        return self.completed == self.placed and self.retransmitted <= self.placed / 1000 and self.lasted_s < on_time


@contextmanager
def calls_on_hold(site: Address, calls: int, rate: int, core: int, folder: Path) -> Iterator[None]:
    """So many calls are placed, at this rate, and stay until the end of the block."""
    scenario = folder / "talker.xml"
    scenario.write_text(to_xml(caller(CONTACT, talks_s=3600)))
    command = [*_sipp(scenario, free_ports(1)[0], core, "talker"), "-m", str(calls), "-r", str(rate), "-l", str(calls)]
    process = subprocess.Popen([*command, str(site)], **_quietly(folder))
    try:
        yield
    finally:
        process.kill()
        process.wait()


REINVITED = [take("INVITE"), respond_in_dialog(200, "OK", "sendrecv"), take("ACK")]


class Parties:
    """Callers and callees of calls that stay, each of which answers one re-INVITE at once; for a ``with`` block."""

    def __init__(self, site: Address, callees: Address, calls: int, rate: int, core: int, folder: Path) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs = {name: folder / f"{name}.tsv" for name in ("caller", "callee")}
        calling = [invite(), *provisional(), expect(200), request("ACK"), *REINVITED, pause(3_600_000)]
        answering = [*CALLEE[: CALLEE_HAS_ACK + 1], *REINVITED, take("BYE")]
        to_site = ["-m", str(calls), "-r", str(rate), "-l", str(calls), str(site)]
        self._start("callee", answering, callees.port, core, folder, [])
        self._start("caller", calling, free_ports(1)[0], core, folder, to_site)

    def _start(self, name: str, steps: list[Step], port: int, core: int, folder: Path, more: list[str]) -> None:
        scenario = folder / f"{name}.xml"
        scenario.write_text(to_xml(steps))
        command = [*_sipp(scenario, port, core, name), "-trace_shortmsg", "-shortmessage_file", str(self._logs[name])]
        self._processes.append(subprocess.Popen([*command, *more], **_quietly(folder)))

    def __enter__(self) -> Parties:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()

    def acknowledged(self) -> list[str]:
        """Call-IDs of the calls that have been set up: their callees had an ACK."""
        return list(self._received("callee", "ACK", 0.0))

    def reinvited(self, since: float) -> list[float]:
        """When each party had the re-INVITE that has come since (Unix time); a repeated one counts once."""
        return self._by_both("INVITE", since)

    def told(self, since: float) -> list[float]:
        """When each party had the ACK of its answer to that."""
        return self._by_both("ACK", since)

    def _by_both(self, method: str, since: float) -> list[float]:
        return [at for name in self._logs for at in self._received(name, method, since).values()]

    def _received(self, name: str, method: str, since: float) -> dict[str, float]:
        log = self._logs[name]
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        first: dict[str, float] = {}
        for row in (line.split("\t") for line in lines):
            if len(row) >= 7 and row[3] == "R" and row[6].startswith(method) and float(row[2]) >= since:
                first.setdefault(row[4], float(row[2]))
        return first


class Callees:
    """SIPp that answers every call, on one core, until it is closed."""

    def __init__(self, listen: Address, core: int, folder: Path) -> None:
        scenario = folder / "callee.xml"
        scenario.write_text(to_xml(CALLEE))
        command = _sipp(scenario, listen.port, core, "callee")
        self._process = subprocess.Popen(command, **_quietly(folder))

    def close(self) -> None:
        """End it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


def place_calls(site: Address, rate: int, seconds: float, core: int, folder: Path, uri: str = CONTACT) -> Outcome:
    """Place ``rate`` calls a second for so long; returns when they have ended or failed.

    ``uri`` is what requests inside of a call are sent to: CONTACT or DIALLED.
    """
    calls = round(rate * seconds)
    scenario, log = folder / "caller.xml", folder / f"calls-{rate}.tsv"
    scenario.write_text(to_xml(caller(uri)))
    command = [*_sipp(scenario, free_ports(1)[0], core, "caller"), "-m", str(calls), "-r", str(rate), "-l", str(calls)]
    command += ["-recv_timeout", "20000", "-trace_shortmsg", "-shortmessage_file", str(log), str(site)]
    process = subprocess.Popen(command, **_quietly(folder))
    try:
        process.wait(seconds + END_S_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return read(log.read_text(errors="replace"), rate, calls)


def read(log: str, rate: float, placed: int) -> Outcome:
    """What SIPp's log of messages says; its own statistics have a clock of 4 ms."""
    invited: dict[str, float] = {}
    answered: dict[str, float] = {}
    hung_up: dict[str, float] = {}
    completed: dict[str, float] = {}
    sent = 0
    for line in log.splitlines():
        fields = line.split("\t")
        if len(fields) < 7:
            continue
        at, (way, call, cseq, first_line) = float(fields[2]), fields[3:7]
        method = cseq.split()[-1]
        if way == "S" and method in ("INVITE", "BYE"):
            sent += 1
            (invited if method == "INVITE" else hung_up).setdefault(call, at)
        elif way == "R" and first_line.startswith("SIP/2.0 200"):
            (answered if method == "INVITE" else completed).setdefault(call, at)
    setups_ms = [(at - invited[call]) * 1000 for call, at in answered.items() if call in invited]
    return Outcome(
        rate=rate,
        placed=placed,
        completed=len(completed.keys() & answered.keys()),
        lasted_s=max(completed.values(), default=0.0) - min(invited.values(), default=0.0),
        retransmitted=sent - len(invited) - len(hung_up),
        setup_ms_p50=percentile(setups_ms, 50),
        setup_ms_p99=percentile(setups_ms, 99),
    )


def _sipp(scenario: Path, port: int, core: int, name: str) -> list[str]:
    command = ["taskset", "--cpu-list", str(core), "sipp", "-sf", str(scenario), "-i", "127.0.0.1", "-nostdin"]
    command += ["-p", str(port), "-key", "contact", f"127.0.0.1:{port}"]
    command += ["-s", "desk", "-key", "rtp_port", "6000", "-buff_size", str(BUFFER_BYTES)]
    return [*command, "-trace_err", "-error_file", f"{name}.errors"]


def _quietly(folder: Path) -> dict[str, object]:
    return {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "cwd": folder,
        "env": {**os.environ, "TERM": "dumb"},
    }
