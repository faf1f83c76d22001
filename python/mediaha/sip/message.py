"""SIP messages: read from a datagram, changed by copying, written to a datagram (RFC 3261 section 7).

Header values are kept as they were written and read only when somebody asks; what we do not understand passes
through untouched. The classes are Rust's (``rust/sip``): messages are most of what NeTS does for a call. A message
never changes: ``with_…`` and ``without`` give a new one.
"""

from __future__ import annotations

from mediaha._core import Headers, Message, Request, Response, reason_of
from mediaha.model.errors import MediahaError

__all__ = ["MAX_FORWARDS", "Headers", "Message", "MessageError", "Request", "Response", "reason_of"]

MAX_FORWARDS = 70


class MessageError(MediahaError):
    """The bytes are no SIP message that can be taken.

    ``request`` is there when they are a request that can be answered, with ``status`` and ``reason``; else drop it.
    """

    def __init__(self, status: int, reason: str, request: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.request = request
