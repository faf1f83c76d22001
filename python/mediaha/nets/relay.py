"""Carrying a party's INVITE or UPDATE to the other party, and the answer back, with the media in between.

    offer in the request:   pool offer ─▶ our INVITE ─▶ 200, ACK ─▶ pool answer ─▶ 200
    while it still rings:   pool offer ─▶ our UPDATE ─▶ 200 ─▶ pool answer ─▶ 200
    no offer in it:         our INVITE ─▶ 200 with an offer ─▶ pool offer ─▶ 200 ─▶ ACK with the answer
                            ─▶ pool answer ─▶ our ACK with the answer

A call has one relay at most: see ``crossing.py`` for what comes in between. When the media moves half-way, the relay
goes on: the pool takes the rest of it to the new server, and whoever was told of the old one is told again afterwards.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored, Fault, MediaRefused
from mediaha.nets import counteroffer, loan, questions
from mediaha.nets.call import IDLE, AwaitingAck, Ringing
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import end
from mediaha.nets.family import family_of, other_family
from mediaha.nets.glare import is_put_off, put_off
from mediaha.nets.headers import OF_REFUSALS, Pairs, passed_on, warning_of
from mediaha.nets.reliable import holds_back
from mediaha.nets.turn import Turn
from mediaha.nets.underway import NOBODY, About, Change, Open, Party, Relay, Step
from mediaha.sip.message import Request, Response


def begin(turn: Turn, change: Change) -> None:
    """A party changes the session: hold, resume, another address, another codec."""
    party, sdp = change.party, change.offer
    turn.exchange(party, IDLE)
    turn.note("session change", by=str(party), method=change.method, offer=bool(sdp))
    relay = Relay(
        by=party, tx=change.tx, method=change.method, step=Step.PLACING if sdp else Step.FORWARDING, delayed=not sdp,
        offer=sdp, before=turn.leg(party.other).told,
    )  # fmt: skip
    turn.relay(relay)
    if sdp:
        questions.ask(turn, About.OFFER, party, sdp)
    else:
        turn.relay(replace(relay, ref=turn.reinvite(party.other, b"")))


def media_ready(turn: Turn, about: About, anchored: Anchored) -> None:
    """The pool has taken the offer or the answer that the relay waited for."""
    relay = turn.call.relay
    if relay is None:
        return
    if about is About.OFFER and relay.step is Step.PLACING:
        if relay.first:
            questions.placed(turn, anchored)
        if relay.delayed:
            turn.relay(replace(relay, step=Step.AWAITING))
            turn.reply_sdp(relay.by, relay.tx, 200, sdp=questions.newest(turn, relay.by, anchored))
            turn.await_ack(relay.by, relay.tx)
        elif relay.ack_cseq:
            counteroffer.media_ready(turn, relay, anchored)
        elif relay.first:
            # The callee was in another call; it is told as soon as it may be.
            turn.set_leg(relay.by.other, pending=questions.newest(turn, relay.by.other, anchored))
            turn.relay(replace(relay, step=Step.FORWARDING))
        else:
            ref = turn.tell(relay.by.other, questions.newest(turn, relay.by.other, anchored))
            turn.relay(replace(relay, step=Step.FORWARDING, ref=ref))
    elif about is About.ANSWER and relay.step is Step.ANSWERING:
        _complete(turn, relay, anchored)


def media_failed(turn: Turn, refused: MediaRefused) -> None:
    """The pool has not taken what the relay carries."""
    turn.note("no media", refused.story, fault=str(refused.fault), reason=refused.reason)
    if turn.call.relay is None:
        return
    # What the pool has refused it has forgotten.
    known = turn.call.relay.step is not Step.PLACING
    if refused.fault in {Fault.CALLER, Fault.FAMILY}:
        status, headers = 488, (warning_of(refused.reason),)
    else:
        status, headers = 503, (("Retry-After", str(turn.rules.limits.retry_after_s)),)
    fail(turn, status, refused.reason, headers, known=known)


def responded(turn: Turn, item: Open, request: Request, response: Response) -> None:
    """The other party's final response to our INVITE or UPDATE."""
    relay = turn.call.relay
    assert relay is not None
    status = response.status
    turn.close(item.ref)
    if status == 422 and request.method == "INVITE" and turn.raised(item.party, request, response):
        turn.relay(replace(relay, ref=turn.reinvite(item.party, request.body)))
        return
    if relay.first and not relay.delayed and is_put_off(response):
        turn.relay(replace(relay, ref=0))
        put_off(turn, item.party, response)
        return
    if status >= 300:
        turn.settled(item.party, item.ref)
        _refused(turn, relay, response)
        return
    turn.refresh(item.party, response)
    sdp = sdp_of(response)
    cseq = request.cseq.number
    if relay.delayed and sdp:
        answer_arrived(turn, item.ref, cseq, sdp)
        return
    if request.method == "INVITE":
        turn.ack(item.party, item.ref, cseq)
    turn.settled(item.party, item.ref)
    if not sdp:
        fail(turn, 502, "the answer has no SDP")
    else:
        turn.relay(replace(relay, step=Step.ANSWERING, answer=sdp))
        questions.ask(turn, About.ANSWER, item.party, sdp)


