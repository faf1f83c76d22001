"""Free ports on loopback for processes that cannot be given port 0, all of them outside mediaha's own range for RTP.

A media server whose ports are steered has all ports of its range to itself, also those that no call uses: what else
runs on this machine must not look for its own in there.
"""

from __future__ import annotations

import itertools
import random
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

BLOCK = 16
RTP_BLOCK = 400
"""Enough for a hundred calls."""
RTP_BLOCKS_MAX = 7
"""More than there are media servers in one story; others are left for other runs."""
STANDALONE_BLOCK = 2500
STANDALONE_BLOCKS = 4
_held: list[socket.socket] = []


def _claimed(firsts: Iterable[int]) -> Iterator[int]:
    """Where the blocks begin that are ours until this process ends: runs side by side on one machine share none."""
    blocks = list(firsts)
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
        yield first


_CANDIDATES = (port for first in _claimed(range(6000, 14000, BLOCK)) for port in range(first, first + BLOCK))
_RTP_BLOCKS = _claimed([*range(14000, 20000, RTP_BLOCK), *range(30000, 32400, RTP_BLOCK)])
_RTP_CANDIDATES = itertools.cycle(itertools.islice(_RTP_BLOCKS, RTP_BLOCKS_MAX))

_STANDALONE = itertools.cycle(range(20000, 30000, STANDALONE_BLOCK))


def free_udp_port() -> int:
    """A UDP port on 127.0.0.1 below the ephemeral range that nobody holds; never the same twice in a run."""
    for port in _CANDIDATES:
        if _is_free(port):
            return port
    raise RuntimeError("no free UDP port is left between 6000 and 14000")


def rtp_ports(count: int = RTP_BLOCK) -> tuple[int, int]:
    """The first and last of ``count`` UDP ports in a row on 127.0.0.1 that nobody holds, not ephemeral ones."""
    assert count <= RTP_BLOCK
    for first in itertools.islice(_RTP_CANDIDATES, RTP_BLOCKS_MAX):
        if all(_is_free(port) for port in range(first, first + count)):
            return first, first + count - 1
    raise RuntimeError(f"no {count} UDP ports in a row are free")


def standalone_ports() -> tuple[int, int]:
    """The same for the media servers of a standalone site: a part of its usual range that nobody has any port of."""
    for first in itertools.islice(_STANDALONE, STANDALONE_BLOCKS):
        if all(_is_free(port) for port in range(first, first + STANDALONE_BLOCK)):
            return first, first + STANDALONE_BLOCK - 1
    return 20000, 29999


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


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
