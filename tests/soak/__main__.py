"""Calls for minutes on end while the network loses SIP packets, and then: is anything left? ``python -m tests.soak``.

It moves into a network namespace of its own, in which nftables drops so many percent of the SIP datagrams at random,
runs a site there between two SIPp, and looks at it every few seconds. Half-way the first media server loses its calls,
which go on by re-INVITE. Some callers cancel, and phones can vanish in the middle of their calls.

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
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.peers.ports import free_udp_port
from tests.peers.sipp import Step
from tests.peers.site import Site
from tests.peers.sitefile import CALM, SiteFile, ours
from tests.soak.account import endings, moved, refused, stories
from tests.soak.phones import LAZY, Phones, callee, caller, impatient_caller, lazy_callee

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
REFUSED_MAX = 0.5
"""Of all calls: a machine that is busy with other things may stand still for most of a short soak."""
STORIES_MAX = 5
USUAL = "the caller hung up"
GIVEN_UP = "the caller cancelled"
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
    parser.add_argument("--impatient", type=int, default=5, help="calls a second that are cancelled besides (5)")
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
    timers = {"t1_ms": asked.t1, "t2_ms": 8 * asked.t1, "t4_ms": 10 * asked.t1, "timer_d_s": 64 * asked.t1 / 1000}
    lists = {domain: [one.name for one in media] for domain in ("*", LAZY)}
    file = SiteFile(folder, *media, lists=lists, timings={**CALM, "session_s": SESSION_S}, sip=timers)
    with file.serve() as site, ExitStack() as running:

        def phones(name: str, steps: list[Step], rate: int = 0, calls: int = 0, port: int = 0) -> Phones:
            to = ["-r", str(rate), "-m", str(calls), "-l", str(calls), site.address] if rate else []
            return running.enter_context(Phones(folder, name, steps, port or free_udp_port(), *to))

        before = site.ready().open_files()
        called = [phones("callee", callee(), port=site.target_port)]
        called.append(phones("lazy", lazy_callee(), port=file.targets[LAZY]))
        vanishing = [phones("vanishing", caller(3_600_000), asked.vanish, asked.vanish)] if asked.vanish else []
        calls, given_up = (round(asked.seconds * rate) for rate in (asked.rate, asked.impatient))
        calling = [phones("caller", caller(round(asked.talk * 1000)), asked.rate, calls)]
        if given_up:
            calling.append(phones("impatient", impatient_caller(), asked.impatient, given_up))
        everybody = [*called, *vanishing, *calling]
        lose([site.port, *(one.port for one in everybody)], asked.loss)
        memory = watch(site, calling, vanishing, asked.seconds)
        left = forgotten(site, 64 * asked.t1 / 1000 * 2 + (SESSION_S if asked.vanish else 0) + 30)
        after = site.ready().open_files()
    why = {call_id: words for one in (*called, *calling) for call_id, words in one.why().items()}
    log = folder / "site.log"
    verdict = {
        "calls": {USUAL: calls, GIVEN_UP: given_up, VANISHED: asked.vanish},
        "endings": endings(log),
        "refused": refused(log),
        "failed": sum(one.failed() for one in calling if one.ended) + sum(len(one.why()) for one in called),
        "never ended": [one.name for one in calling if not one.ended],
        "moved": moved(log),
        "memory_mib": memory,
        "left": left,
        "descriptors": {"before": before, "after": after},
    }
    print(json.dumps(verdict, indent=2))
    tell_failed(log, why)
    return 0 if is_well(verdict) else 1


def lose(ports: list[int], percent: float) -> None:
    """Drop datagrams at random that come to these ports: silently, as a network does."""
    where = ", ".join(map(str, ports))
    rule = f"udp dport {{ {where} }} numgen random mod 10000 < {round(percent * 100)} drop"
    rules = f"table inet soak {{ chain in {{ type filter hook input priority 0; {rule}\n}}\n}}\n"
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)


def watch(site: Site, calling: list[Phones], vanishing: list[Phones], seconds: float) -> list[float]:
    """Say how it goes until the callers have ended, and do what goes wrong meanwhile.

    Gives NeTS's memory since the warm-up, in MiB.
    """
    began, memory, troubles = time.monotonic(), [], [(0.4, one.vanish) for one in vanishing]
    troubles.append((0.5, lambda: site.lose("media-1")))
    while not all(one.ended for one in calling):
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


def is_well(verdict: dict[str, Any]) -> bool:
    """No call failed, nothing left, nothing grown."""
    memory, descriptors = verdict["memory_mib"], verdict["descriptors"]
    return bool(
        not verdict["failed"]
        and not verdict["never ended"]
        and set(verdict["endings"]) <= set(verdict["calls"])
        and sum(verdict["endings"].values()) + verdict["refused"] == sum(verdict["calls"].values())
        and verdict["refused"] <= REFUSED_MAX * sum(verdict["calls"].values())
        and verdict["moved"]
        and not any(verdict["left"].values())
        and (not memory or memory[-1] <= GROWTH_MAX * memory[0])
        and all(count <= descriptors["before"][name] + FILES_MORE for name, count in descriptors["after"].items())
    )


def tell_failed(log: Path, why: dict[str, str]) -> None:
    """Of some of the calls that failed: what SIPp has said, and what NeTS has decided about them."""
    told = stories(log, why, (USUAL, GIVEN_UP, VANISHED))
    for call_id in list({**why, **told})[:STORIES_MAX]:
        words = why.get(call_id, "SIPp has not given it up")
        print(f"{call_id}: {words}", *told.get(call_id, ["NeTS knows no such call"]), sep="\n  ")


if __name__ == "__main__":
    sys.exit(main())
