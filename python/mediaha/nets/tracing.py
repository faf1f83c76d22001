"""The messages of a call, for a person who looks on: nothing is kept until somebody asks, and not for long. Decides.

A trace is asked for by any name of a call (NeTS's own, or the Call-ID of a leg), or by whatever its messages will
mention: a number, a Call-ID that is yet to come. All legs of a call that is found so belong to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from mediaha.model.errors import MediahaError
from mediaha.sip.trace import Trace, Traced, call_id_untrusted

TRACES_MAX = 8
SECONDS_MAX = 3600.0
LEASE_S = 20.0
"""Whoever has not asked for so long looks no more."""
TEXT_LENGTH_MIN = 3

Legs = Callable[[str], Iterable[str]]
"""The Call-IDs of all legs of the call with this name; none: it is unknown."""


class TraceRefused(MediahaError):
    """It cannot be traced; the text says why."""


@dataclass(slots=True)
class _Looking:
    trace: Trace
    until: float
    asked_at: float


class Tracer:
    """The traces of one NeTS, by a name that the person's side has given them. ``now`` is monotonic seconds."""

    def __init__(self, legs: Legs) -> None:
        self._legs = legs
        self._looking: dict[str, _Looking] = {}

    def __bool__(self) -> bool:
        """Whether anybody looks."""
        return bool(self._looking)

    def begin(self, name: str, wanted: str, seconds: float, now: float) -> bool:
        """Begin a trace called ``name``. Whether a call of the wanted name is known. Raises TraceRefused."""
        self.expire(now)
        if len(wanted) < TEXT_LENGTH_MIN:
            raise TraceRefused(f"{wanted!r} is in too many messages; give at least {TEXT_LENGTH_MIN} characters")
        if len(self._looking) >= TRACES_MAX:
            raise TraceRefused(f"{TRACES_MAX} traces are under way; end one of them first")
        legs = tuple(self._legs(wanted))
        self._looking[name] = _Looking(Trace(legs or (wanted,)), now + min(seconds, SECONDS_MAX), now)
        return bool(legs)

    def note(self, traced: Traced) -> None:
        """A message has come or goes."""
        call_id = call_id_untrusted(traced.message)
        for looking in self._looking.values():
            trace = looking.trace
            if trace.wants(traced.message) or trace.belongs(self._legs(call_id)):
                trace.also(call_id)
                trace.note(traced)

    def take(self, name: str, now: float) -> tuple[tuple[Traced, ...], int] | None:
        """What has come since it was asked for last, and how much was lost in all; None: there is no such trace."""
        self.expire(now)
        looking = self._looking.get(name)
        if looking is None:
            return None
        looking.asked_at = now
        return looking.trace.take(), looking.trace.dropped

    def end(self, name: str) -> None:
        """Nobody looks any more."""
        self._looking.pop(name, None)

    def expire(self, now: float) -> None:
        """End what has lasted long enough, or is forgotten."""
        over = [n for n, one in self._looking.items() if one.until <= now or one.asked_at + LEASE_S <= now]
        for name in over:
            del self._looking[name]
