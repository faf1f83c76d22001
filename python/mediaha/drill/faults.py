"""What a drill does to a media server: kill it, hang it, drain it, or cut its network off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum

from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.ops.ports import ports_held_by


class Fault(StrEnum):
    """What can be done to a media server."""

    KILL = "kill"
    """SIGKILL: the process is gone, its host lives."""
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
    if fault in (Fault.KILL, Fault.HANG):
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
    """Do the fault; on leaving, undo what would outlast the drill. A drain is asked for over the control socket."""
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
    ports = f"{{ {', '.join(_ports_to_cut(victim))} }}"
    return f"""
table inet {table} {{
    chain cut {{
        type filter hook input priority -300; policy accept;
        udp dport {ports} drop
        udp sport {ports} drop
    }}
}}
"""


def _ports_to_cut(victim: Victim) -> list[str]:
    """The ports that its process holds; its whole range when that cannot be seen.

    Others on this machine, the failover pool among them, send from ephemeral ports that may lie within the range: they
    must not be cut off too.
    """
    held = ports_held_by(victim.pid) if victim.pid is not None else set()
    if held:
        return [str(port) for port in sorted(held | {victim.ng.port})]
    assert victim.ports is not None
    first, last = victim.ports
    return [str(victim.ng.port), f"{first}-{last}"]


def _nft(rules: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=rules, text=True, capture_output=True, check=False)
    if done.returncode != 0:
        raise FaultImpossible(f"nftables refused: {done.stderr.strip()}")
