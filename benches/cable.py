"""A host of its own behind a cable: a network namespace, and a veth pair to it. Needs root."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

NEAR = "198.18.79.1"
"""Our end of the cable (RFC 2544's range)."""
FAR = "198.18.79.2"


@contextmanager
def far_host() -> Iterator[tuple[str, ...]]:
    """What stands before a command that is to run there, with all else as it is here. Raises CalledProcessError."""
    name, near = f"mediaha-bench-{os.getpid()}", f"mb{os.getpid() % 100000}"
    _ip("netns", "add", name)
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", "far", "netns", name)
        _ip("address", "add", f"{NEAR}/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", name, "address", "add", f"{FAR}/30", "dev", "far")
        _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", name, "link", "set", "far", "up")
        yield ("nsenter", f"--net=/run/netns/{name}")
    finally:
        _ip("netns", "del", name)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
