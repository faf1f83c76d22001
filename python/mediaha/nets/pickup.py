"""Somebody picks up a call that rings elsewhere: INVITE with Replaces of an early dialog of ours (RFC 3891 section 3).

Only a dialog that we have begun can be replaced so, which is that with a phone that rings. The sender takes the place
of all that ring: they get CANCEL, the caller an answer. Both have made an offer, and each one's is the answer to the
other's (``sip/fitting.py``); where they do not fit, the sender gets 488, and it rings on.
"""

from __future__ import annotations

from mediaha.nets import questions
from mediaha.nets.call import Answered, Leg, Ringing, name
from mediaha.nets.compose import sdp_of
from mediaha.nets.ending import give_up
from mediaha.nets.events import PickedUp
from mediaha.nets.headers import reason_of, warning_of
from mediaha.nets.turn import Turn
from mediaha.nets.underway import About, Party, Relay, Step
from mediaha.sip.dialog import Dialog
from mediaha.sip.fitting import as_answer

ELSEWHERE = (reason_of(200, "Call completed elsewhere"),)
BUSY = (("Retry-After", "1"),)


def picked_up(turn: Turn, event: PickedUp) -> None:
    """An INVITE that has passed ``admission`` takes the place of the phones that ring."""
    call, phase, request, tx = turn.call, turn.call.phase, event.request, event.tx
    tag = name(call.seed, f"callee {turn.number()}")
    promised = call.reliable is not None and call.reliable.answering
    if not isinstance(phase, Ringing) or call.relay is not None or phase.renewed or promised or not call.caller.sdp:
        # What has been agreed on with a phone that rings cannot be agreed on with another one.
        turn.reply(tx, 500, tag=tag, headers=BUSY)
        return
    offer, held_out = sdp_of(request), call.callee.pending or call.callee.told
    for_caller, for_sender = as_answer(offer, call.caller.sdp), as_answer(held_out, offer)
    if for_caller is None or for_sender is None:
        turn.reply(tx, 488, tag=tag, headers=(warning_of("the caller's media does not fit"),))
        return
    for branch in phase.branches:
        give_up(turn, branch.ref, ELSEWHERE)
    turn.disregard(Party.CALLEE)
    questions.withdraw(turn, About.EARLY)
    leg = Leg(
        tag=tag, dialog=Dialog.from_request(request, tag), met=event.flow, secure=request.request_uri.scheme == "sips",
        trunk=event.trunk, by_flow=event.by_flow, may_refer=event.trusted,
    )  # fmt: skip
    turn.call = turn.call.with_leg(Party.CALLEE, leg)
    turn.learn(Party.CALLEE, request)
    turn.note("picked up", sip_call_id=request.call_id)
    turn.become(Answered(turn.now))
    relay = Relay(
        by=Party.CALLER, tx=phase.tx, method="INVITE", first=True, step=Step.ANSWERING, offer=call.caller.sdp,
        answer=for_caller,
    )  # fmt: skip
    turn.relay(relay)
    turn.reply_sdp(Party.CALLEE, tx, 200, sdp=for_sender)
    turn.await_ack(Party.CALLEE, tx)
    questions.ask(turn, About.ANSWER, Party.CALLEE, for_caller)
