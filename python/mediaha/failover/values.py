"""The Rust pool's events as the values that everybody speaks in."""

from __future__ import annotations

from collections.abc import Iterable

from mediaha import _core
from mediaha.model.media import (
    Anchored,
    Attempt,
    Fault,
    MediaRefused,
    Moved,
    ServerChanged,
    ServerCondition,
    ServerView,
    Stranded,
)


def anchored(event: _core.Anchored) -> Anchored:
    """An answer that can be used."""
    return Anchored(event.server, event.sdp, story(event.story))


def refused(event: _core.Refused) -> MediaRefused:
    """An answer that nothing can be done with, as the exception to raise."""
    return MediaRefused(Fault(event.fault), event.reason, story(event.story))


def notice(event: _core.Moved | _core.Stranded | _core.ServerState) -> Moved | Stranded | ServerChanged:
    """What happened without having been asked for."""
    match event:
        case _core.Moved():
            return Moved(
                event.call_id,
                event.from_server,
                event.server,
                event.sdp_for_caller,
                event.sdp_for_callee,
                story(event.story),
            )
        case _core.Stranded():
            return Stranded(event.call_id, event.server, event.why)
        case _core.ServerState():
            return ServerChanged(event.server, ServerCondition(event.state), event.why, event.since)


def view(seen: _core.ServerView) -> ServerView:
    """A server as it is now."""
    condition = ServerCondition(seen.state)
    return ServerView(seen.name, seen.address, condition, seen.why, seen.since, seen.calls, seen.rtt_ms, seen.forwards)


def story(attempts: Iterable[_core.Attempt]) -> tuple[Attempt, ...]:
    """Who was asked, in which order, and what became of it."""
    return tuple(
        Attempt(attempt.server, attempt.request, attempt.asked_at, attempt.answered_at, attempt.outcome)
        for attempt in attempts
    )
