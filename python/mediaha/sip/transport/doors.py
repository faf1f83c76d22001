"""Who is let in, and who goes when it is full: a bounded number of connections, in all and from each source.

First to go is the connection that has been unproven for longest, then the proven one that has been silent for
longest, if that is long. What we opened ourselves goes only when it has been silent, too.
"""

from __future__ import annotations

from dataclasses import dataclass

from mediaha.sip.transport.patience import StreamLimits

SILENT_S = 120.0
"""Longer than the keep-alive intervals of RFC 5626 section 4.4.1: who is silent for longer is likely gone."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """Let it in, and close ``instead`` if it is not None."""

    instead: int | None = None


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """Close it, for this reason."""

    why: str


@dataclass(slots=True)
class _Source:
    connections: int = 0
    unproven: int = 0


@dataclass(slots=True)
class _Guest:
    host: str
    heard_at: float


class Doors:
    """The connections of one listener, by number."""

    __slots__ = ("_limits", "_proven", "_sources", "_unproven")

    def __init__(self, limits: StreamLimits) -> None:
        self._limits = limits
        self._sources: dict[str, _Source] = {}
        # Both in the order in which they would have to go.
        self._unproven: dict[int, _Guest] = {}
        self._proven: dict[int, _Guest] = {}

    def __len__(self) -> int:
        return len(self._unproven) + len(self._proven)

    def arrive(self, number: int, host: str, now: float, *, ours: bool = False) -> Admitted | TurnedAway:
        """Somebody wants to connect, or (``ours``) we do."""
        limits = self._limits
        source = self._sources.get(host, _Source())
        if not ours and source.unproven >= limits.source_unproven_max:
            return TurnedAway("too many connections from there without a message")
        if not ours and source.connections >= limits.source_max:
            return TurnedAway("too many connections from there")
        instead = None
        if len(self) >= limits.connections_max:
            instead = self._least(now)
            if instead is None:
                return TurnedAway("too many connections")
            self.leave(instead)
        self._sources[host] = source = self._sources.get(host, source)
        source.connections += 1
        if ours:
            self._proven[number] = _Guest(host, now)
        else:
            source.unproven += 1
            self._unproven[number] = _Guest(host, now)
        return Admitted(instead)

    def heard(self, number: int, now: float, *, messages: bool) -> None:
        """Something came on it; ``messages``: whole ones."""
        guest = self._proven.pop(number, None)
        if guest is None:
            guest = self._unproven.get(number)
            if guest is None or not messages:
                return
            del self._unproven[number]
            self._sources[guest.host].unproven -= 1
        guest.heard_at = now
        self._proven[number] = guest

    def leave(self, number: int) -> None:
        """It is closed. To leave twice is no harm."""
        guest = self._unproven.pop(number, None)
        unproven = guest is not None
        guest = guest or self._proven.pop(number, None)
        if guest is None:
            return
        source = self._sources[guest.host]
        source.connections -= 1
        source.unproven -= unproven
        if not source.connections:
            del self._sources[guest.host]

    def _least(self, now: float) -> int | None:
        for number in self._unproven:
            return number
        for number, guest in self._proven.items():
            return number if now - guest.heard_at >= SILENT_S else None
        return None
