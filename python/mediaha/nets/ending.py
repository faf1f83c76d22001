"""Ending a call: whoever still waits gets a final response, whoever is connected a BYE, and the media is dropped."""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets import subscription
from mediaha.nets.call import (
    IDLE,
    Answered,
    AwaitingAck,
    Ending,
    Idle,
    Nowhere,
    Offering,
    Over,
    Phase,
    Ringing,
    Trying,
)
from mediaha.nets.events import DropMedia, GiveBack, HandOver, Keep, Orphan, SendCancel, TakeBack
from mediaha.nets.headers import Pairs, reason_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import NOBODY, Open, Party, Purpose, Step
from mediaha.sip.message import Request, Response

LEFT_UNANSWERED = frozenset({Purpose.MEDIA, Purpose.REFRESH, Purpose.HEEDLESS})
"""Requests inside a dialog that concern nobody any more once it is over."""


def end(
    turn: Turn,
    status: int,
    why: str,
    *,
    text: str | None = None,
    gone: tuple[Party, ...] = (),
    headers: Pairs = (),
    reason: Pairs | None = None,
) -> None:
    """End the call. ``status`` is for a caller who still waits, and the cause in the Reason of BYE and CANCEL.

    ``gone`` needs no BYE, because it has sent one or knows no such call. ``reason`` takes the place of that Reason.
    """
    call, phase = turn.call, turn.call.phase
    if isinstance(phase, Ending | Over):
        return
    cause = reason if reason is not None else (reason_of(status, text or why),)
    waiting = call.waiting_tx
    transfer = call.transfer
    # Once the call was answered nobody gets the status; beside a usual hang-up it would read like a failure.
    if waiting is None:
        turn.note("ended", why=why)
    else:
        turn.note("ended", why=why, status=status)
    if isinstance(phase, Trying | Ringing):
        turn.disregard(Party.CALLEE)
        for branch in phase.branches:
            if turn.find(branch.ref) is not None:
                give_up(turn, branch.ref, cause)
    gone = (*gone, *_settle_loans(turn, status, gone))
    _answer_waiting(turn, status, text, headers)
    turn.relay(None)
    turn.become(Ending(_ended_by(turn)))
    if transfer is not None and transfer.pending and not transfer.left:
        turn.effects.append(TakeBack(transfer.call))
        if transfer.by in gone:
            turn.transfer(None)
        else:
            subscription.progress(turn, 487, "Request Terminated")
    for party in Party:
        if party not in gone and _is_connected(turn, party, phase, waiting):
            _take_leave(turn, party, cause)
        elif not isinstance(turn.leg(party).exchange, AwaitingAck) or party in gone or turn.leg(party).dialog is None:
            turn.exchange(party, IDLE)
    turn.call = replace(turn.call, asks=(), place=Nowhere())
    turn.effects.append(DropMedia())


def _settle_loans(turn: Turn, status: int, gone: tuple[Party, ...]) -> tuple[Party, ...]:
    """Parties that this call has lent to another one, or was lent by one: those need no BYE from here."""
    call = turn.call
    away = tuple(party for party in Party if call.leg(party).away)
    turn.effects += (Orphan(call.leg(party).away) for party in away)
    if not call.lender:
        return away
    turn.call = replace(call, lender="")
    if Party.CALLEE in gone or status in {408, 481}:
        turn.effects.append(Keep(call.lender))
        return away
    relay, leg = call.relay, call.callee
    unasked = relay is None or relay.step in {Step.PLACING, Step.FORWARDING}
    renew = not unasked or not isinstance(leg.exchange, Idle)
    turn.effects.append(GiveBack(call.lender, leg, renew))
    for item in call.open:
        if item.party is Party.CALLEE and item.purpose is Purpose.MEDIA and not item.cancelled:
            turn.change(item.ref, cancelled=True, until=turn.now + turn.rules.limits.request_s_max)
            turn.effects.append(SendCancel(item.ref))
    return (*away, Party.CALLEE)


def _ended_by(turn: Turn) -> float:
    """When the call is over whatever happens. A referrer that left is told until then what came of it."""
    until = turn.now + 2 * turn.rules.limits.request_s_max
    transfer = turn.call.transfer
    return max(until, transfer.until) if transfer is not None and transfer.left and transfer.event else until


def _is_connected(turn: Turn, party: Party, phase: Phase, waiting: int | None) -> bool:
    """Whether the party has a dialog with us that a BYE must end."""
    if turn.leg(party).dialog is None:
        return False
    if party is Party.CALLEE:
        return isinstance(phase, Answered)
    # One on whose behalf the call is made has been connected with somebody else before.
    return waiting == NOBODY or (isinstance(phase, Answered) and waiting is None)


def _take_leave(turn: Turn, party: Party, cause: Pairs) -> None:
    """BYE; to a referrer when it has been told what came of its transfer: afterwards it would know no such dialog."""
    transfer = turn.call.transfer
    if transfer is not None and transfer.by is party and not transfer.settled:
        turn.transfer(replace(transfer, farewell=cause))
    else:
        say_bye(turn, party, cause)


