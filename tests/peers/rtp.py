"""A bare RTP endpoint: a socket that the test owns, for looking at each packet of a call that SIPp signals."""

from __future__ import annotations

import re
import socket
import struct
import time
from typing import NamedTuple


class Event(NamedTuple):
    """A packet of a digit (RFC 4733)."""

    digit: str
    marker: bool
    end: bool
    timestamp: int


EVENT = 101
"""The payload type of digits."""


class RtpEndpoint:
    """Sends numbered packets and remembers what it hears."""

    def __init__(self, ssrc: int, host: str = "127.0.0.1") -> None:
        self.ssrc = ssrc
        self._sock = self._bound_even(host)
        self._sock.setblocking(False)
        self.port = self._sock.getsockname()[1]
        self._sequence = 0
        self._pressed = 0
        self.heard: list[tuple[int, int, tuple[str, int]]] = []
        """SSRC, sequence number and source of each packet."""
        self.events: list[Event] = []
        """Those that were digits."""

    @staticmethod
    def _bound_even(host: str) -> socket.socket:
        while True:
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind((host, 0))
            if sock.getsockname()[1] % 2 == 0:
                return sock
            sock.close()

    def send(self, remote: tuple[str, int]) -> None:
        """One packet of G.711."""
        self._sequence += 1
        header = struct.pack("!BBHII", 0x80, 8, self._sequence & 0xFFFF, self._sequence * 160, self.ssrc)
        self._sock.sendto(header + b"\xd5" * 160, remote)

    def fax(self, remote: tuple[str, int]) -> None:
        """One datagram that is no RTP: its first byte says so. What else of it is heard is told like RTP's."""
        self._sequence += 1
        self._sock.sendto(struct.pack("!BBHII", 0, 0, self._sequence & 0xFFFF, 0, self.ssrc), remote)

    def press(self, remote: tuple[str, int], digit: str, *, first: bool = False, end: bool = False) -> None:
        """One packet of a digit that is held down, or let go: all packets of one have its beginning's timestamp."""
        self._sequence += 1
        if first:
            self._pressed = self._sequence * 160
        kind = EVENT | (0x80 if first else 0)
        header = struct.pack("!BBHII", 0x80, kind, self._sequence & 0xFFFF, self._pressed, self.ssrc)
        self._sock.sendto(header + struct.pack("!BBH", int(digit), 0x80 if end else 0, 800), remote)

    def listen(self) -> int:
        """Take what has arrived; gives how many packets have been heard so far."""
        while True:
            try:
                packet, source = self._sock.recvfrom(2048)
            except BlockingIOError:
                return len(self.heard)
            _, kind, sequence, timestamp, ssrc = struct.unpack("!BBHII", packet[:12])
            if kind & 0x7F == EVENT:
                self.events.append(Event(str(packet[12]), kind >= 0x80, packet[13] >= 0x80, timestamp))
            self.heard.append((ssrc, sequence, source[:2]))

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()


def talk(pairs: list[tuple[RtpEndpoint, tuple[str, int]]], packets: int) -> None:
    """Let each endpoint send a packet every 20 ms to its remote, listening meanwhile."""
    began = time.monotonic()
    for count in range(packets):
        for endpoint, remote in pairs:
            endpoint.send(remote)
            endpoint.listen()
        time.sleep(max(0.0, began + (count + 1) * 0.02 - time.monotonic()))
    for endpoint, _ in pairs:
        endpoint.listen()


def audio_addresses(messages: str, *, received: bool = False) -> list[tuple[str, int]]:
    """The media addresses of every SDP in a SIPp message log, in order: of all, or only of what it received."""
    parts = [part for part in re.split(r"-{20,}", messages) if not received or "message received" in part]
    places = [
        (re.search(r"^c=IN IP[46] (\S+)", part, re.M), re.search(r"^m=(?:audio|image) (\d+) ", part, re.M))
        for part in parts
    ]
    return [(host[1].strip(), int(audio[1])) for host, audio in places if host and audio]
