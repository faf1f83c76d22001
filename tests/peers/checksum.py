"""The sum that IP and UDP are checked by (RFC 1071)."""

from __future__ import annotations

import struct


def internet_checksum(octets: bytes) -> int:
    """The complement of the sum of all 16-bit words; an odd byte is filled up with zeroes."""
    octets += b"\0" * (len(octets) % 2)
    total: int = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
