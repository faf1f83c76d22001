"""What the parties ask while it still rings: PRACK (RFC 3262), and changes of the session by UPDATE (RFC 3311).

A change is carried to the other party only where its own offer and answer are complete already: an answer has come to
it, or from it, in a provisional response that was acknowledged. Else the party is told to come again.
"""

from __future__ import annotations

from mediaha.nets import crossing, relay, reliable
from mediaha.nets.compose import sdp_of
from mediaha.nets.headers import warning_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party, Step
from mediaha.sip.message import Request


def pracked(turn: Turn, party: Party, tx: int, request: Request) -> None:
    """The caller has acknowledged a provisional response of ours, with a new offer perhaps."""
    if party is not Party.CALLER or not reliable.acknowledged(turn, request):
        turn.reply(tx, 481)
        return
    running = turn.call.relay
    if not request.body:
        turn.reply(tx, 200)
    elif sdp_of(request) and running is None and _may_be_changed(turn, Party.CALLEE):
        crossing.begin(turn, party, tx, request)
    else:
        turn.reply(tx, 488, headers=(warning_of("no new offer can be carried to the callee yet"),))
    # After the answer to the PRACK: many a caller takes nothing else before it.
    reliable.go_on(turn)
    if running is not None and running.step is Step.HELD:
        relay.finish(turn)


def change(turn: Turn, party: Party, tx: int, request: Request) -> None:
    """An INVITE or UPDATE with an offer, before the call is answered."""
    may = request.method == "UPDATE" and turn.agreed(party) and _may_be_changed(turn, party.other)
    if may:
        crossing.begin(turn, party, tx, request)
    else:
        # An offer before the last one is answered here or there (RFC 3311 section 5.2, RFC 3261 section 14.2).
        turn.reply(tx, 500, headers=(("Retry-After", str(int(turn.chance("early") * 10))),))


def _may_be_changed(turn: Turn, party: Party) -> bool:
    return turn.agreed(party) and turn.leg(party).takes_update
