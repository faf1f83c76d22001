"""Free ports on loopback for processes that cannot be given port 0."""

from __future__ import annotations

import random
import socket

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
