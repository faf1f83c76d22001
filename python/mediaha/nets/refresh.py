"""A call whose parties have vanished ends by itself: each leg's session is refreshed, or it expires (RFC 4028).

    refresh_at: UPDATE without SDP, re-INVITE where the party takes no UPDATE, OPTIONS where it knows no session timer
                ─▶ 2xx: the timer begins anew
                ─▶ 422: again with the interval it wants
                ─▶ no response, 408, 481: the call ends
                ─▶ anything else: it is there; once more before the session is over
    until:      nobody has refreshed: the call ends

A party's own refresh comes in by ``incall.py``; every 2xx to an INVITE or UPDATE begins the timer anew.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets.call import Answered, Ending, Idle
from mediaha.nets.ending import end
from mediaha.nets.expiry import Expiry
from mediaha.nets.headers import seconds_of
from mediaha.nets.reanchor import accepted
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Open, Party, Purpose
from mediaha.sip.message import Request, Response

BUSY_S = 2.0
"""How long a re-INVITE that would refresh waits for another INVITE on the leg, which may do it as well."""
RETRIES = 20
"""A refresh that was put off is tried again after this part of the interval."""


def look(turn: Turn, party: Party) -> None:
    """Whether the party's session is over, or due for a refresh."""
    expiry = turn.leg(party).expiry
    if expiry is None or turn.leg(party).away or not isinstance(turn.call.phase, Answered):
        return
    if expiry.until is not None and expiry.until <= turn.now:
        end(turn, 408, f"the session with the {party} has expired", text="Session expired")
    elif expiry.refresh_at is not None and expiry.refresh_at <= turn.now:
        _refresh(turn, party, expiry)


def responded(turn: Turn, item: Open, request: Request, response: Response) -> None:
    """The party's final response to our refresh."""
    party, status = item.party, response.status
    turn.close(item.ref)
    if request.method == "INVITE" and status < 300:
        accepted(turn, item, request, response)
        return
    turn.settled(party, item.ref)
    if isinstance(turn.call.phase, Ending):
        return
    if status in {408, 481} or (status == 487 and item.cancelled):
        end(turn, status, f"the {party} answered {status}", gone=(party,) if status == 481 else ())
    elif request.method == "OPTIONS":
        _heard(turn, party)
    elif status < 300:
        turn.refresh(party, response)
    elif status == 422 and turn.raised(party, request, response):
        _again(turn, party, 0.0)
    elif request.method == "UPDATE" and status in {405, 420, 501}:
        turn.set_leg(party, takes_update=False)
        _again(turn, party, 0.0)
    else:
        turn.note("refresh put off", party=str(party), status=status)
        _again(turn, party, seconds_of(response.headers.get("Retry-After")))


def unanswered(turn: Turn, item: Open, *, unreachable: bool) -> None:
    """The party has not responded at all (RFC 4028 section 10, RFC 3261 section 12.2.1.2)."""
    turn.close(item.ref)
    turn.settled(item.party, item.ref)
    why = "cannot be reached" if unreachable else "does not respond"
    end(turn, 408, f"the {item.party} {why}")


def _refresh(turn: Turn, party: Party, expiry: Expiry) -> None:
    leg = turn.leg(party)
    if not expiry.agreed:
        # Whatever is answered but 408 and 481 says that there is still somebody in the dialog (RFC 3261 section 11.2).
        turn.send(party, "OPTIONS", Purpose.REFRESH, headers=(("Accept", "application/sdp"),))
    elif leg.takes_update:
        turn.send(party, "UPDATE", Purpose.REFRESH, headers=turn.session_fields(party))
    elif leg.told and isinstance(leg.exchange, Idle) and turn.call.relay is None and not turn.call.is_waiting(party):
        turn.reinvite(party, leg.told, Purpose.REFRESH)
    else:
        _again(turn, party, BUSY_S)
        return
    turn.set_leg(party, expiry=replace(expiry, refresh_at=None))


def _heard(turn: Turn, party: Party) -> None:
    """A party without a session timer is still there."""
    expiry = turn.leg(party).expiry
    if expiry is not None:
        turn.set_leg(party, expiry=replace(expiry, refresh_at=turn.now + expiry.interval / 2))


def _again(turn: Turn, party: Party, pause: float | None) -> None:
    """The refresh is tried again after so many seconds, or else a while later; the end of the session stays."""
    expiry = turn.leg(party).expiry
    if expiry is not None:
        pause = expiry.interval / RETRIES if pause is None else pause
        turn.set_leg(party, expiry=replace(expiry, refresh_at=turn.now + pause))
