"""What a drill does to a media server: kill it, lose it, hang it, drain it, or cut its network off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.ops.ports import ports_of_others


class Fault(StrEnum):
    """What can be done to a media server."""

    KILL = "kill"
    """SIGKILL: the process is gone, its host lives. Another process goes on with the calls."""
    LOSE = "lose"
    """The same, and what it left is let go of, as when its host has died: the calls move to the next server."""
    HANG = "hang"
    """SIGSTOP: it is there and does nothing."""
    DRAIN = "drain"
    """It is asked to take no new calls; nothing may be heard of it."""
    CUT = "cut"
    """Every packet from and to it is dropped, in silence (nftables; needs root)."""


class FaultImpossible(MediahaError):
    """The fault cannot be done here; the text says what would be needed."""


@dataclass(frozen=True, slots=True)
class Victim:
    """The media server that the fault is done to."""

    name: str
    pid: int | None
    ng: Address
    ports: tuple[int, int] | None


def check_possible(fault: Fault, victim: Victim) -> None:
    """Raise FaultImpossible before any call is placed rather than after."""
    if fault in (Fault.KILL, Fault.LOSE, Fault.HANG):
        if victim.pid is None:
            raise FaultImpossible(
                f"{victim.name} is not a process of this host, so it cannot get a {fault}; "
                "run the drill on the host that runs it, or choose another --target"
            )
        try:
            os.kill(victim.pid, 0)
        except (ProcessLookupError, PermissionError) as error:
            raise FaultImpossible(f"process {victim.pid} of {victim.name} cannot be signalled: {error}") from None
    if fault is Fault.CUT:
        if shutil.which("nft") is None:
            raise FaultImpossible("--fault cut drops packets with nftables: apt-get install nftables")
        if os.geteuid() != 0:
            raise FaultImpossible("--fault cut needs root, as it drops packets with nftables")
        if victim.ports is None:
            raise FaultImpossible(f"the RTP ports of {victim.name} are not known, so they cannot be cut off")


@contextmanager
def done_to(fault: Fault, victim: Victim) -> Iterator[None]:
    """Do the fault; on leaving, undo what would outlast the drill. The site is asked to drain or lose it."""
    match fault:
        case Fault.KILL if victim.pid is not None:
            os.kill(victim.pid, signal.SIGKILL)
            yield
        case Fault.HANG if victim.pid is not None:
            os.kill(victim.pid, signal.SIGSTOP)
            try:
                yield
            finally:
                with _already_gone():
                    os.kill(victim.pid, signal.SIGCONT)
        case Fault.CUT:
            table = f"mediaha_drill_{os.getpid()}"
            _nft(_cut_rules(table, victim))
            try:
                yield
            finally:
                _nft(f"delete table inet {table}\n")
        case _:
            yield


@contextmanager
def _already_gone() -> Iterator[None]:
    try:
        yield
    except ProcessLookupError:
        return


def _cut_rules(table: str, victim: Victim) -> str:
    assert victim.ports is not None
    spans = ports_except(victim.ports, ports_of_others(victim.pid))
    ports = f"{{ {', '.join([str(victim.ng.port), *(f'{first}-{last}' for first, last in spans)])} }}"
    return f"""
table inet {table} {{
    chain cut {{
        type filter hook input priority -300; policy accept;
        udp dport {ports} drop
        udp sport {ports} drop
    }}
}}
"""


def ports_except(ports: tuple[int, int], spared: Iterable[int]) -> list[tuple[int, int]]:
    """The spans of ``ports`` that are left without those that are ``spared``.

    The failover pool and the phones send from ephemeral ports, which may lie within a media server's range, and must
    not be cut off with it.
    """
    start, last = ports
    spans = []
    for port in sorted({*(port for port in spared if start <= port <= last), last + 1}):
        if port > start:
            spans.append((start, port - 1))
        start = port + 1
    return spans


def _nft(rules: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise FaultImpossible(f"nftables refused: {done.stderr.strip()}")
