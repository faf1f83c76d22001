"""Free ports on loopback for processes that cannot be given port 0."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from pathlib import Path

BLOCK = 16
_held: list[socket.socket] = []


def _claimed() -> Iterator[int]:
    """The ports of blocks that are ours until this process ends: runs side by side on one machine share none."""
    blocks = list(range(20000, 28000, BLOCK))
    random.Random().shuffle(blocks)
    for first in blocks:
        # A name in the abstract namespace is known in one network namespace, as ports are, and gone with its holder.
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0mediaha-tests-{first}")
        except OSError:
            claim.close()
            continue
        _held.append(claim)
        yield from range(first, first + BLOCK)


_CANDIDATES = _claimed()


def free_udp_port() -> int:
    """A UDP port on 127.0.0.1 below the ephemeral range that nobody holds; never the same twice in a run."""
    for port in _CANDIDATES:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free UDP port is left between 20000 and 28000")


def is_listening(port: int, transport: str = "udp") -> bool:
    """Whether somebody of this network has the port open for whoever sends there, on any address."""
    listening = "0A" if transport == "tcp" else "07"  # the kernel's states: TCP_LISTEN; a UDP socket without a peer
    for table in (transport, f"{transport}6"):
        path = Path("/proc/net") / table
        if not path.exists():
            continue
        for line in path.read_text().splitlines()[1:]:
            _, local, _, state, *_ = line.split()
            if state == listening and int(local.rpartition(":")[2], 16) == port:
                return True
    return False
