"""A call that is made on behalf of a party of another one, or that takes a party over from another one.

    blind transfer:     offer of the one who is transferred ─▶ pool ─▶ INVITE to the target, as in any call
                        ─▶ it is answered: it is joined, and told of its new media by re-INVITE
    attended transfer:  the same offer ─▶ pool ─▶ re-INVITE to the party that the referrer has spoken to ─▶ the same
    INVITE, Replaces:   the caller's offer ─▶ pool ─▶ re-INVITE to the party that it wants ─▶ 200 to the caller

In the last two the party is lent by the call that it is in (``loan.py``) until it has agreed.

What a caller would be told, the other call is told (``Report``), where ``transfer.py`` makes something of it. Until
then nothing has changed for the one who is transferred: when it comes to nothing, it talks on. The new call has media
of its own, under its own name at the media servers: those of the old one are deleted with the old call.
"""

from __future__ import annotations

from msgspec.structs import replace

from mediaha.nets import questions, setup
from mediaha.nets.call import (
    IDLE,
    Answered,
    Call,
    Ending,
    Idle,
    Invite,
    Leg,
    Over,
    Paused,
    Placing,
    name,
)
from mediaha.nets.compose import sdp_of
from mediaha.nets.destination import Destination
from mediaha.nets.ending import say_bye
from mediaha.nets.events import Joined
from mediaha.nets.headers import reason_of
from mediaha.nets.rules import Rules
from mediaha.nets.turn import Decision, Turn
from mediaha.nets.underway import NOBODY, About, Party, Relay, Step, Transfer
from mediaha.sip.dialog import Dialog
from mediaha.sip.message import MAX_FORWARDS, Request
from mediaha.sip.sdp import open_both_ways
from mediaha.sip.target import Target


def call_for(
    transferred: Call, transfer: Transfer, *, user: str, domain: str, servers: tuple[str, ...],
    targets: tuple[Destination, ...], placed_at: float, now: float, rules: Rules, secure: bool = False,
) -> Decision:  # fmt: skip
    """The call to the target of a transfer (blind). ``secure``: to a ``sips`` URI."""
    referral, leg = transfer.referral, transferred.leg(transfer.by.other)
    headers = [("Referred-By", referral.referred_by)] if referral.referred_by else []
    if referral.replaces is not None:
        # A dialog that is not ours: whoever has it makes of it what is right (RFC 3891).
        headers += [("Replaces", referral.replaces.value()), ("Require", "replaces")]
    invite = Invite(
        user=user,
        calling=leg.dialog.remote if leg.dialog is not None else "",
        called=f"<{referral.uri}>",
        max_forwards=MAX_FORWARDS,
        headers=tuple(headers),
        cseq=0,
        secure=secure,
    )
    turn = _begun(transferred, transfer, domain=domain, servers=servers, placed_at=placed_at, now=now, rules=rules)
    turn.call = replace(turn.call, targets=targets, phase=Placing(NOBODY, invite))
    setup.place(turn, turn.call.caller.sdp)
    questions.put_next(turn)
    return turn.call, turn.effects


def bridge_for(
    transferred: Call, transfer: Transfer, leg: Leg, consulted: Call, *, placed_at: float, now: float, rules: Rules
) -> Decision:
    """The party of another call, whose ``leg`` this is, becomes the target of a transfer (attended)."""
    turn = _begun(
        transferred, transfer, domain=consulted.domain, servers=consulted.servers, placed_at=placed_at, now=now,
        rules=rules,
    )  # fmt: skip
    offer = turn.call.caller.sdp
    turn.call = replace(turn.call, callee=leg, phase=Answered(now), lender=consulted.id)
    turn.note("bridging", on_behalf_of=transferred.id, with_party_of=consulted.id)
    _bridge(turn, NOBODY, offer)
    return turn.call, turn.effects