def answer_arrived(turn: Turn, ref: int, cseq: int, offer: bytes) -> None:
    """The other party has answered an INVITE without an offer by its own; our ACK waits for the answer to it."""
    relay = turn.call.relay
    assert relay is not None
    assert relay.delayed
    if relay.first:
        turn.call = replace(turn.call, offerer=relay.by.other)
    turn.relay(replace(relay, step=Step.PLACING, offer=offer, ref=ref, ack_cseq=cseq))
    questions.ask(turn, About.OFFER, relay.by.other, offer)


def acked(turn: Turn, party: Party, tx: int, sdp: bytes) -> None:
    """A party has acknowledged our 2xx, with the answer when it was us who offered."""
    exchange = turn.leg(party).exchange
    if not isinstance(exchange, AwaitingAck) or exchange.tx != tx:
        return
    turn.acknowledged(party)
    relay = turn.call.relay
    if relay is None or relay.by is not party or relay.step is not Step.AWAITING:
        return
    if sdp:
        turn.relay(replace(relay, step=Step.ANSWERING, answer=sdp))
        questions.ask(turn, About.ANSWER, party, sdp)
    else:
        fail(turn, 488, "the ACK has no answer")


def cancelled(turn: Turn) -> None:
    """The party takes its change back; the other party, who may know of it, is told what holds."""
    fail(turn, 487, "cancelled by the party")


def fail(
    turn: Turn, status: int, why: str, headers: Pairs = (), *, unchanged: bool = False, known: bool = True
) -> None:
    """Give the relay up.

    ``unchanged``: the other party has not taken the offer, and keeps what it had. ``known``: the pool may have taken
    it, and would go by it when the media moves.
    """
    relay = turn.call.relay
    assert relay is not None
    if relay.first:
        end(turn, status, why, headers=headers)
        return
    turn.note("change failed", why=why, status=status)
    turn.relay(None)
    questions.withdraw(turn, About.OFFER, About.ANSWER)
    other = relay.by.other
    if not relay.replied:
        turn.reply(relay.tx, status, tag=turn.leg(relay.by).tag, headers=headers)
    else:
        turn.set_leg(relay.by, pending=turn.leg(relay.by).pending or turn.leg(relay.by).told)
    # When the media has moved meanwhile, that is what it has to be told.
    before = turn.leg(other).pending or relay.before
    if relay.ack_cseq:
        turn.ack(other, relay.ref, relay.ack_cseq, before)
        turn.exchange(other, IDLE)
    elif unchanged:
        turn.set_leg(other, told=relay.before)
    elif relay.step is not Step.PLACING:
        turn.set_leg(other, pending=before)
    if relay.offer and known:
        # Until both have changed something, what the pool knows of the call is the caller's offer.
        at_first = isinstance(turn.call.phase, Ringing) and not turn.call.phase.renewed
        again = Party.CALLER if at_first else relay.offerer
        questions.ask(turn, About.RESTORE, again, turn.leg(again).sdp)


