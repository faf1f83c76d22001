"""A party's request inside its dialog: checked (RFC 3261 section 12.2.2), then given to whoever decides about it."""

from __future__ import annotations

from mediaha.nets import crossing, early, passing, transfer
from mediaha.nets.call import Answered, Ending, Idle, Leg, Over, Ringing
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import bye_received
from mediaha.nets.events import Received
from mediaha.nets.expiry import is_too_small
from mediaha.nets.forks import of
from mediaha.nets.headers import ABILITIES, ACCEPT
from mediaha.nets.turn import Turn
from mediaha.nets.underway import Party
from mediaha.sip.dialog import Dialog, OutOfOrder
from mediaha.sip.errors import Malformed
from mediaha.sip.message import Request
from mediaha.sip.target import Target


def received(turn: Turn, event: Received) -> None:
    """A request other than ACK and CANCEL, whose method and extensions NeTS knows."""
    party, tx, request = event.party, event.tx, event.request
    leg = turn.leg(party)
    dialog = _dialog_of(turn, party, request)
    if dialog is None:
        turn.reply(tx, 481)
        return
    try:
        turn.keep(party, dialog.received(request))
    except OutOfOrder:
        turn.reply(tx, 500, "CSeq Out Of Order")
        return
    except Malformed as fault:
        turn.reply(tx, 400, str(fault))
        return
    _heard_on(turn, party, event.flow)
    if request.method == "BYE":
        turn.reply(tx, 200)
        reason = tuple(("Reason", value) for value in request.headers.all("Reason"))
        bye_received(turn, party, reason)
    elif isinstance(turn.call.phase, Ending | Over):
        turn.reply(tx, 481)
    elif request.method == "PRACK":
        early.pracked(turn, party, tx, request)
    elif request.method in {"INVITE", "UPDATE"}:
        _session_change(turn, party, tx, request, leg)
    elif request.method == "REFER":
        transfer.begin(turn, party, tx, request)
    elif request.method in passing.PASSED:
        passing.begin(turn, party, tx, request)
    else:  # OPTIONS: the dialog is there, that is what was asked
        turn.reply(tx, 200, headers=(*ABILITIES, ACCEPT))


def _heard_on(turn: Turn, party: Party, flow: Target | None) -> None:
    """A party that has opened another connection is reached by that one from now on."""
    leg = turn.leg(party)
    if flow is not None and flow.connection and flow != (leg.flow or leg.met):
        turn.set_leg(party, flow=flow)


def _dialog_of(turn: Turn, party: Party, request: Request) -> Dialog | None:
    """The dialog, early or confirmed, that the request belongs to."""
    dialog, phase = turn.leg(party).dialog, turn.call.phase
    if dialog is None and isinstance(phase, Ringing):
        fork = of(phase.forks, request.from_tag)
        dialog = None if fork is None else fork.dialog
    return dialog if dialog is not None and dialog.matches(request) else None


def _session_change(turn: Turn, party: Party, tx: int, request: Request, before: Leg) -> None:
    """An INVITE or UPDATE. ``before``: the leg as it was when the request came."""
    turn.learn(party, request)
    minimum = turn.rules.limits.session_s_min
    if request.body and not sdp_of(request):
        turn.reply(tx, 415, headers=(ACCEPT,))
    elif is_too_small(turn.leg(party).asked, minimum):
        turn.reply(tx, 422, headers=(("Min-SE", str(minimum)),))
    elif request.method == "UPDATE" and not request.body:
        # Only the Contact is new, or the peer wants to know whether we are there (RFC 3311, 4028).
        turn.reply_sdp(party, tx, 200)
    elif not isinstance(turn.call.phase, Answered):
        early.change(turn, party, tx, request)
    elif _says_nothing_new(turn, party, request, before):
        turn.reply_sdp(party, tx, 200, sdp=before.told)
        if request.method == "INVITE":
            turn.await_ack(party, tx)
    else:
        crossing.begin(turn, party, tx, request)


def _says_nothing_new(turn: Turn, party: Party, request: Request, before: Leg) -> bool:
    """Whether a party only refreshes its session: the same SDP to the letter, from the same place (RFC 4028).

    That is between the party and us; the other party has a timer of its own. From another place it goes on to the
    media server, which has to learn where the party's media comes from now.
    """
    leg = turn.leg(party)
    same = sdp_of(request) == before.sdp and bool(before.told) and not before.pending
    at_rest = isinstance(before.exchange, Idle) and turn.call.relay is None
    moved = leg.dialog is None or before.dialog is None or leg.dialog.remote_target != before.dialog.remote_target
    return same and at_rest and not moved
