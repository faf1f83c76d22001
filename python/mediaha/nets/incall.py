"""A party's request inside its dialog: checked (RFC 3261 section 12.2.2), then given to whoever decides about it."""

from __future__ import annotations

from mediaha.nets import passing, relay
from mediaha.nets.call import Answered, Ending, Over, Party
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import bye_received
from mediaha.nets.events import Received
from mediaha.nets.headers import ALLOW
from mediaha.nets.turn import Turn
from mediaha.sip.dialog import OutOfOrder
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request


def received(turn: Turn, event: Received) -> None:
    """A request other than ACK and CANCEL, whose method and extensions NeTS knows."""
    party, tx, request = event.party, event.tx, event.request
    leg = turn.leg(party)
    if leg.dialog is None or not leg.dialog.matches(request):
        turn.reply(tx, 481)
        return
    try:
        turn.set_leg(party, dialog=leg.dialog.received(request))
    except OutOfOrder:
        turn.reply(tx, 500, "CSeq Out Of Order")
        return
    except Malformed as fault:
        turn.reply(tx, 400, str(fault))
        return
    if request.method == "BYE":
        turn.reply(tx, 200)
        reason = tuple(("Reason", value) for value in request.headers.all("Reason"))
        bye_received(turn, party, reason)
    elif isinstance(turn.call.phase, Ending | Over):
        turn.reply(tx, 481)
    elif request.method in {"INVITE", "UPDATE"}:
        _session_change(turn, party, tx, request)
    elif request.method in passing.PASSED:
        passing.begin(turn, party, tx, request)
    else:  # OPTIONS: the dialog is there, that is what was asked
        turn.reply(tx, 200, headers=(ALLOW, ("Accept", "application/sdp")))


def _session_change(turn: Turn, party: Party, tx: int, request: Request) -> None:
    if request.body and not sdp_of(request):
        turn.reply(tx, 415, headers=(("Accept", "application/sdp"),))
    elif request.method == "UPDATE" and not request.body:
        # Only the Contact is new, or the peer wants to know whether we are there (RFC 3311, 4028).
        turn.reply_sdp(party, tx, 200)
    elif not isinstance(turn.call.phase, Answered):
        # The offer of the INVITE that makes the call has no answer yet (RFC 3311 section 5.2, RFC 3261 section 14.2).
        turn.reply(tx, 500, headers=(("Retry-After", str(int(turn.chance("early") * 10))),))
    else:
        relay.begin(turn, party, tx, request)
