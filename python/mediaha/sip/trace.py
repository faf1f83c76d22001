"""Messages of chosen calls, kept for whoever is looking into them: bounded, and as a capture file.

An endpoint's ``tap`` is called with each `Traced` message; a `Trace` keeps those that mention one of its Call-IDs.
What came over TLS is kept as it was meant, not as it was on the wire.
"""

from __future__ import annotations

import re
import struct
from collections import deque
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import NamedTuple

from mediaha.model.address import Address
from mediaha.sip.target import Target

MESSAGES_MAX = 2_000
BYTES_MAX = 4 * 1024 * 1024
CALL_IDS_MAX = 256
"""Of one trace; further calls are not taken up."""

_PCAP_NANOSECONDS = 0xA1B23C4D
_LINKTYPE_RAW = 101
_PROTOCOL_UDP = 17
_PACKET_MAX = 65_535
HEAD_BYTES_MAX = 16_384
_CALL_ID = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*([^\s]{1,256})")


class Traced(NamedTuple):
    """One message, as it came or went."""

    at: float
    """Seconds since 1970."""
    received: bool
    message: bytes
    local: Address
    flow: Target
    """The other end, and how it was reached."""


Tap = Callable[[Traced], None]
"""Called for each message: it must not wait, and one that raises is called no more."""


class Trace:
    """The messages of some calls; when there are too many, the oldest go."""

    def __init__(
        self, call_ids: Iterable[str], *, messages_max: int = MESSAGES_MAX, bytes_max: int = BYTES_MAX
    ) -> None:
        self._wanted = [call_id.encode() for call_id in call_ids]
        self._messages: deque[Traced] = deque()
        self._messages_max = messages_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self.dropped = 0
        """How many are not there any more."""

    def also(self, call_id: str) -> None:
        """Another leg of one of the calls has this Call-ID."""
        wanted = call_id.encode()
        if wanted not in self._wanted and len(self._wanted) < CALL_IDS_MAX:
            self._wanted.append(wanted)

    def wants(self, message: bytes) -> bool:
        """Whether it mentions one of the Call-IDs."""
        return any(call_id in message for call_id in self._wanted)

    def belongs(self, call_ids: Iterable[str]) -> bool:
        """Whether one of these is wanted."""
        return any(call_id.encode() in self._wanted for call_id in call_ids)

    def note(self, traced: Traced) -> None:
        """Keep a message if it belongs to one of the calls."""
        if self.wants(traced.message):
            self._keep(traced)

    def _keep(self, traced: Traced) -> None:
        self._messages.append(traced)
        self._bytes += len(traced.message)
        while len(self._messages) > self._messages_max or self._bytes > self._bytes_max:
            self._bytes -= len(self._messages.popleft().message)
            self.dropped += 1

    def messages(self) -> tuple[Traced, ...]:
        """What is there, oldest first."""
        return tuple(self._messages)

    def take(self) -> tuple[Traced, ...]:
        """The same, and it is not kept any longer."""
        taken = tuple(self._messages)
        self._messages.clear()
        self._bytes = 0
        return taken


def call_id_untrusted(message: bytes) -> str:
    """The Call-ID of a message, without reading the rest; empty when it has none."""
    found = _CALL_ID.search(message, 0, HEAD_BYTES_MAX)
    return found[1].decode("utf-8", "replace") if found else ""


PCAP_HEAD = struct.pack("<IHHiIII", _PCAP_NANOSECONDS, 2, 4, 0, 0, _PACKET_MAX, _LINKTYPE_RAW)
"""What a capture file begins with; Wireshark and sngrep read it."""


def pcap(messages: Iterable[Traced]) -> bytes:
    """A capture file."""
    return PCAP_HEAD + b"".join(map(pcap_record, messages))


def pcap_record(traced: Traced) -> bytes:
    """A message in a capture file: a UDP packet, whatever it came over, so that its reader need not reassemble."""
    ends = (traced.flow.address, traced.local) if traced.received else (traced.local, traced.flow.address)
    packet = _packet(*ends, traced.message)
    seconds = int(traced.at)
    nanoseconds = int((traced.at - seconds) * 1e9)
    head = struct.pack("<IIII", seconds, nanoseconds, min(len(packet), _PACKET_MAX), len(packet))
    return head + packet[:_PACKET_MAX]


def _packet(source: Address, target: Address, message: bytes) -> bytes:
    """An IP packet with a UDP datagram in it."""
    datagram = struct.pack("!HHHH", source.port, target.port, (8 + len(message)) & 0xFFFF, 0) + message
    one, other = _packed(source.host), _packed(target.host)
    if len(one) == len(other) == 16:
        head = struct.pack("!IHBB", 6 << 28, len(datagram) & 0xFFFF, _PROTOCOL_UDP, 64)
        return head + one + other + datagram
    total = (20 + len(datagram)) & 0xFFFF
    fields = struct.pack("!BBHHHBBH", 0x45, 0, total, 0, 0, 64, _PROTOCOL_UDP, 0) + one[-4:] + other[-4:]
    return fields[:10] + struct.pack("!H", _checksum(fields)) + fields[12:] + datagram


def _packed(host: str) -> bytes:
    """The address in bytes; zeros for a name, which an advertised host may be."""
    try:
        return ip_address(host).packed
    except ValueError:
        return bytes(4)


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
