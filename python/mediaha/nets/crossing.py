"""A party changes the session while another INVITE is under way: it waits for that, and gets 491 only in the end.

    our re-INVITE is with the party ─▶ it puts ours off (491), as it has to: then its own change goes on, and its
                                       response brings the party what ours would have
                                    ─▶ it takes ours: its own comes next
    the other party has an INVITE, of ours or of its own ─▶ once that has its response, this one comes
    ``crossing_s_max`` has passed   ─▶ 491 (RFC 3261 section 14.2)

Were both refused at once, each side would have to come again after a pause of seconds. Many a phone does not: it
would be left on hold, though it has resumed in the very moment in which its media server died. As two sides that wait
for one another would wait for ever, there is a limit.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets import relay
from mediaha.nets.call import Answered, Idle, Paused
from mediaha.nets.compose import sdp_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Change, Party
from mediaha.sip.message import Request


def begin(turn: Turn, party: Party, tx: int, request: Request) -> None:
    """A party's INVITE, UPDATE or PRACK that would change the session."""
    call, tag = turn.call, turn.leg(party).tag
    running = call.relay
    if call.is_waiting(party) or (running is not None and running.by is party and not running.replied):
        # Its last one has no final response yet (section 14.2).
        turn.reply(tx, 500, tag=tag, headers=(("Retry-After", str(int(turn.chance("overlap") * 10))),))
        return
    limit = turn.now + turn.rules.limits.crossing_s_max
    change = Change(party, tx, request.method, sdp_of(request), limit)
    if _has_way(turn, party):
        relay.begin(turn, change)
    elif isinstance(call.phase, Answered) and not turn.leg(party.other).away:
        turn.note("waits for another INVITE", party=str(party), method=request.method)
        turn.call = replace(turn.call, waiting=(*turn.call.waiting, change))
    else:
        _refuse(turn, change)


def go_on(turn: Turn) -> None:
    """Whoever has waited longest comes first, if nothing is in the way any more."""
    for change in turn.call.waiting:
        if _has_way(turn, change.party):
            _forget(turn, change)
            relay.begin(turn, change)


def look(turn: Turn) -> None:
    """Whether somebody has waited for too long."""
    for change in turn.call.waiting:
        if change.until <= turn.now:
            _forget(turn, change)
            _refuse(turn, change)


def cancelled(turn: Turn, tx: int) -> None:
    """A party takes back a change that waits."""
    for change in turn.call.waiting:
        if change.tx == tx:
            _forget(turn, change)
            turn.reply(tx, 487, tag=turn.leg(change.party).tag)


def _has_way(turn: Turn, party: Party) -> bool:
    mine, other = turn.leg(party), turn.leg(party.other)
    # A pause is over when the party comes by itself: that is what it was for.
    idle = isinstance(mine.exchange, Idle | Paused) and isinstance(other.exchange, Idle)
    return idle and turn.call.relay is None and not other.away


def _refuse(turn: Turn, change: Change) -> None:
    turn.note("glare", party=str(change.party), method=change.method)
    turn.reply(change.tx, 491, tag=turn.leg(change.party).tag)


def _forget(turn: Turn, change: Change) -> None:
    turn.call = replace(turn.call, waiting=tuple(one for one in turn.call.waiting if one is not change))
