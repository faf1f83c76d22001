"""Ethernet frames that no socket would send: what a network may make of packets."""

from __future__ import annotations

import ipaddress
import socket
import struct

from tests.peers.checksum import internet_checksum

Address = tuple[str, int]

UDP = socket.IPPROTO_UDP
IPV4, IPV6, VLAN = 0x0800, 0x86DD, 0x8100
HOPS = 64


def udp(payload: bytes, source: Address, to: Address, *, checksum: int | None = None) -> bytes:
    """A datagram; its checksum is right unless it is given."""
    header = struct.pack("!HHH", source[1], to[1], 8 + len(payload))
    if checksum is None:
        pseudo = _packed(source[0]) + _packed(to[0]) + struct.pack("!II", 8 + len(payload), UDP)
        checksum = internet_checksum(pseudo + header + b"\0\0" + payload) or 0xFFFF
    return header + struct.pack("!H", checksum) + payload


def ipv4(
    body: bytes, source: str, to: str, *, options: bytes = b"", hops: int = HOPS, fragment: int = 0, number: int = 1
) -> bytes:
    """A packet; ``fragment`` is the field of flags and offset."""
    words = 5 + len(options) // 4
    lengths = struct.pack("!BBHHHBB", 0x40 | words, 0, 4 * words + len(body), number, fragment, hops, UDP)
    addresses = _packed(source) + _packed(to) + options
    return lengths + struct.pack("!H", internet_checksum(lengths + b"\0\0" + addresses)) + addresses + body


def ipv6(body: bytes, source: str, to: str, *, hops: int = HOPS, first: int = UDP, label: int = 0) -> bytes:
    """A packet; ``first`` says what ``body`` begins with."""
    return struct.pack("!IHBB", 6 << 28 | label, len(body), first, hops) + _packed(source) + _packed(to) + body


class Frames:
    """Sends them by an interface of this host; it needs root."""

    def __init__(self, interface: str, to: str) -> None:
        """``to`` is the MAC address at the other end."""
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self._sock.bind((interface, 0))
        self._from = self._sock.getsockname()[4]
        self._to = _mac(to)

    def send(self, kind: int, packet: bytes, *, vlan: int | None = None, to: str | None = None) -> None:
        """One frame; with ``vlan`` the tag that says so."""
        tag = b"" if vlan is None else struct.pack("!HH", VLAN, vlan)
        self._sock.send((_mac(to) if to else self._to) + self._from + tag + struct.pack("!H", kind) + packet)

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _packed(host: str) -> bytes:
    return ipaddress.ip_address(host).packed