def hand_over(turn: Turn, party: Party) -> None:
    """The party of a transfer goes on in the call that was made for it."""
    transfer = turn.call.transfer
    assert transfer is not None
    turn.transfer(replace(transfer, left=True))
    turn.effects.append(HandOver(party, transfer.call, turn.leg(party)))


def give_up(turn: Turn, ref: int, reason: Pairs = ()) -> None:
    """Cancel an INVITE; if it is answered all the same, the answer is acknowledged and ended."""
    turn.change(ref, purpose=Purpose.GIVEN_UP, cancelled=True, until=turn.now + 2 * turn.rules.limits.request_s_max)
    turn.effects.append(SendCancel(ref, reason))


def say_bye(turn: Turn, party: Party, reason: Pairs) -> None:
    """BYE, or as soon as it may be sent: not before the ACK of our 2xx (RFC 3261 section 15)."""
    if isinstance(turn.leg(party).exchange, AwaitingAck):
        return
    turn.exchange(party, IDLE)
    turn.send(party, "BYE", Purpose.BYE, headers=reason)


def acknowledged(turn: Turn, party: Party) -> None:
    """The ACK that a BYE has waited for is here, or will never come."""
    if isinstance(turn.leg(party).exchange, AwaitingAck):
        turn.exchange(party, IDLE)
        say_bye(turn, party, (reason_of(480, "The call has ended"),))


def bye_received(turn: Turn, party: Party, reason: Pairs) -> None:
    """A party hangs up; the other one is told with the same Reason."""
    transfer = turn.call.transfer
    if isinstance(turn.call.phase, Ending):
        turn.exchange(party, IDLE)
        has_left(turn, party)
        if transfer is not None and transfer.by is party:
            turn.transfer(replace(transfer, farewell=None))
        return
    turn.note("hung up", by=str(party))
    if transfer is not None and transfer.pending and transfer.by is party:
        hand_over(turn, party.other)
        end(turn, 200, "the referrer has left", gone=(party, party.other), reason=reason)
        return
    # While the caller has no 2xx yet, its BYE takes the INVITE back (RFC 3261 section 15.1.2).
    status = 487 if party is Party.CALLER else 480
    end(turn, status, f"the {party} hung up", gone=(party,), reason=reason)
    has_left(turn, party)


def has_left(turn: Turn, party: Party) -> None:
    """Its dialog is over, by its BYE or by its response to ours: what it was asked there is waited for no more.

    It should still refuse an INVITE that has crossed the BYE (section 15.1.2), but many a phone does not. So that is
    taken back, or it would be under way for as long as the phone says that it rings. If it takes the INVITE after all,
    that is acknowledged and ended as any late answer.
    """
    for item in turn.call.open:
        if item.party is party and item.purpose in LEFT_UNANSWERED:
            turn.close(item.ref)
            if not item.cancelled:
                turn.effects.append(SendCancel(item.ref))


def stray_response(turn: Turn, item: Open | None, ref: int, request: Request, response: Response) -> None:
    """A response to something that must not make a call any more, or to an INVITE that another branch has answered."""
    if response.status < 200:
        return
    if item is not None:
        turn.close(ref)
    if response.status < 300 and request.method == "INVITE":
        turn.note("ended a late answer", status=response.status)
        turn.effects.append(turn.stray(item, ref, request, response))


def finish(turn: Turn) -> None:
    """A call that is ending is over once nothing is outstanding."""
    transfer = turn.call.transfer
    if transfer is not None and transfer.settled and not transfer.pending:
        turn.transfer(None)
        if transfer.farewell is not None:
            say_bye(turn, transfer.by, transfer.farewell)
    call = turn.call
    if not isinstance(call.phase, Ending) or (call.transfer is not None and not call.transfer.settled):
        return
    waiting = any(isinstance(leg.exchange, AwaitingAck) for leg in (call.caller, call.callee))
    if not call.open and not waiting:
        turn.become(Over())


def abandon(turn: Turn) -> None:
    """The time for ending is up: whoever has not responded by now never will."""
    turn.note("forgotten", outstanding=len(turn.call.open))
    for item in turn.call.open:
        if item.purpose is Purpose.PASSING:
            turn.reply(item.back, 408, tag=turn.leg(item.party.other).tag)
    turn.call = replace(turn.call, open=(), transfer=None)
    for party in Party:
        turn.exchange(party, IDLE)


def _answer_waiting(turn: Turn, status: int, text: str | None, headers: Pairs) -> None:
    """Final responses to the requests that the parties wait for, and the ACK that one of them waits for."""
    call, relay = turn.call, turn.call.relay
    waiting = call.waiting_tx
    if waiting is not None:
        turn.reply(waiting, status, text, tag=call.caller.tag, headers=headers)
    for change in call.waiting:
        turn.reply(change.tx, 487, tag=turn.leg(change.party).tag)
    turn.call = replace(turn.call, waiting=())
    if relay is None:
        return
    if not relay.first and not relay.replied:
        turn.reply(relay.tx, 487, tag=turn.leg(relay.by).tag)
    if relay.ack_cseq:
        turn.ack(relay.by.other, relay.ref, relay.ack_cseq)
        if isinstance(turn.leg(relay.by.other).exchange, Offering):
            turn.exchange(relay.by.other, IDLE)