def _refused(turn: Turn, relay: Relay, response: Response) -> None:
    status = response.status
    if status in {408, 481}:
        # The other party has no such dialog (any more): RFC 3261 section 12.2.1.2.
        end(turn, status, f"the {relay.by.other} answered {status}", gone=(relay.by.other,) if status == 481 else ())
        return
    passed = {401: 403, 407: 403, 422: 500, 503: 500}.get(status, status)
    headers = passed_on(response, OF_REFUSALS - {"contact"})
    fail(turn, passed, f"the {relay.by.other} answered {status}", headers, unchanged=True)


def _complete(turn: Turn, relay: Relay, anchored: Anchored) -> None:
    """Both have spoken: what they said holds from now on."""
    if isinstance(turn.call.phase, Ringing):
        _renewed(turn, relay.answer if relay.by is Party.CALLER else relay.offer)
    turn.note("connected" if relay.first else "session changed", anchored.story, server=anchored.server)
    connect(turn, questions.newest(turn, relay.by.other if relay.delayed else relay.by, anchored))


def connect(turn: Turn, sdp: bytes) -> None:
    """Give who waits for it the answer, as the media server has it."""
    relay = turn.call.relay
    assert relay is not None
    by, other = relay.by, relay.by.other
    mine, theirs = (relay.answer, relay.offer) if relay.delayed else (relay.offer, relay.answer)
    turn.set_leg(by, sdp=mine)
    turn.set_leg(other, sdp=theirs)
    _heed_family(turn, relay.offerer.other)
    if relay.delayed:
        turn.relay(None)
        turn.ack(other, relay.ref, relay.ack_cseq, sdp)
        turn.exchange(other, IDLE)
        loan.repaid(turn)
        return
    turn.set_leg(by, pending=sdp)
    if relay.first and holds_back(turn):
        turn.relay(replace(relay, step=Step.HELD))
    else:
        finish(turn)


def _heed_family(turn: Turn, party: Party) -> None:
    """The party has answered, but not in the address family that it was offered: it is offered its own."""
    leg = turn.leg(party)
    if other_family(leg.sdp, leg.told):
        turn.note("other address family", party=str(party), family=str(family_of(leg.sdp)))
        questions.ask(turn, About.ADDRESS, party.other, turn.leg(party.other).sdp)


def finish(turn: Turn) -> None:
    """The 2xx to who began the change, or the call."""
    relay = turn.call.relay
    assert relay is not None
    by = relay.by
    sdp = turn.leg(by).pending
    early = turn.leg(by).told if relay.first else b""
    turn.relay(None)
    loan.repaid(turn)
    if relay.tx == NOBODY:
        _report(turn, by)
        return
    turn.reply_sdp(by, relay.tx, 200, sdp=sdp)
    if relay.method == "INVITE":
        turn.await_ack(by, relay.tx)
    if early and early != turn.leg(by).told:
        # A caller who had an answer while it rang may hold on to that one (section 13.2.1): it is told again.
        turn.set_leg(by, pending=sdp)


def _report(turn: Turn, by: Party) -> None:
    """Who waits is in another call. It is told by re-INVITE once it is here."""
    turn.reply(NOBODY, 200)
    if not turn.call.joined:
        turn.await_ack(by, NOBODY)


def _renewed(turn: Turn, answer: bytes) -> None:
    """The parties have changed the session while it rings; this is the callee's part of it."""
    phase = turn.call.phase
    assert isinstance(phase, Ringing)
    forks = tuple(replace(fork, sdp=answer) for fork in phase.forks)
    turn.become(replace(phase, renewed=True, early=answer, forks=forks))
