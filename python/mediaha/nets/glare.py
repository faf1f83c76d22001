"""A party does not take our re-INVITE now: we come again after a while (RFC 3261 section 14.1)."""

from __future__ import annotations

from mediaha.nets.call import Paused
from mediaha.nets.ending import end
from mediaha.nets.headers import seconds_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party
from mediaha.sip.message import Response


def is_put_off(response: Response) -> bool:
    """Whether the party would take the same request later."""
    return response.status in {491, 500} or (response.status == 503 and "Retry-After" in response.headers)


def put_off(turn: Turn, party: Party, response: Response) -> None:
    """Pause; what the party was told is pending again. Too often in a row: the call ends."""
    leg, limits = turn.leg(party), turn.rules.limits
    status, retry_after = response.status, response.headers.get("Retry-After")
    # A 500 may only say that our requests have overtaken one another (section 12.2.2), or that something is broken.
    patience = limits.glare_max if status == 491 or retry_after else limits.failures_max
    if leg.glares >= patience:
        end(turn, status, f"the {party} has put off the moved media {leg.glares} times")
        return
    asked = seconds_of(retry_after) if status != 491 else None
    # We own the Call-ID of the callee's leg: 2.1 to 4 s; the caller owns its own: 0 to 2 s, in units of 10 ms.
    low, high = (2.1, 4.0) if party is Party.CALLEE else (0.0, 2.0)
    pause = asked if asked is not None else round(low + turn.chance("glare") * (high - low), 2)
    turn.note("put off", party=str(party), status=status, pause_s=pause)
    turn.set_leg(party, exchange=Paused(turn.now + pause), glares=leg.glares + 1, pending=leg.pending or leg.told)
