"""What the transaction layer tells its user."""

from __future__ import annotations

from collections.abc import Callable

from mediaha.model.address import Address
from mediaha.model.value import Value
from mediaha.sip.message import Request, Response
from mediaha.sip.target import Target


class ServerKey(Value, frozen=True):
    """Names a server transaction (RFC 3261 section 17.2.3)."""

    branch: str
    sent_by: str
    method: str


class ClientKey(Value, frozen=True):
    """Names a client transaction (RFC 3261 section 17.1.3)."""

    branch: str
    method: str


class Incoming(Value, frozen=True):
    """A new request. It is answered with ``respond(transaction, …)``; INVITE gets its 100 by itself after 200 ms.

    An INVITE must be given a final response some day: its caller may be gone without our hearing of it.
    """

    request: Request
    transaction: ServerKey
    source: Address
    flow: Target
    """The way that it came: requests that must go back the same way (to a phone behind a NAT) take it as target."""


class Acknowledged(Value, frozen=True):
    """The ACK of a 2xx that we sent. ``transaction`` is the INVITE's; each is told once."""

    request: Request
    transaction: ServerKey
    source: Address


class Cancelled(Value, frozen=True):
    """A CANCEL for an INVITE that has no final response yet. It has been answered; answer the INVITE with 487."""

    request: Request
    transaction: ServerKey
    source: Address


class Unacknowledged(Value, frozen=True):
    """No ACK came for our 2xx in 64*T1: the session should be ended with BYE (section 13.3.1.4)."""

    transaction: ServerKey


ServerEvent = Incoming | Acknowledged | Cancelled | Unacknowledged


class TimedOut(Value, frozen=True):
    """No (final) response came in time; treat it as a 408. For an INVITE also: it was cancelled and nobody said so."""


class Unreachable(Value, frozen=True):
    """The transport failed, by ICMP or at our end; treat it as a 503, and try the next target at once."""

    why: str


ClientEvent = Response | TimedOut | Unreachable
"""Responses arrive in order, provisional ones each time they are received. After a final one (for an INVITE: below
200 or above 299) nothing follows. After a 2xx of an INVITE only a 2xx of another branch may follow."""


OnClientEvent = Callable[[ClientEvent], None]
