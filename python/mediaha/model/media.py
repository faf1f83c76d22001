"""What the failover pool and session control say to each other about a call's media."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TypeAlias

from mediaha.model.errors import MediahaError
from mediaha.model.value import Value


class Family(StrEnum):
    """An address family, as SDP writes it."""

    IPV4 = "IP4"
    IPV6 = "IP6"


class Attempt(Value, frozen=True):
    """One request to one media server. Times are seconds of the monotonic clock."""

    server: str
    request: str
    """``offer``, ``answer`` or ``delete``."""
    asked_at: float
    answered_at: float | None
    outcome: str
    """``answered``, ``no answer``, ``unreachable``, ``overtaken``, or the error text of the server."""


class Anchored(Value, frozen=True):
    """A media server took an offer or an answer; ``sdp`` is what the other party is to be sent."""

    server: str
    sdp: bytes
    story: tuple[Attempt, ...]


class Moved(Value, frozen=True):
    """A call's media was created anew on another server; both parties must be told.

    ``sdp_for_caller`` is None while the callee has not answered.
    """

    call_id: str
    from_server: str
    server: str
    sdp_for_caller: bytes | None
    sdp_for_callee: bytes | None
    story: tuple[Attempt, ...]


class Stranded(Value, frozen=True):
    """A call whose server died and for which no server of its list is alive now. A Moved may follow."""

    call_id: str
    server: str
    why: str


class ServerCondition(StrEnum):
    """What a media server is good for at the moment."""

    USABLE = "usable"
    SUSPECT = "suspect"
    DEAD = "dead"
    RECOVERING = "recovering"
    DRAINING = "draining"


class ServerChanged(Value, frozen=True):
    """A media server's condition changed, at ``since`` seconds of the monotonic clock, because of ``why``."""

    server: str
    condition: ServerCondition
    why: str
    since: float


class ServerView(Value, frozen=True):
    """A media server as the pool sees it now."""

    name: str
    address: str
    condition: ServerCondition
    why: str
    since: float
    calls: int
    rtt_ms: float | None
    forwards: bool | None = None
    """Whether the packets that the pool sends through it come back; None while none has."""


class Fault(StrEnum):
    """Whose fault a refusal is, and so what to tell the caller."""

    CALLER = "caller"
    """The request itself is unusable (SDP): 488, no other server is tried."""
    NO_SERVER = "no server"
    """No media server of the list gave a usable answer: 503 with Retry-After."""
    FAMILY = "address family"
    """No media server of the list has an address that a party could send to, IPv4 or IPv6: 488."""
    UNKNOWN_CALL = "unknown call"
    BUSY = "busy"
    """The pool's own queue is full: 503."""


class MediaRefused(MediahaError):
    """No media for this request; ``fault`` says whose fault it is."""

    def __init__(self, fault: Fault, reason: str, story: tuple[Attempt, ...] = ()) -> None:
        super().__init__(f"{fault}: {reason}")
        self.fault = fault
        self.reason = reason
        self.story = story


Outcome: TypeAlias = Anchored | MediaRefused
"""What became of an offer or an answer."""

OnOutcome: TypeAlias = Callable[[Outcome], None]
