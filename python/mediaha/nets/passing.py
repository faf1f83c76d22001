"""INFO and MESSAGE inside a call: they go to the other party as they are, and its response comes back."""

from __future__ import annotations

from mediaha.nets.call import Answered
from mediaha.nets.ending import end
from mediaha.nets.events import Reply
from mediaha.nets.headers import OF_BODIES, OF_REFUSALS, passed_on
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Open, Party, Purpose
from mediaha.sip.message import Request, Response

PASSED = frozenset({"INFO", "MESSAGE"})


def begin(turn: Turn, party: Party, tx: int, request: Request) -> None:
    """A party sends something to the other one."""
    other = party.other
    under_way = sum(item.purpose is Purpose.PASSING for item in turn.call.open)
    there = turn.leg(other).dialog is not None and not turn.leg(other).away
    ready = isinstance(turn.call.phase, Answered) and there
    if not ready or turn.call.waiting_tx is not None or under_way >= turn.rules.limits.passing_max:
        turn.reply(tx, 500, tag=turn.leg(party).tag, headers=(("Retry-After", "1"),))
        return
    turn.note("passed on", method=request.method, by=str(party))
    headers = passed_on(request, OF_BODIES)
    turn.send(other, request.method, Purpose.PASSING, headers=headers, body=request.body, back=tx)


def responded(turn: Turn, item: Open, response: Response) -> None:
    """The other party's response goes back."""
    if response.status < 200:
        return
    turn.close(item.ref)
    status = {401: 403, 407: 403, 503: 500}.get(response.status, response.status)
    more = OF_BODIES if status < 300 else OF_BODIES | (OF_REFUSALS - {"contact"})
    headers = passed_on(response, more)
    tag = turn.leg(item.party.other).tag
    turn.effects.append(Reply(item.back, status, None, tag, headers, response.body))
    if status == 481:
        # The party has no such dialog any more (RFC 3261 section 12.2.1.2).
        end(turn, 481, f"the {item.party} answered 481", gone=(item.party,))


def unanswered(turn: Turn, item: Open) -> None:
    """Nobody responded; whether the call can go on will show elsewhere."""
    turn.close(item.ref)
    turn.reply(item.back, 408, tag=turn.leg(item.party.other).tag)
