"""What is believed of one target of a trunk, from checks (OPTIONS) and from what calls meet there.

             answers                    fails, the down_after-th time in a row
    Up ◀──────────────── Suspect ──────────────────────────────────▶ Down
     └────────────────────▲                                           │
           fails          answers, the up_after-th time in a row ─────┴──▶ Up

Nothing is known at first: that counts as Up. A check is due every ``check_s``, faster while the target is Suspect or
Down. ``now`` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from mediaha.model.trunk import Trunk

DOWN_CHECK_S_MAX = 10.0
"""A target that is down is asked less and less often, but not less often than this."""
HOLD_S_MAX = 60.0
"""The longest Retry-After that is believed."""


@dataclass(frozen=True, slots=True)
class Up:
    """It answers, or has not been asked yet."""

    since: float
    heard: bool = True


@dataclass(frozen=True, slots=True)
class Suspect:
    """It has failed ``failures`` times in a row."""

    since: float
    failures: int
    why: str


@dataclass(frozen=True, slots=True)
class Down:
    """It is not believed to be there until it has answered several times in a row."""

    since: float
    why: str
    failures: int
    answers: int = 0


State: TypeAlias = Up | Suspect | Down


@dataclass(frozen=True, slots=True)
class Health:
    """One target."""

    state: State
    check_at: float
    """When the next check is due."""
    asked: int = 0
    """Counts the checks; the answer to any but the last comes too late."""
    silent_at: float | None = None
    """When the check that is under way counts as failed; None while none is."""
    held_until: float = 0.0
    """It has asked for no calls until then (503 with Retry-After)."""


def begin(now: float, spread: float, trunk: Trunk) -> Health:
    """A target of which nothing is known. ``spread``, 0 to 1, keeps all targets from being checked together."""
    return Health(Up(now, heard=False), now + spread * min(1.0, trunk.check_s))


def look(health: Health, trunk: Trunk, now: float) -> tuple[Health, bool]:
    """What the time makes of it, and whether to send a check now."""
    if health.silent_at is not None and health.silent_at <= now:
        health = failed(replace(health, silent_at=None), trunk, f"no response in {trunk.try_s_max:g} s", now)
    if trunk.check_s <= 0 or health.silent_at is not None or health.check_at > now:
        return health, False
    return replace(health, asked=health.asked + 1, silent_at=now + trunk.try_s_max), True


def wake_at(health: Health, trunk: Trunk) -> float:
    """When to look again; infinity: never."""
    if health.silent_at is not None:
        return health.silent_at
    return health.check_at if trunk.check_s > 0 else float("inf")


def checked(health: Health, trunk: Trunk, asked: int, failure: str | None, now: float) -> Health:
    """The check with this number was answered, or failed with these words."""
    if asked != health.asked or health.silent_at is None:
        return health
    health = replace(health, silent_at=None)
    return answered(health, trunk, now) if failure is None else failed(health, trunk, failure, now)


def not_asked(health: Health, trunk: Trunk, now: float) -> Health:
    """The check that was due could not be sent, for a reason of ours."""
    return replace(health, silent_at=None, check_at=now + trunk.suspect_check_s)


def answered(health: Health, trunk: Trunk, now: float) -> Health:
    """It has answered: a check, or a call."""
    state = health.state
    if isinstance(state, Down) and state.answers + 1 < trunk.up_after:
        fresh: State = replace(state, answers=state.answers + 1)
    elif isinstance(state, Up):
        fresh = Up(state.since) if state.heard else Up(now)
    else:
        fresh = Up(now)
    return _due(replace(health, state=fresh), trunk, now)


def failed(health: Health, trunk: Trunk, why: str, now: float) -> Health:
    """It has not answered, cannot be reached, or has said that it cannot take calls."""
    state = health.state
    failures = 1 if isinstance(state, Up) else state.failures + 1
    fresh: State
    if isinstance(state, Down):
        fresh = Down(state.since, why, failures)
    elif failures >= trunk.down_after:
        fresh = Down(now, why, failures)
    else:
        since = state.since if isinstance(state, Suspect) else now
        fresh = Suspect(since, failures, why)
    return _due(replace(health, state=fresh), trunk, now)


def held(health: Health, seconds: float, now: float) -> Health:
    """It wants no calls for so long."""
    return replace(health, held_until=now + min(seconds, HOLD_S_MAX))


def rank(health: Health | None, now: float) -> int:
    """Where it stands among the targets that may be tried: the lower, the sooner."""
    if health is None:
        return 0
    if isinstance(health.state, Down):
        return 3
    if isinstance(health.state, Suspect):
        return 2
    return 1 if health.held_until > now else 0


def doubt(health: Health | None, now: float) -> str:
    """Why it is not among the first, for people; empty: it is."""
    if health is None or rank(health, now) == 0:
        return ""
    state = health.state
    if isinstance(state, Up):
        return f"wants no calls for {health.held_until - now:.0f} s"
    return f"{'down' if isinstance(state, Down) else 'suspect'}: {state.why}"


def _due(health: Health, trunk: Trunk, now: float) -> Health:
    """The next check: in the usual time, or soon while there is doubt. One that is under way stays."""
    state = health.state
    if isinstance(state, Up):
        pause = trunk.check_s
    elif isinstance(state, Down) and not state.answers:
        pause = min(trunk.suspect_check_s * 2 ** min(state.failures - trunk.down_after, 8), DOWN_CHECK_S_MAX)
        pause = max(trunk.suspect_check_s, pause)
    else:
        pause = trunk.suspect_check_s
    return replace(health, check_at=now + pause)
