"""Calls for minutes on end while the network loses SIP packets, and then: is anything left? ``python -m tests.soak``.

It moves into a network namespace of its own, in which nftables drops so many percent of the SIP datagrams at random,
runs a standalone site there between two SIPp, and looks at it every few seconds. It ends with 0 when hardly a call
failed, and calls, transactions, media sessions, descriptors and memory have gone back to what they were.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.peers.ports import free_udp_port
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
from tests.peers.site import Site

INSIDE = "MEDIAHA_SOAK_INSIDE"
LOOK_EVERY_S = 5.0
WARM_UP_S = 60.0
"""Until stories and caches are as large as they may become."""
TALK_MS = 4000
FAILED_MAX = 0.005
"""Of all calls: SIPp gives a call up when a message is lost that it does not repeat."""
GROWTH_MAX = 1.15
"""Of memory, from the end of the warm-up to the end."""
FORGOTTEN_S_MAX = 90.0
"""64*T1 for the last transactions, and some more."""
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Give the verdict as the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long calls are placed (600)")
    parser.add_argument("--rate", type=int, default=50, help="calls a second (50)")
    parser.add_argument("--loss", type=float, default=2.0, help="percent of the SIP datagrams that are lost (2)")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        command = ["unshare", "--net", sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder, Site(Path(folder)) as site:
        site.ready()
        return soak(site, Path(folder), asked.seconds, asked.rate, asked.loss)


def lose(ports: list[int], percent: float) -> None:
    """Drop datagrams at random that come to these ports: silently, as a network does."""
    where = ", ".join(map(str, ports))
    rule = f"udp dport {{ {where} }} numgen random mod 10000 < {round(percent * 100)} drop"
    rules = f"table inet soak {{ chain in {{ type filter hook input priority 0; {rule}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def soak(site: Site, folder: Path, seconds: float, rate: int, loss: float) -> int:
    """Place the calls, look on, and judge."""
    calls = round(seconds * rate)
    callee = [take("INVITE"), respond(180, "Ringing"), respond(200, "OK", "sendrecv"), take("ACK"), take("BYE")]
    callee += [respond_in_dialog(200, "OK")]
    caller = [invite(), *provisional(), expect(200), request("ACK"), pause(TALK_MS), request("BYE"), expect(200)]
    before, port = site.open_files(), free_udp_port()
    place = ["-m", str(calls), "-r", str(rate), "-l", str(rate * 120), site.address]
    called = sipp(folder, "callee", callee, site.target_port, ["-m", str(10 * calls)])
    calling = sipp(folder, "caller", caller, port, place)
    lose([site.port, site.target_port, port], loss)
    memory = watch(site, calling, seconds)
    called.kill()
    failed = failed_calls(folder / "caller.csv")
    left = forgotten(site)
    verdict = {
        "calls": calls,
        "failed": failed,
        "memory_mib": memory,
        "left": left,
        "descriptors": {"before": before, "after": site.open_files()},
    }
    print(json.dumps(verdict, indent=2))
    return 0 if is_well(verdict) else 1


def sipp(folder: Path, name: str, steps: list[Step], port: int, more: list[str]) -> subprocess.Popen[bytes]:
    """A SIPp that writes down nothing but how many calls failed: all messages would fill the disk."""
    (folder / f"{name}.xml").write_text(to_xml(steps))
    command = ["sipp", "-sf", f"{name}.xml", "-i", "127.0.0.1", "-p", str(port), "-nostdin", "-s", "desk", "-t", "u1"]
    command += ["-key", "rtp_port", "6000", "-key", "contact", f"127.0.0.1:{port}", "-recv_timeout", "60000"]
    command += ["-trace_stat", "-stf", f"{name}.csv", "-buff_size", str(2 << 20), *more]
    with (folder / f"{name}.screen").open("wb") as out:
        return subprocess.Popen(command, stdout=out, stderr=out, cwd=folder, env={**os.environ, "TERM": "dumb"})


def failed_calls(statistics: Path) -> int:
    """What SIPp says at its end."""
    names, *_, last = (line.split(";") for line in statistics.read_text().splitlines())
    return int(last[names.index("FailedCall(C)")])


def watch(site: Site, calling: subprocess.Popen[bytes], seconds: float) -> list[float]:
    """Say every few seconds how it goes, until the caller has ended. Gives NeTS's memory since the warm-up, in MiB."""
    began, memory = time.monotonic(), []
    while calling.poll() is None:
        time.sleep(LOOK_EVERY_S)
        now = time.monotonic() - began
        nets = site.status()["nets"][0]
        resident = round(int(Path(f"/proc/{site.process.pid}/statm").read_text().split()[1]) * PAGE / 2**20, 1)
        print(f"{now:6.0f} s  {nets['calls']} calls, {nets['transactions']} transactions, {resident} MiB", flush=True)
        if now > WARM_UP_S:
            memory.append(resident)
        if now > seconds + FORGOTTEN_S_MAX:
            calling.kill()
    return memory


def forgotten(site: Site) -> dict[str, int]:
    """What is left of all calls once everything has had its time."""
    deadline = time.monotonic() + FORGOTTEN_S_MAX
    while True:
        status = site.status()
        nets, servers = status["nets"][0], status["servers"]
        left = {
            "calls": nets["calls"],
            "transactions": nets["transactions"],
            "sessions": sum(server["sessions"] for server in servers),
            "streams": sum(server["streams"] for server in servers),
        }
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def is_well(verdict: dict[str, Any]) -> bool:
    """Nothing left, nothing grown, hardly a call failed."""
    memory, descriptors = verdict["memory_mib"], verdict["descriptors"]
    return (
        not any(verdict["left"].values())
        and verdict["failed"] <= FAILED_MAX * verdict["calls"]
        and (not memory or memory[-1] <= GROWTH_MAX * memory[0])
        and all(count <= descriptors["before"][name] for name, count in descriptors["after"].items())
    )


if __name__ == "__main__":
    sys.exit(main())
