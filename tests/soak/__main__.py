"""Calls for minutes on end while the network loses SIP packets, and then: is anything left? ``python -m tests.soak``.

It moves into a network namespace of its own, in which nftables drops so many percent of the SIP datagrams at random,
runs a site there between two SIPp, and looks at it every few seconds. Half-way the first media server loses its calls,
which go on by re-INVITE. Phones can vanish too, in the middle of their calls.

No call may fail, by SIPp's account or by NeTS's: with everything sent again as RFC 3261 has it, a call is lost once in
millions. At the end nothing may be left of them: calls, transactions, media sessions, descriptors and memory go back
to what they were. It ends with 0 when that is so; otherwise it tells the stories of calls that failed.
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
from tests.peers.site import Site
from tests.peers.sitefile import CALM, SiteFile, ours
from tests.soak.account import endings, moved, stories
from tests.soak.phones import Phones, callee, caller

INSIDE = "MEDIAHA_SOAK_INSIDE"
LOOKS = 120
WARM_UP_S = 60.0
"""Until stories and caches are as large as they may become."""
GROWTH_MAX = 1.15
"""Of memory, from the end of the warm-up to the end."""
SESSION_S = 90
"""The least that a site may have: NeTS asks after half of it whether a phone is still there."""
FILES_MORE = 4
"""NeTS's own session with a media server, by which it sees that packets go through, takes two more sockets there some
seconds later; and there may just be a process on its way that is to be the next spare."""
STORIES_MAX = 5
USUAL = "the caller hung up"
VANISHED = "the caller does not respond"
PAGE = os.sysconf("SC_PAGE_SIZE")


def main() -> int:
    """Give the verdict as the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0, help="how long calls are placed (600)")
    parser.add_argument("--rate", type=int, default=50, help="calls a second (50)")
    parser.add_argument("--loss", type=float, default=2.0, help="percent of the SIP datagrams that are lost (2)")
    parser.add_argument("--talk", type=float, default=4.0, help="seconds of each call (4)")
    parser.add_argument("--vanish", type=int, default=20, help="phones that vanish in the middle of their call (20)")
    parser.add_argument("--t1", type=int, default=500, help="t1_ms of NeTS, on which its patience depends (500)")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        command = ["unshare", "--net", sys.executable, "-m", "tests.soak", *sys.argv[1:]]
        return subprocess.run(command, env={**os.environ, INSIDE: "1"}, check=False).returncode
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory() as folder:
        return soak(Path(folder), asked)


def soak(folder: Path, asked: argparse.Namespace) -> int:
    """Place the calls, look on, and judge."""
    media = [ours("media-1", ports="30000-34999"), ours("media-2", ports="35000-39999")]
    timers = {"t1_ms": asked.t1, "t2_ms": 8 * asked.t1, "t4_ms": 10 * asked.t1}
    file = SiteFile(folder, *media, timings={**CALM, "session_s": SESSION_S}, sip=timers)
    with file.serve() as site:
        before = site.ready().open_files()
        calls = round(asked.seconds * asked.rate)
        place = ["-m", str(calls), "-r", str(asked.rate), "-l", str(asked.rate * 120), site.address]
        called = Phones(folder, "callee", callee(), site.target_port, "-m", str(10 * calls))
        phones = [called]
        if asked.vanish:
            many = ["-m", str(asked.vanish), "-r", str(asked.vanish), site.address]
            phones.append(Phones(folder, "vanishing", caller(3_600_000), free_udp_port(), *many))
        calling = Phones(folder, "caller", caller(round(asked.talk * 1000)), free_udp_port(), *place)
        lose([site.port, *(one.port for one in (*phones, calling))], asked.loss)
        memory = watch(site, calling, phones[1:], asked.seconds)
        left = forgotten(site, 64 * asked.t1 / 1000 * 2 + (SESSION_S if asked.vanish else 0) + 30)
        after = site.ready().open_files()
        for one in (*phones, calling):
            one.stop()
    why = {**called.why(), **calling.why()}
    verdict = {
        "calls": calls,
        "failed": {"caller": calling.failed(), "callee": len(called.why())},
        "endings": endings(folder / "site.log"),
        "moved": moved(folder / "site.log"),
        "memory_mib": memory,
        "left": left,
        "descriptors": {"before": before, "after": after},
    }
    print(json.dumps(verdict, indent=2))
    tell_failed(folder, why)
    return 0 if is_well(verdict, asked) else 1


def lose(ports: list[int], percent: float) -> None:
    """Drop datagrams at random that come to these ports: silently, as a network does."""
    where = ", ".join(map(str, ports))
    rule = f"udp dport {{ {where} }} numgen random mod 10000 < {round(percent * 100)} drop"
    rules = f"table inet soak {{ chain in {{ type filter hook input priority 0; {rule}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def watch(site: Site, calling: Phones, vanishing: list[Phones], seconds: float) -> list[float]:
    """Say how it goes until the caller has ended, and do what goes wrong meanwhile.

    Gives NeTS's memory since the warm-up, in MiB.
    """
    began, memory, troubles = time.monotonic(), [], [(0.4, one.vanish) for one in vanishing]
    troubles.append((0.5, lambda: site.lose("media-1")))
    while calling.calling:
        time.sleep(seconds / LOOKS)
        now = time.monotonic() - began
        nets = site.status()["nets"][0]
        resident = round(int(Path(f"/proc/{site.process.pid}/statm").read_text().split()[1]) * PAGE / 2**20, 1)
        print(f"{now:6.1f} s  {nets['calls']} calls, {nets['transactions']} transactions, {resident} MiB", flush=True)
        if now > WARM_UP_S:
            memory.append(resident)
        while troubles and now > troubles[0][0] * seconds:
            troubles.pop(0)[1]()
        if now > seconds + 120:
            break
    return memory


def forgotten(site: Site, patience_s: float) -> dict[str, int]:
    """What is left of all calls once everything has had its time."""
    deadline = time.monotonic() + patience_s
    while True:
        status = site.status()
        nets, servers = status["nets"][0], status["servers"]
        left = {
            "calls": nets["calls"],
            "transactions": nets["transactions"],
            "sessions": sum(server["sessions"] or 0 for server in servers),
            "streams": sum(server["streams"] or 0 for server in servers),
        }
        if not any(left.values()) or time.monotonic() > deadline:
            return left
        time.sleep(0.5)


def is_well(verdict: dict[str, Any], asked: argparse.Namespace) -> bool:
    """No call failed, nothing left, nothing grown."""
    memory, descriptors = verdict["memory_mib"], verdict["descriptors"]
    expected = {USUAL: verdict["calls"], VANISHED: asked.vanish}
    return bool(
        not any(verdict["failed"].values())
        and verdict["endings"] == {why: count for why, count in expected.items() if count}
        and verdict["moved"]
        and not any(verdict["left"].values())
        and (not memory or memory[-1] <= GROWTH_MAX * memory[0])
        and all(count <= descriptors["before"][name] + FILES_MORE for name, count in descriptors["after"].items())
    )


def tell_failed(folder: Path, why: dict[str, str]) -> None:
    """Of some of the calls that failed: what SIPp has said, and what NeTS has decided about them."""
    told = stories(folder / "site.log", why, (USUAL, VANISHED))
    for call_id in list({**why, **told})[:STORIES_MAX]:
        words = why.get(call_id, "SIPp has not given it up")
        print(f"{call_id}: {words}", *told.get(call_id, ["NeTS knows no such call"]), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
