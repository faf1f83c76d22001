"""Free ports on loopback for processes that cannot be given port 0."""

from __future__ import annotations

import random
import socket
from pathlib import Path

_BLOCKS = list(range(20000, 28000, 16))
# Test runs side by side on one machine look for their ports in different places.
random.Random().shuffle(_BLOCKS)
_CANDIDATES = (port for block in _BLOCKS for port in range(block, block + 16))


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
