"""How long a connection may take over each thing (slow-loris, half-open and idle limits), and when to ping.

    Opening ─ open_s_max ─▶ cut          connect, TLS handshake
       │
       ▼ opened
    Unproven ─ proof_s_max ─▶ cut        no whole message has come: a scanner, or nobody
       │
       ▼ a message
    Proven ─ idle_s_max of silence ─▶ cut
       └─── ping_s of silence ─▶ ping; one who has answered a ping before must answer within pong_s_max, or is cut

In all of them, a message that has begun must be complete within message_s_max.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """What connections may take. Durations in seconds."""

    connections_max: int = 10_000
    """Of one listener, both directions; when it is reached, the least useful one makes room (see `doors`)."""
    source_max: int = 1_000
    """Connections from one address: an office behind one NAT."""
    source_unproven_max: int = 100
    """Connections from one address of which no message has come yet."""
    open_s_max: float = 4.0
    """To connect, TLS handshake included. Well below Timer B: the next target wants its turn."""
    proof_s_max: float = 10.0
    message_s_max: float = 10.0
    idle_s_max: float = 1_800.0
    """Twice the longest interval of keep-alives that RFC 5626 section 4.4.1 recommends for TCP."""
    ping_s: float = 110.0
    """Our own keep-alives on connections that we opened (RFC 5626 section 4.4.1: 95 to 120)."""
    pong_s_max: float = 10.0
    unsent_bytes_max: int = 4 * 1024 * 1024
    """What is kept for one peer that does not read; more, and it is cut off."""
    unsent_total_bytes_max: int = 64 * 1024 * 1024
    """The same for all peers of a listener; when it is reached, those above their fair share of it are cut off."""


STREAM_LIMITS = StreamLimits()


@dataclass(frozen=True, slots=True)
class Cut:
    """Close it, for this reason."""

    why: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a keep-alive."""


@dataclass(slots=True)
class Opening:
    """Not established."""

    until: float


@dataclass(slots=True)
class Unproven:
    """Established; nothing whole has been heard."""

    until: float


@dataclass(slots=True)
class Proven:
    """A message has been heard."""


@dataclass(slots=True)
class Ended:
    """Closed, or about to be."""


class Patience:
    """The deadlines of one connection."""

    __slots__ = (
        "_answers",
        "_begun_at",
        "_heard_at",
        "_limits",
        "_ours",
        "_pinged_at",
        "_pong_by",
        "queued_at",
        "state",
    )

    def __init__(self, limits: StreamLimits, now: float, *, ours: bool) -> None:
        """``ours``: we have opened it, and keep it alive. Such a one needs no proof: we know whom we called."""
        self._limits = limits
        self._ours = ours
        self.queued_at = inf
        self.state: Opening | Unproven | Proven | Ended = Opening(now + limits.open_s_max)
        self._heard_at = now
        self._begun_at = inf
        self._pinged_at = -inf
        self._pong_by = inf
        self._answers = False
        """Whether it has ever answered a ping: RFC 3261 alone does not oblige it to."""

    def opened(self, now: float) -> None:
        """It is established."""
        self._heard_at = now
        if isinstance(self.state, Opening):
            self.state = Proven() if self._ours else Unproven(now + self._limits.proof_s_max)

    def heard(self, now: float, *, messages: int, pongs: int, begun: bool) -> None:
        """Bytes came: how many whole messages and pongs, and whether a message has begun and is not complete."""
        self._heard_at = now
        self._pong_by = inf
        if pongs:
            self._answers = True
        if messages and isinstance(self.state, Unproven):
            self.state = Proven()
        if not begun:
            self._begun_at = inf
        elif messages or self._begun_at == inf:
            self._begun_at = now

    def ended(self) -> None:
        """It is closed, for whatever reason."""
        self.state = Ended()

    @property
    def wake_at(self) -> float:
        """The next deadline."""
        limits = self._limits
        message = self._begun_at + limits.message_s_max
        if isinstance(self.state, Opening | Unproven):
            return min(message, self.state.until)
        if isinstance(self.state, Ended):
            return inf
        ping = self._ping_at if self._ours else inf
        return min(message, ping, self._pong_by, self._heard_at + limits.idle_s_max)

    def wake(self, now: float) -> Cut | Ping | None:
        """A deadline may have come. After a Cut there are no more."""
        why = self._exhausted(now)
        if why is not None:
            self.state = Ended()
            return Cut(why)
        if isinstance(self.state, Proven) and self._ours and now >= self._ping_at:
            self._pinged_at = now
            if self._answers:
                self._pong_by = min(self._pong_by, now + self._limits.pong_s_max)
            return Ping()
        return None

    def _exhausted(self, now: float) -> str | None:
        state = self.state
        if isinstance(state, Ended):
            return None
        if now >= self._begun_at + self._limits.message_s_max:
            return "a message took too long"
        if isinstance(state, Opening):
            return "timed out" if now >= state.until else None
        if isinstance(state, Unproven):
            return "no message came" if now >= state.until else None
        if now >= self._pong_by:
            return "a keep-alive was not answered"
        return "idle" if now >= self._heard_at + self._limits.idle_s_max else None

    @property
    def _ping_at(self) -> float:
        return max(self._heard_at, self._pinged_at) + self._limits.ping_s
