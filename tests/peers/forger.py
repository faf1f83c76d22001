"""Packets that say they come from wherever one likes: what a stranger on the same network can send."""

from __future__ import annotations

import ipaddress
import socket
import struct

from tests.peers.checksum import internet_checksum

Address = tuple[str, int]

HOPS = 64
UDP = socket.IPPROTO_UDP


class Forger:
    """Sends UDP with IP headers of its own; it needs root."""

    def __init__(self, family: str) -> None:
        """``family`` is IP4 or IP6."""
        self._is_v6 = family == "IP6"
        kind = socket.AF_INET6 if self._is_v6 else socket.AF_INET
        self._sock = socket.socket(kind, socket.SOCK_RAW, socket.IPPROTO_RAW)

    def send(self, payload: bytes, source: Address, to: Address) -> None:
        """One datagram that seems to come from ``source``."""
        addresses = b"".join(ipaddress.ip_address(host).packed for host, _ in (source, to))
        length = 8 + len(payload)
        pseudo = addresses + struct.pack("!II", length, UDP)
        summed = internet_checksum(pseudo + struct.pack("!HHHH", source[1], to[1], length, 0) + payload)
        datagram = struct.pack("!HHHH", source[1], to[1], length, summed or 0xFFFF) + payload
        if self._is_v6:
            header = struct.pack("!IHBB", 6 << 28, length, UDP, HOPS)
        else:
            # The kernel fills in the checksum.
            header = struct.pack("!BBHIBBH", 0x45, 0, 20 + length, 0, HOPS, UDP, 0)
        self._sock.sendto(header + addresses + datagram, (to[0], 0))

    def __enter__(self) -> Forger:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()
