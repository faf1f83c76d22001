"""The site that a drill goes through: one of its own on free ports, or one that runs already."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import trio

from mediaha.drill.faults import Victim
from mediaha.model.address import Address
from mediaha.model.errors import MediahaError
from mediaha.ops.asking import NotServing, ask
from mediaha.ops.status import NodeStatus
from mediaha.tca.standalone import PORTS

START_S_MAX = 30.0
STOP_S_MAX = 10.0
LOOPBACK = "127.0.0.1"
OTHER_PORTS = (40000, 49999)
"""For RTP, where a socket is bound for each of them: programs that ask for any port may be given these."""


class DrillImpossible(MediahaError):
    """The drill cannot begin; the text says what to change."""


@dataclass(frozen=True, slots=True)
class SiteUnderDrill:
    """Where the calls go in, where they come out, and whom to ask."""

    nets: Address
    callees: Address
    """Where the domain's calls go: the drill answers there."""
    domain: str
    control: Path | None

    async def status(self) -> NodeStatus:
        """The site's own view of itself. Raises NotServing."""
        answer = await trio.to_thread.run_sync(partial(ask, "status", self.control))
        return msgspec.convert(answer, NodeStatus)

    async def tell(self, verb: str, **arguments: object) -> object:
        """Give a command over the control socket. Raises NotServing, Declined."""
        return await trio.to_thread.run_sync(partial(ask, verb, self.control, arguments=arguments))

    async def victim(self, wanted: str | None) -> Victim:
        """The media server called ``wanted``, or the first of the domain's list."""
        status = await self.status()
        listed = status.domains.get(self.domain) or status.domains.get("*") or []
        if not listed:
            known = ", ".join(sorted(status.domains)) or "none"
            raise DrillImpossible(f"the site has no domain {self.domain}; it has {known}. Choose one with --domain")
        name = wanted or listed[0]
        for server in status.servers:
            if server.name == name:
                return Victim(name, server.pid, Address.parse(server.ng), server.ports)
        names = ", ".join(server.name for server in status.servers)
        raise DrillImpossible(f"the site has no media server {name}; it has {names}. Choose one with --target")


@asynccontextmanager
async def own_site(servers: int, ports: tuple[int, int] | None = None) -> AsyncIterator[SiteUnderDrill]:
    """A standalone site as a process of its own, on free ports of loopback; stopped at the end of the block.

    ``ports`` are for RTP, the first and the last; by default those of every standalone site, if they are free.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mediaha-drill-")))
        control = folder / "control.sock"
        nets, callees, *ng = (Address(LOOPBACK, port) for port in free_ports(2 + servers))
        log = stack.enter_context((folder / "site.log").open("wb"))
        command = [sys.executable, "-m", "mediaha", "serve", "--listen", f"udp:{nets}", "--target", str(callees)]
        command += ["--media", str(servers), "--ng-port", str(ng[0].port), "--control", str(control)]
        command += ["--log-format", "json", "--log-level", "warning"]
        first, last = ports or free_range()
        command += ["--ports", f"{first}-{last}"]
        process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            await _ready(process, control, trio.Path(folder / "site.log"))
            yield SiteUnderDrill(nets, callees, "*", control)
        finally:
            with trio.CancelScope(shield=True):
                await _stop(process)


async def _ready(process: trio.Process, control: Path, log: trio.Path) -> None:
    with trio.move_on_after(START_S_MAX):
        while process.poll() is None:
            try:
                status = msgspec.convert(
                    await trio.to_thread.run_sync(partial(ask, "status", control)),
                    NodeStatus,
                )
            except NotServing:
                await trio.sleep(0.05)
                continue
            if status.spare and all(server.state == "usable" for server in status.servers):
                return
            await trio.sleep(0.05)
    said = await log.read_text(errors="replace")
    raise DrillImpossible(f"the drill's own site did not start:\n{said[-2000:]}")


async def _stop(process: trio.Process) -> None:
    for wish in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            process.send_signal(wish)
            with trio.move_on_after(STOP_S_MAX / 4):
                await process.wait()


def free_range() -> tuple[int, int]:
    """The ports for RTP: the usual ones, or others while somebody has one of those.

    A site that steers its ports has all of them.
    """
    try:
        for port in range(PORTS[0], PORTS[1] + 1):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((LOOPBACK, port))
    except OSError:
        return OTHER_PORTS
    return PORTS


def free_ports(count: int) -> list[int]:
    """A run of consecutive UDP ports on loopback that nobody holds now."""
    begin = 6000 + os.getpid() * 16 % 12000  # drills side by side look at different places first
    for first in (*range(begin, 20000 - count, count + 1), *range(6000, begin, count + 1)):
        with ExitStack() as held:
            try:
                for port in range(first, first + count):
                    sock = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    sock.bind((LOOPBACK, port))
            except OSError:
                continue
            return list(range(first, first + count))
    raise DrillImpossible(f"no {count} UDP ports in a row are free on {LOOPBACK} between 6000 and 20000")
