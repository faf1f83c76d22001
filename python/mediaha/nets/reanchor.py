"""The call outlives its media server: both parties are told where the media is now.

Moved ─▶ each leg has something pending ─▶ re-INVITE as soon as no other INVITE is outstanding on the leg
                                           (UPDATE while it rings, where offer and answer are complete)
      ─▶ 200: ACK, and the next one if the media has moved again meanwhile
      ─▶ 491: again after a pause (RFC 3261 section 14.1)
      ─▶ 422: again with the session interval it wants (RFC 4028)
      ─▶ 481, 408, any other refusal: the call is ended, with a Reason
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.model.media import Anchored, Moved
from mediaha.model.media import Stranded as StrandedNotice
from mediaha.nets import questions
from mediaha.nets.call import IDLE, Answered, Ending, Idle, Leg, Over, Ringing, Serving, Stranded
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import end
from mediaha.nets.family import family_of, other_family
from mediaha.nets.glare import is_put_off, put_off
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Ask, Open, Party, Step
from mediaha.sip.message import Request, Response
from mediaha.sip.sdp import same_places, without_origin


def moved(turn: Turn, notice: Moved) -> None:
    """The pool has created the call's media anew, on another server."""
    call = turn.call
    if isinstance(call.phase, Ending | Over):
        return
    turn.note("moved", notice.story, from_server=notice.from_server, server=notice.server)
    relay = call.relay
    turn.put(Serving(notice.server))
    offerer = call.offerer
    for party, sdp in ((offerer, notice.sdp_for_caller), (offerer.other, notice.sdp_for_callee)):
        # A caller who has been told nothing yet hears of it when the callee has answered.
        if sdp is not None and (party is Party.CALLEE or turn.leg(party).told or relay is not None):
            turn.set_leg(party, pending=sdp)


def stranded(turn: Turn, notice: StrandedNotice) -> None:
    """No media server is alive for the call: it is kept while the pool looks for one."""
    if isinstance(turn.call.phase, Ending | Over) or isinstance(turn.call.place, Stranded):
        return
    turn.note("stranded", server=notice.server, why=notice.why)
    turn.put(Stranded(notice.server, turn.now + turn.rules.limits.stranded_s_max))


def settle(turn: Turn) -> None:
    """Tell each party what it has not been told, if it may be told now."""
    call = turn.call
    if not (call.caller.pending or call.callee.pending) or not isinstance(call.phase, Answered | Ringing):
        return
    for party in Party:
        leg = call.leg(party)
        if leg.pending and isinstance(leg.exchange, Idle) and _may_be_told(turn, party):
            ref = turn.tell(party, leg.pending)
            relay = turn.call.relay
            if relay is not None and relay.step is Step.FORWARDING:
                turn.relay(replace(relay, ref=ref))


def _may_be_told(turn: Turn, party: Party) -> bool:
    relay = turn.call.relay
    if turn.leg(party).away or (party is Party.CALLER and not turn.call.joined):
        return False
    if turn.call.is_waiting(party):
        return False  # what it is about to get a response to will tell it
    if isinstance(turn.call.phase, Ringing) and not turn.connected(party):
        # By UPDATE, so that early media goes on too; else it is told when the call is answered.
        return relay is None and turn.agreed(party) and turn.leg(party).takes_update
    if relay is None:
        return True
    # While the answer that made the call is on its way to the caller, the callee has a dialog of its own already; and
    # one that had it before (see ``errand.py``) waits for its offer.
    return relay.first and not relay.delayed and party is Party.CALLEE and relay.step is not Step.PLACING


