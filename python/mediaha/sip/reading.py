"""Bytes of a datagram become a message, or an error that says what to answer. Total: no bytes make it raise else."""

from __future__ import annotations

from dataclasses import dataclass

from mediaha._core import read_message
from mediaha.sip.message import MessageError, Request, Response


@dataclass(frozen=True, slots=True)
class SizeLimits:
    """What is read at all; a larger request is answered with 513 (RFC 3261 section 21.5.7)."""

    head_bytes_max: int = 32 * 1024
    headers_max: int = 200
    body_bytes_max: int = 64 * 1024
    """Over streams; a datagram has its own end."""


SIZE_LIMITS = SizeLimits()


def message_untrusted(data: bytes, limits: SizeLimits = SIZE_LIMITS) -> Request | Response:
    """Read one datagram. Raises MessageError.

    Bytes after Content-Length are dropped, a body shorter than it is an error, and without it the body is the rest of
    the datagram (section 18.3). Folded lines are joined with one space (section 7.3.1).
    """
    message = read_message(data, limits.head_bytes_max, limits.headers_max)
    if isinstance(message, tuple):
        raise MessageError(*message)
    return message
