"""Free ports on loopback for processes that cannot be given port 0."""

from __future__ import annotations

import itertools
import os
import socket

_START = 20000 + (os.getpid() * 64) % 8000
_CANDIDATES = itertools.chain(range(_START, 28000), range(20000, _START))


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