def replacing(
    request: Request, tx: int, flow: Target, leg: Leg, replaced: Call, *, id: str, seed: str, placed_at: float,
    now: float, rules: Rules, trunk: str = "", by_flow: bool = False, trusted: bool = True,
) -> Decision:  # fmt: skip
    """A caller takes the place of a party of a call; the other one, whose ``leg`` this is, is its callee now.

    The rest is as in `begin`. Raises Malformed: answer 400.
    """
    tag = name(seed, "caller")
    caller = Leg(
        tag=tag, dialog=Dialog.from_request(request, tag), met=flow, secure=request.request_uri.scheme == "sips",
        trunk=trunk, by_flow=by_flow, may_refer=trusted,
    )  # fmt: skip
    call = Call(
        id=id, seed=seed, placed_at=placed_at, domain=replaced.domain, servers=replaced.servers, targets=(),
        caller=caller, callee=leg, phase=Answered(now), transfers=replaced.transfers + 1, lender=replaced.id,
    )  # fmt: skip
    turn = Turn(call, now, rules)
    turn.learn(Party.CALLER, request)
    turn.note("placed", sip_call_id=request.call_id, domain=call.domain, instead_of_a_party_of=replaced.id)
    turn.set_leg(Party.CALLER, sdp=sdp_of(request))
    _bridge(turn, tx, sdp_of(request))
    return turn.call, turn.effects


def joined(turn: Turn, event: Joined) -> None:
    """The one on whose behalf the call is made is here."""
    call = turn.call
    mine = call.caller
    leg = replace(event.leg, sdp=mine.sdp or event.leg.sdp, pending=mine.pending)
    turn.call = call.with_leg(Party.CALLER, leg)
    turn.note("joined")
    if isinstance(call.phase, Ending | Over):
        # It came too late.
        say_bye(turn, Party.CALLER, (reason_of(480, "The call has ended"),))


def travelling(leg: Leg, now: float, rules: Rules) -> Leg:
    """A leg as it goes on in another call.

    Its dialog goes with it, and what the party can do. A request that is outstanding on it stays behind, and a new one
    waits a little for it. There is no session timer until it has been asked anew.
    """
    exchange = leg.exchange
    if not isinstance(exchange, Idle | Paused):
        exchange = Paused(now + rules.limits.travel_s)
    return replace(leg, exchange=exchange, glares=0, pending=b"", expiry=None)


def _begun(
    transferred: Call, transfer: Transfer, *, domain: str, servers: tuple[str, ...], placed_at: float, now: float,
    rules: Rules,
) -> Turn:  # fmt: skip
    party = transferred.leg(transfer.by.other)
    seed = name(transferred.seed, f"seed of {transfer.call}")
    call = Call(
        id=transfer.call,
        seed=seed,
        placed_at=placed_at,
        domain=domain,
        servers=servers,
        targets=(),
        # With the tag of its dialog, by which the failover pool will know it; its messages are not for this call yet.
        caller=Leg(tag=party.tag, met=party.met, sdp=open_both_ways(party.sdp)),
        callee=Leg(tag=name(seed, "callee")),
        phase=Answered(now),
        on_behalf_of=transferred.id,
        transfers=transferred.transfers + 1,
    )
    return Turn(call, now, rules)


def _bridge(turn: Turn, tx: int, offer: bytes) -> None:
    """The callee is in a dialog already; it gets the caller's offer, or is asked for one."""
    callee = turn.leg(Party.CALLEE)
    relay = Relay(
        by=Party.CALLER, tx=tx, method="INVITE", first=True, step=Step.PLACING if offer else Step.FORWARDING,
        delayed=not offer, offer=offer, before=callee.told,
    )  # fmt: skip
    turn.relay(relay)
    if offer:
        questions.ask(turn, About.OFFER, Party.CALLER, offer)
    else:
        turn.exchange(Party.CALLEE, IDLE)
        turn.relay(replace(relay, ref=turn.reinvite(Party.CALLEE, b"")))
    questions.put_next(turn)
