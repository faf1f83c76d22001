"""One registration of ours at a carrier (RFC 3261 section 10.2): when to ask, whom, and what the answer makes of it.

    due ─▶ asks the first target ─▶ 2xx: bound; due again well before that ends
              ▲        │  └ 423: asks again, for as long as the carrier wants
              │        └ silent, unreachable, any other refusal: asks the next target
              └── pause, longer each time ◀── no target is left, or the carrier will not have us (401, 403, 404)

A carrier that knows us goes on to know us while a later question fails: its ``Bound`` ends by time alone. When the
target where we are bound is down, the next one is asked at once. ``now`` is monotonic seconds, ``chance`` from 0 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mediaha.sip.target import Target

PAUSE_S_MIN, PAUSE_S_MAX = 4.0, 300.0
"""After a round that failed; doubled each time, and spread, so that a carrier that is back is not overrun."""
UNKNOWN_S = 1.0
"""While no target is known: a name is being looked up."""
REFRESH_AFTER = 0.75
"""Of the time that was granted: the rest is for when the first attempts to refresh fail."""
EXPIRES_S_MAX = 24 * 3600
NOT_WANTED = frozenset({401, 403, 404, 407})
"""The same account will not do better at another target, and asking often may get us locked out."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The carrier sends our calls to us until then."""

    target: Target
    since: float
    until: float


@dataclass(frozen=True, slots=True)
class Asking:
    """A REGISTER is under way; ``left`` are the targets that are asked if this one fails."""

    target: Target
    left: tuple[Target, ...]
    until: float


@dataclass(frozen=True, slots=True)
class Registration:
    """What there is of it."""

    expires_s: int
    """For how long we ask to be known."""
    due_at: float
    bound: Bound | None = None
    asking: Asking | None = None
    number: int = 0
    """Of the last question; the answer to any but that comes too late."""
    rounds_failed: int = 0
    why: str = ""
    """Why the last round failed; empty when it did not."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a REGISTER."""

    target: Target
    number: int
    expires_s: int


Decision = tuple[Registration, Ask | None]


def begin(expires_s: int, now: float) -> Registration:
    """Nobody knows us yet."""
    return Registration(expires_s, now)


def look(one: Registration, targets: tuple[Target, ...], try_s: float, now: float, chance: float) -> Decision:
    """What the time makes of it. ``targets`` are those of the trunk, the best first."""
    if one.bound is not None and one.bound.until <= now:
        one = replace(one, bound=None)
    if one.asking is not None:
        if one.asking.until > now:
            return one, None
        return failed(one, one.number, f"no response in {try_s:g} s", try_s, now, chance)
    if one.due_at > now:
        return one, None
    if not targets:
        return replace(one, due_at=now + UNKNOWN_S, why="no target is known"), None
    return _ask(one, targets, try_s, now)


def deserted(one: Registration, now: float) -> Registration:
    """The target where we are bound is down: calls to us end there. Another one is asked now."""
    return replace(one, due_at=now, bound=None) if one.asking is None and not one.rounds_failed else one


def granted(one: Registration, number: int, expires_s: float, now: float) -> Registration:
    """The carrier knows us for so long."""
    if one.asking is None or number != one.number:
        return one
    since = one.bound.since if one.bound is not None and one.bound.target == one.asking.target else now
    bound = Bound(one.asking.target, since, now + expires_s)
    due = now + max(1.0, expires_s * REFRESH_AFTER)
    return replace(one, bound=bound, asking=None, due_at=due, rounds_failed=0, why="")


def too_brief(one: Registration, number: int, minimum_s: int, try_s: float, now: float, chance: float) -> Decision:
    """423: the carrier wants us for longer (section 10.3)."""
    if one.asking is None or number != one.number:
        return one, None
    if not one.expires_s < minimum_s <= EXPIRES_S_MAX:
        return failed(one, number, f"answered 423 with Min-Expires {minimum_s}", try_s, now, chance)
    asking = one.asking
    return _ask(replace(one, expires_s=minimum_s), (asking.target, *asking.left), try_s, now)


def failed(
    one: Registration, number: int, why: str, try_s: float, now: float, chance: float, *, status: int = 0
) -> Decision:
    """The target has not taken it; ``status`` if it has said so."""
    if one.asking is None or number != one.number:
        return one, None
    why = f"{one.asking.target}: {why}"
    if one.asking.left and status not in NOT_WANTED:
        return _ask(replace(one, why=why), one.asking.left, try_s, now)
    if status in NOT_WANTED:
        # The next attempts are as rare as they ever get.
        one = replace(one, rounds_failed=max(one.rounds_failed, 6))
    return _pause(one, why, now, chance), None


def at_once(one: Registration, now: float) -> Registration:
    """Something has changed, our secret perhaps: no pause is waited for."""
    return replace(one, due_at=now, rounds_failed=0) if one.asking is None and one.rounds_failed else one


def wake_at(one: Registration) -> float:
    """When to look again."""
    return one.due_at if one.asking is None else one.asking.until


def _ask(one: Registration, targets: tuple[Target, ...], try_s: float, now: float) -> Decision:
    number = one.number + 1
    asking = Asking(targets[0], targets[1:], now + try_s)
    return replace(one, asking=asking, number=number), Ask(targets[0], number, one.expires_s)


def _pause(one: Registration, why: str, now: float, chance: float) -> Registration:
    failures = one.rounds_failed + 1
    pause = min(PAUSE_S_MIN * 2 ** min(failures - 1, 16), PAUSE_S_MAX) * (0.5 + chance / 2)
    return replace(one, asking=None, due_at=now + pause, rounds_failed=failures, why=why)
