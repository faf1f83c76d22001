"""What calls go through: NeTS with its media servers, and beside it sippy's back-to-back user agent and Kamailio."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.peers import kamailio

from benches import machine
from benches.callers import CONTACT, DIALLED, Callees
from benches.settings import OUT, SETTINGS
from mediaha.drill.site import free_ports, own_site
from mediaha.model.address import Address

OURS = "mediaha"
SIPPY = "sippy"
PROXY = "kamailio"
NOTHING = "nothing"
LOOPBACK = "127.0.0.1"
START_S_MAX = 20.0

PROXY_CONFIGURATION = """\
#!KAMAILIO
debug=-2
children=1
auto_aliases=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "sl"
loadmodule "tm"
loadmodule "rr"
loadmodule "pv"
loadmodule "siputils"
listen=udp:{listen}
request_route {{
    if (method == "OPTIONS") {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{ loose_route(); t_relay(); exit; }}
    record_route();
    $du = "sip:{callees}";
    t_relay();
}}
"""


@dataclass(frozen=True, slots=True)
class System:
    """One system, running; its callees answer."""

    name: str
    listen: Address
    """Where calls go in."""
    cpu_s: Callable[[], float]
    """CPU used so far by what is measured."""
    uri: str = CONTACT
    """What callers send the requests inside of a call to."""
    media_cpu_s: Callable[[], float] = lambda: 0.0
    """By the media servers beside it."""


@asynccontextmanager
async def ours(cores: tuple[int, int], folder: Path) -> AsyncIterator[System]:
    """A site with two media servers: NeTS on the first core, the media servers on the second."""
    async with own_site(2) as site:
        status = await site.status()
        media_pids = [server.pid for server in status.servers]
        machine.pin(status.pid, cores[0])
        for pid in media_pids:
            machine.pin(pid, cores[1])
        with _answering(site.callees, cores[1], folder):
            yield System(
                OURS,
                site.nets,
                lambda: machine.cpu_s(status.pid),
                media_cpu_s=lambda: sum(map(machine.cpu_s, media_pids)),
            )


@contextmanager
def sippy(cores: tuple[int, int], folder: Path) -> Iterator[System]:
    """sippy's b2bua_simple, without media, on the first core. Raises NotThere."""
    python = _sippy_python()
    listen, callees = (Address(LOOPBACK, port) for port in free_ports(2))
    command = [str(python), "-m", "sippy.b2bua_simple", "-f", "-l", listen.host, "-p", str(listen.port)]
    command += ["-n", str(callees)]
    with (folder / "sippy.log").open("wb") as log, _answering(callees, cores[1], folder):
        environment = {**os.environ, "SIPLOG_BEND": "none"}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            _until_bound(listen, process)
            machine.pin(process.pid, cores[0])
            yield System(SIPPY, listen, lambda: machine.cpu_s(process.pid), DIALLED)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


@contextmanager
def proxy(cores: tuple[int, int], folder: Path) -> Iterator[System]:
    """Kamailio as a stateful proxy with one worker, on the first core. Raises NotThere."""
    missing = kamailio.missing()
    if missing is not None:
        raise NotThere(missing)
    listen, callees = (Address(LOOPBACK, port) for port in free_ports(2))
    text = PROXY_CONFIGURATION.format(listen=listen, callees=callees)
    with _answering(callees, cores[1], folder), kamailio.Kamailio(text, folder, listen.port, memory_mb=512) as running:
        for pid in running.pids():
            machine.pin(pid, cores[0])
        yield System(PROXY, listen, lambda: sum(map(machine.cpu_s, running.pids())))


@contextmanager
def nothing(cores: tuple[int, int], folder: Path) -> Iterator[System]:
    """SIPp calls SIPp: what of a delay is the load's own."""
    (port,) = free_ports(1)
    listen = Address(LOOPBACK, port)
    with _answering(listen, cores[1], folder):
        yield System(NOTHING, listen, lambda: 0.0)


class NotThere(Exception):
    """The rival cannot be had here; the text says why."""


@contextmanager
def _answering(listen: Address, core: int, folder: Path) -> Iterator[None]:
    with ExitStack() as stack:
        stack.callback(Callees(listen, core, folder).close)
        yield


def _sippy_python() -> Path:
    """The interpreter of an environment of its own, made when it is missing: sippy is no dependency of mediaha."""
    folder = OUT / f"sippy-{SETTINGS.sippy_version}"
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing sippy {SETTINGS.sippy_version} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "-q", f"sippy=={SETTINGS.sippy_version}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if done.returncode:
            raise NotThere(f"sippy cannot be installed, so nothing is compared: {done.stderr.strip()[-200:]}")
        (folder / "complete").touch()
    return python


def _until_bound(listen: Address, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S_MAX
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                sock.bind(listen)
            except OSError:
                return
        time.sleep(0.05)
    raise NotThere("sippy does not start")
