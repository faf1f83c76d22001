"""What is measured: mediaha's media servers, and beside them Debian's rtpengine and a bare loop; each on one core."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benches import cable, machine
from benches.ng import NgClient, NgFailed
from benches.settings import ROOT
from mediaha.model.address import Address

START_S_MAX = 30.0
STEERED_SETTLES_S = 1.0
"""It looks which of its ports are free when there is nothing else to do; on a standby that is long over."""
LOOPBACK = "127.0.0.1"
OURS = "mediaha"
STEERED = "mediaha, steered"
BARE = "a bare loop"
RIVAL = "rtpengine"
NO_RIVAL = "rtpengine is not installed, so nothing is compared: apt-get install rtpengine-daemon"


@dataclass(frozen=True, slots=True)
class Relay:
    """One media server, running."""

    name: str
    ng: Address
    pid: int

    def cpu_s(self) -> float:
        """CPU used so far."""
        return machine.cpu_s(self.pid)


def rival_is_here() -> bool:
    """Whether there is an rtpengine to compare with."""
    return shutil.which("rtpengine") is not None


@contextmanager
def sockets_relay(core: int, folder: Path) -> Iterator[Relay]:
    """A mediaha media server with one relaying thread, and a socket for each port."""
    with _mediaha(OURS, ["--ports", "10000-19999", "--datapath", "sockets"], core, folder) as relay:
        yield relay


@contextmanager
def steered_relay(core: int, folder: Path, ports: str = "1024-9999") -> Iterator[Relay]:
    """One with a socket for all ports. Raises RuntimeError where the kernel does not grant that."""
    with _mediaha(STEERED, ["--ports", ports, "--datapath", "steered"], core, folder) as relay:
        time.sleep(STEERED_SETTLES_S)
        yield relay


@contextmanager
def far_relay(
    name: str, datapath: str, ports: str, core: int, folder: Path, inside: tuple[str, ...]
) -> Iterator[Relay]:
    """One on a host behind a cable. Raises RuntimeError where this datapath is not granted."""
    ng = Address(cable.FAR, _free_address().port)
    command = [*inside, sys.executable, "-m", "mediaha", "serve", "--role", "media", "--listen-ng", str(ng)]
    command += ["--interface", cable.FAR, "--ports", ports, "--datapath", datapath, "--name", name]
    command += ["--log-level", "warning", "--busy-percent-max", "100"]
    with _running(name, ng, command, core, folder) as relay:
        time.sleep(STEERED_SETTLES_S)
        yield relay


@contextmanager
def _mediaha(name: str, arguments: list[str], core: int, folder: Path) -> Iterator[Relay]:
    ng = _free_address()
    command = [sys.executable, "-m", "mediaha", "serve", "--role", "media", "--listen-ng", str(ng)]
    # What is measured is how much it can do, so that it must not stop before.
    command += ["--interface", LOOPBACK, "--log-level", "warning", "--busy-percent-max", "100"]
    with _running(name, ng, [*command, *arguments], core, folder) as relay:
        yield relay


@contextmanager
def bare_loop(core: int) -> Iterator[Relay]:
    """A program that receives a datagram and sends it back, no more: any relay with a socket pays as much."""
    build = ["cargo", "build", "--release", "--locked", "--quiet", "--message-format=json"]
    build += ["--package", "mediaha-net", "--example", "echo"]
    messages = subprocess.run(build, stdout=subprocess.PIPE, check=True, text=True, cwd=ROOT).stdout
    program = next(m["executable"] for m in map(json.loads, messages.splitlines()) if m.get("executable"))
    with subprocess.Popen(
        [*machine.alone_on(core), program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield Relay(BARE, Address.parse(process.stdout.readline().strip()), process.pid)
        process.kill()


@contextmanager
def rtpengine_relay(core: int, folder: Path, ports: str = "20000-29999") -> Iterator[Relay]:
    """rtpengine in user space, told to log no more than ours does."""
    ng = _free_address()
    first, last = ports.split("-")
    command = [
        "rtpengine",
        "--config-file=none",
        "--foreground",
        "--log-stderr",
        "--log-level=4",
        "--table=-1",
        "--num-threads=1",
    ]
    command += [f"--interface={LOOPBACK}", f"--listen-ng={ng}", f"--port-min={first}", f"--port-max={last}"]
    command += [f"--pidfile={folder / 'rtpengine.pid'}"]
    with _running(RIVAL, ng, command, core, folder) as relay:
        yield relay


@contextmanager
def _running(name: str, ng: Address, command: list[str], core: int, folder: Path) -> Iterator[Relay]:
    log = folder / f"{name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [*machine.alone_on(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )
    try:
        _wait_for_pong(ng, process, log)
        yield Relay(name, ng, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_pong(ng: Address, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    client = NgClient(ng)
    try:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.ask(command="ping")
            except NgFailed:
                time.sleep(0.05)
                continue
            return
    finally:
        client.close()
    raise RuntimeError(f"{process.args} did not start:\n{log.read_text(errors='replace')[-3000:]}")


def _free_address() -> Address:
    """A free port of the ephemeral range, where no media server of ours looks for RTP ports."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((LOOPBACK, 0))
        return Address(LOOPBACK, probe.getsockname()[1])