def responded(turn: Turn, item: Open, request: Request, response: Response) -> None:
    """A party's final response to a re-INVITE or UPDATE of ours that no relay waits for."""
    status, party = response.status, item.party
    turn.close(item.ref)
    if status < 300:
        accepted(turn, item, request, response)
    elif request.method == "UPDATE" and status not in {408, 481}:
        # It has been ringing then. There is time: the re-INVITE after the answer will do.
        turn.settled(party, item.ref)
        turn.set_leg(party, takes_update=False, pending=turn.leg(party).pending or request.body)
    elif isinstance(turn.call.phase, Ending):
        return
    elif status == 422 and turn.raised(party, request, response):
        turn.set_leg(party, exchange=IDLE, pending=turn.leg(party).pending or request.body)
    elif is_put_off(response):
        put_off(turn, party, response)
    elif status == 487 and item.cancelled:
        turn.settled(party, item.ref)
        # A change that was given up is followed by what holds; without that, the party was not told of its media.
        if not turn.leg(party).pending:
            end(turn, 408, f"the {party} does not answer")
    else:
        turn.settled(party, item.ref)
        turn.note("refused", party=str(party), status=status)
        gone = (party,) if status == 481 else ()
        end(turn, status, f"the {party} refused the moved media: {status} {response.reason}", gone=gone)


def accepted(turn: Turn, item: Open, request: Request, response: Response) -> None:
    """A party's 2xx to a re-INVITE of ours: it knows where its media is."""
    party = item.party
    ending = isinstance(turn.call.phase, Ending)
    turn.refresh(party, response)
    leg, sdp = turn.leg(party), sdp_of(response)
    # An INVITE without an offer, of a relay that was given up: what the party offers is answered with what holds.
    answer = b"" if request.body or ending else leg.pending or leg.told
    if request.method == "INVITE":
        turn.ack(party, item.ref, request.cseq.number, answer)
    if ending:
        return
    turn.settled(party, item.ref)
    turn.set_leg(party, glares=0)
    turn.note("told", party=str(party), version=turn.leg(party).version)
    if sdp and not turn.leg(party).pending and not answer:
        _heard_from(turn, party, leg, sdp)


def unanswered(turn: Turn, item: Open, *, unreachable: bool) -> None:
    """A party has not responded at all: it has no dialog any more (section 12.2.1.2)."""
    turn.close(item.ref)
    turn.settled(item.party, item.ref)
    why = "cannot be reached" if unreachable else "does not respond"
    end(turn, 408, f"the {item.party} {why}")


def pause_over(turn: Turn, party: Party) -> None:
    """The party has had its time; ``settle`` asks it again."""
    turn.exchange(party, IDLE)


def address_ready(turn: Turn, ask: Ask, anchored: Anchored) -> None:
    """The pool has taken what a party says, or what confirms it; the other party hears if that changed anything."""
    other = ask.party.other
    if ask.about is not About.CONFIRM:
        turn.set_leg(ask.party, sdp=ask.sdp)
        if turn.leg(other).sdp:
            questions.ask(turn, About.CONFIRM, other, turn.leg(other).sdp)
    leg = turn.leg(other)
    if leg.pending or (leg.told and _differs(ask.about, anchored.sdp, leg.told)):
        turn.set_leg(other, pending=anchored.sdp)


def _differs(about: About, sdp: bytes, told: bytes) -> bool:
    if about is About.RESTORE:
        # The party may have been told of a hold that never was.
        return without_origin(sdp) != without_origin(told)
    return not same_places(sdp, told)


def _heard_from(turn: Turn, party: Party, leg: Leg, sdp: bytes) -> None:
    """A party's answer: when it has moved its own end, the media server must know."""
    if isinstance(turn.call.phase, Ringing):
        return  # what the callee has answered so far is replaced by its 200; the caller's offer stands until then
    if sdp == leg.sdp or same_places(sdp, leg.sdp):
        turn.set_leg(party, sdp=sdp)
    elif other_family(sdp, leg.told):
        # It was told what fits its last word, and now it wants the other again. That could go on for ever.
        turn.note("other address family", party=str(party), family=str(family_of(sdp)))
    else:
        turn.note("new address", party=str(party))
        questions.ask(turn, About.ADDRESS, party, sdp)
